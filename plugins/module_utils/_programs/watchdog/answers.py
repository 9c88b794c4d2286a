# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers mean to the watchdog: which workers answered, whether healthily, and how long each took. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from ..._checks.health import pool_of, problem_of
from ..._checks.workers import ANSWERED, REFUSED, WorkerAnswer


@dataclasses.dataclass(frozen=True)
class Answered:
    """What came of one question."""

    kind: str
    """answered, hung or refused."""
    problem: str
    """What is wrong with the answer, or why there is none; empty when it is healthy."""

    @classmethod
    def of(cls, answer: WorkerAnswer) -> Answered:
        if answer.kind != ANSWERED:
            return cls(answer.kind, answer.reading.error)
        return cls(ANSWERED, problem_of(answer.reading))


@dataclasses.dataclass(frozen=True)
class WorkersReading:
    answers: Mapping[int, str]
    """By process: what is wrong with its answer, "" when it is healthy. One that was not seen to answer is missing."""
    failures: tuple[Answered, ...] = ()
    """Requests without a response, and unattributed responses."""
    answer_ms: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """By process: how long its slowest answer took."""
    strangers: tuple[int, ...] = ()
    """Processes that listen on a worker's socket, and are none of them."""
    pools: Mapping[int, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """By process: its pool of database connections, where its answer says something of one."""

    @classmethod
    def of(cls, responses: Iterable[WorkerAnswer], pids: Collection[int]) -> WorkersReading:
        answers: dict[int, str] = {}
        taken: dict[int, float] = {}
        pools: dict[int, Mapping[str, int]] = {}
        failures = []
        strangers = []
        for answer in responses:
            what = Answered.of(answer)
            if answer.kind == ANSWERED and answer.pid is not None and answer.pid in pids:
                # the worst answer of a worker counts
                answers[answer.pid] = answers.get(answer.pid, "") or what.problem
                taken[answer.pid] = max(taken.get(answer.pid, 0.0), answer.elapsed_ms)
                if pool := pool_of(answer.reading.body):
                    pools[answer.pid] = pool
            else:
                failures.append(what)
                strangers += [answer.pid] if answer.pid and answer.pid not in pids else []
        return cls(answers, tuple(failures), taken, tuple(strangers), pools)

    @property
    def unattributed(self) -> list[str]:
        """What is wrong with the unattributed responses; "" for a healthy one."""
        return [item.problem for item in self.failures if item.kind == ANSWERED]

    @property
    def refused(self) -> bool:
        """Whether nothing took the questions at all."""
        return not self.answers and bool(self.failures) and all(item.kind == REFUSED for item in self.failures)
