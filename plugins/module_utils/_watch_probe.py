# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks every worker of a service behind one socket for its health, and notices which ones do not answer.

A cluster's primary hands each new connection to a worker that is free. A hung worker gets one connection and no other
until it answers, so the socket as such looks well: each worker must be seen to answer. As many connections as workers
are opened at once; for a worker that was not seen more follow, spread over the time that an answer may take. Which
worker answered, its health body tells by `pid`, otherwise the kernel.
"""

from __future__ import annotations

import dataclasses
import queue
import socket
import threading
import time
from collections.abc import Collection, Mapping

from ._findings import CRITICAL, worst_of
from ._health import Expectation, HealthReading, judge_health
from ._http import HttpError, HttpTimeoutError, Request, fetch
from ._unix_sockets import UnixSocketError, holder

MAX_BODY = 256 * 1024
_PACE = 0.15
_QUESTIONS_PER_WORKER = 8
_HOLDER_SECONDS = 1.0
ANSWERED, HUNG, REFUSED = "answered", "hung", "refused"


@dataclasses.dataclass(frozen=True)
class Answered:
    """What came of one question."""

    kind: str
    """answered, hung (taken, but no whole answer in time) or refused (nothing took it, or it broke off)."""
    problem: str
    """What is wrong with the answer, or why there is none; empty when it is healthy."""
    pid: int | None = None
    """The worker that answered, where known."""


@dataclasses.dataclass(frozen=True)
class WorkersReading:
    answers: Mapping[int, str]
    """By process: what is wrong with its answer, "" when it is healthy. One that was not seen to answer is missing."""
    failures: tuple[Answered, ...] = ()
    """Questions without an answer, and answers of nobody knows which worker."""

    @property
    def anonymous(self) -> list[str]:
        """What is wrong with the answers of which nobody knows whose they are; "" for a healthy one."""
        return [item.problem for item in self.failures if item.kind == ANSWERED]

    @property
    def refused(self) -> bool:
        """Whether nothing took the questions at all."""
        return not self.answers and bool(self.failures) and all(item.kind == REFUSED for item in self.failures)


def ask(request: Request, pid: int | None = None) -> Answered:
    """One question. `pid` is the worker that will answer, where that is known beforehand."""
    try:
        reading = HealthReading(fetch(dataclasses.replace(request, follow=False, max_body=MAX_BODY)))
    except HttpTimeoutError as error:
        return Answered(HUNG, str(error), pid)
    except HttpError as error:
        return Answered(REFUSED, str(error), pid)
    findings = judge_health(reading, Expectation())
    bad = worst_of(findings) == CRITICAL
    problem = next((finding.message for finding in findings if finding.status == CRITICAL), "") if bad else ""
    return Answered(ANSWERED, problem, pid or _pid_of(reading.body))


def _pid_of(body: object) -> int | None:
    pid = body.get("pid") if isinstance(body, dict) else None
    return pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0 else None


class WorkersProbe:
    """One look at all workers. `timeout` seconds are the limit of all of it."""

    def __init__(self, path: str, url: str, pids: Collection[int], timeout: float) -> None:
        self._path = path
        self._url = url
        self._pids = tuple(pids)
        self._timeout = timeout
        self._told: queue.Queue[Answered] = queue.Queue()
        self._answers: dict[int, str] = {}
        self._failures: list[Answered] = []
        self._asked = 0

    def run(self) -> WorkersReading:
        deadline = time.monotonic() + self._timeout
        for _worker in self._pids:
            self._ask(self._timeout)
        limit = _QUESTIONS_PER_WORKER * len(self._pids) + round(self._timeout / _PACE)
        while self._unseen() and (left := deadline - time.monotonic()) > 0:
            if self._heard(min(_PACE, left)):
                continue
            # all that were asked are waiting: one of the workers may be behind another one's turn
            if self._asked < limit:
                self._ask(deadline - time.monotonic())
        while not self._told.empty():
            self._note(self._told.get_nowait())
        return WorkersReading(dict(self._answers), tuple(self._failures))

    def _unseen(self) -> bool:
        return any(pid not in self._answers for pid in self._pids)

    def _heard(self, seconds: float) -> bool:
        """Take one answer, should one come within the time."""
        try:
            self._note(self._told.get(timeout=max(seconds, 0.001)))
        except queue.Empty:
            return False
        return True

    def _note(self, told: Answered) -> None:
        if told.kind == ANSWERED and told.pid in self._pids:
            # the worst answer of a worker counts
            self._answers[told.pid] = self._answers.get(told.pid, "") or told.problem
        else:
            self._failures.append(told)

    def _ask(self, seconds: float) -> None:
        self._asked += 1
        threading.Thread(target=self._work, args=(seconds,), daemon=True, name="ask").start()

    def _work(self, seconds: float) -> None:
        request = Request(url=self._url, unix_socket=self._path, timeout=max(seconds, 0.05))
        if len(self._pids) == 1:
            self._told.put(ask(request, self._pids[0]))
            return
        self._told.put(self._ask_one_of_many(request))

    def _ask_one_of_many(self, request: Request) -> Answered:
        """Who takes the connection, the kernel tells while it is open; a body with a pid is as good."""
        started = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.settimeout(request.timeout)
                connection.connect(self._path)
            except OSError as error:
                return Answered(REFUSED, f"{self._path} can't be reached: {error.strerror or error}")
            pid = self._holder(connection, request.timeout)
            left = max(0.05, request.timeout - (time.monotonic() - started))
            return ask(dataclasses.replace(request, timeout=left, connection=connection), pid)

    def _holder(self, connection: socket.socket, seconds: float) -> int | None:
        try:
            return holder(connection, self._pids, None, min(_HOLDER_SECONDS, seconds))
        except UnixSocketError:
            # a kernel without unix_diag: then the body must tell
            return None
