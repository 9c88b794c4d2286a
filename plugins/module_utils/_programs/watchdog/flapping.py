# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes and goes, too briefly for any probes in a row: a leaky bucket of unhealthy probes. Pure.

Each unhealthy probe adds one, each healthy one drains half of one. So it fills where more than a third of the probes is
unhealthy, sooner the more there are: after 19 of which two in three are, after 37 of which every second one is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..._checks.findings import CRITICAL
from .model import Problem

_FULL = 10.0
_DRAINED = 0.5
_NEVER = float("-inf")
# Between full and half full it stays what it was: a condition that flaps must not be reported flapping.
_EMPTIED = _FULL / 2
# So long a problem stays as severe as it was: whether a crash loop leaves one worker that serves changes all the time.
_SEVERE_SECONDS = 120.0


@dataclasses.dataclass(frozen=True)
class Bucket:
    level: float = 0.0
    flapping: bool = False
    """From full on until it is half empty again."""

    def unhealthy(self) -> Bucket:
        return self._at(min(_FULL, self.level + 1))

    def healthy(self) -> Bucket:
        return self._at(max(0.0, self.level - _DRAINED))

    def _at(self, level: float) -> Bucket:
        return Bucket(level, level >= _FULL or (self.flapping and level > _EMPTIED))


EMPTY = Bucket()


@dataclasses.dataclass(frozen=True)
class _Seen:
    problem: Problem
    in_a_row: int
    bucket: Bucket
    critical_at: float
    """When it was found critical last, in seconds since boot."""


class Steady:
    """Of the problems that the probes find, those that last, or come and go all the time."""

    def __init__(self, failures: int, known: Iterable[Problem] = (), now: float = 0.0) -> None:
        """`known`: what was open when the last watchdog ended. One probe that finds it again is enough."""
        self._failures = failures
        self._seen = {
            problem.key: _Seen(problem, failures, EMPTY, now if problem.severity == CRITICAL else _NEVER)
            for problem in known
        }

    def of(self, problems: Iterable[Problem], now: float) -> list[Problem]:
        """Of one more probe: those that enough probes in a row have found, and those that flap."""
        found = {problem.key: problem for problem in problems}
        gone = {key: seen for key, seen in self._seen.items() if key not in found and seen.bucket.level}
        self._seen = {
            **{key: dataclasses.replace(seen, in_a_row=0, bucket=seen.bucket.healthy()) for key, seen in gone.items()},
            **{key: self._again(problem, now) for key, problem in found.items()},
        }
        counting = (seen for seen in self._seen.values() if self._counts(seen))
        return [
            dataclasses.replace(
                seen.problem,
                seen=seen.in_a_row > 0,
                severity=CRITICAL if now - seen.critical_at < _SEVERE_SECONDS else seen.problem.severity,
            )
            for seen in counting
        ]

    def _again(self, problem: Problem, now: float) -> _Seen:
        before = self._seen.get(problem.key, _Seen(problem, 0, EMPTY, _NEVER))
        in_a_row = before.in_a_row + 1
        bucket = before.bucket.unhealthy() if in_a_row < self._failures else before.bucket
        return _Seen(problem, in_a_row, bucket, now if problem.severity == CRITICAL else before.critical_at)

    def _counts(self, seen: _Seen) -> bool:
        return seen.in_a_row >= self._failures or seen.bucket.flapping
