# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks every worker of a service for its health: who answered, how long it took, who did not.

Where each has a socket of its own, the kernel tells which process listens there. Behind one TCP port a cluster's
primary hands each new connection to a worker that is free: a hung one gets one connection and no other until it
answers, so the port as such looks well, and each must be seen to answer. As many connections as workers are opened at
once; for a worker that was not seen more follow, spread over the time that an answer may take. Which worker took one,
the kernel tells, otherwise the health body by `pid`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import socket
import struct
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from .._host.command import Identity, effective_user
from .._host.later import later
from .._host.tcp import holder
from .._net.http import HttpError, HttpTimeoutError, Request, RequestError, fetch
from .health import HealthReading, pid_of

ANSWERED, HUNG, REFUSED = "answered", "hung", "refused"
MAX_BODY = 256 * 1024
_PACE = 0.15
_QUESTIONS_PER_WORKER = 8
_PORT = 80
# struct ucred: process, user, group
_CREDENTIALS = struct.Struct("3i")
# So long, and so much of the time for an answer, may pass until some process has taken the connection.
_HOLDER_SECONDS = 1.0
_HOLDER_SHARE = 0.5
_LEAST_SECONDS = 0.05
# So much of the time is left to the last question, or it would be told as hung for having come late.
_LATEST_SHARE = 1 / 3


@dataclasses.dataclass(frozen=True)
class WorkerAnswer:
    """What came of one question."""

    reading: HealthReading
    pid: int | None
    """The process that answered, or that holds the connection and did not; None when nobody is known to."""
    elapsed_ms: float
    """From the connection to the end of the answer, so also the time until a busy event loop took it."""
    kind: str
    """answered, hung (no whole answer in time) or refused (nothing took it, or it broke off)."""


def ask(request: Request, pid: int | None = None) -> WorkerAnswer:
    """One question. `pid` is the process that will answer, where that is known beforehand."""
    started = time.monotonic()
    if request.unix_socket and request.connection is None:
        try:
            request = dataclasses.replace(request, connection=_connect(request))
        except BlockingIOError:
            full = HealthReading(None, f"{request.unix_socket}: its queue of connections is full", timed_out=True)
            return WorkerAnswer(full, pid, _since(started), HUNG)
        except OSError:
            pass  # the question that follows meets the same error, and says what it means
    if request.unix_socket and request.connection is not None:
        pid = _listener(request.connection)
    try:
        reading, kind = HealthReading(fetch(dataclasses.replace(request, follow=False, max_body=MAX_BODY))), ANSWERED
    except (HttpError, RequestError) as error:
        hung = isinstance(error, HttpTimeoutError)
        reading, kind = HealthReading(None, str(error), timed_out=hung), HUNG if hung else REFUSED
    return WorkerAnswer(reading, pid or pid_of(reading.body), _since(started), kind)


def ask_as(user: Identity | None, request: Request) -> WorkerAnswer:
    """One question by root over a unix socket whose path the service controls: it may lead to a foreign socket.

    To become another user concerns the whole process, so questions by root come one after the other. Raises OSError
    when nothing takes the connection.
    """
    with effective_user(user):
        connection = _connect(request)
    return ask(dataclasses.replace(request, connection=connection))


def _connect(request: Request) -> socket.socket:
    """Raises OSError."""
    if not request.unix_socket:
        target = request.target()
        return socket.create_connection((target.hostname or "", target.port or _PORT), request.timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(request.timeout)
    try:
        connection.connect(request.unix_socket)
    except OSError:
        connection.close()
        raise
    return connection


def _listener(connection: socket.socket) -> int | None:
    """The process that listens on the other end's socket (unix(7), SO_PEERCRED); None for one of another namespace."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(said)[0]) or None


def ask_each(sockets: Iterable[Path], url: str, timeout: float) -> list[WorkerAnswer]:
    """Ask each of the sockets, all at once, for at most `timeout` seconds."""
    asked = [later("ask", ask, Request(url=url, unix_socket=str(path), timeout=timeout)) for path in sockets]
    return [answer.result() for answer in asked]


def ask_workers(url: str, pids: Collection[int], timeout: float, count: int = 1) -> list[WorkerAnswer]:
    """Ask at the `url`'s address until each of the processes was seen to answer, for at most `timeout` seconds.

    At least `count` questions are asked. Those that have no answer when the time is up are told as hung.
    """
    return _Questions(url, tuple(pids), timeout).ask(max(count, len(pids)))


class _Questions:
    def __init__(self, url: str, pids: tuple[int, ...], timeout: float) -> None:
        self._request = Request(url=url)
        self._pids = pids
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._told: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._asked: list[_Question] = []

    def ask(self, count: int) -> list[WorkerAnswer]:
        for _number in range(count):
            self._begin()
        limit = _QUESTIONS_PER_WORKER * count + round(self._timeout / _PACE)
        while (self._unseen() or self._open()) and (left := self._left()) > 0:
            # when nothing comes, one of the workers may be behind another one's turn
            wanted = not self._heard(min(_PACE, left)) and self._unseen() and len(self._asked) < limit
            if wanted and self._left() > _LATEST_SHARE * self._timeout:
                self._begin()
        return [question.answer or question.unanswered() for question in self._asked]

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _open(self) -> bool:
        return any(question.answer is None for question in self._asked)

    def _unseen(self) -> bool:
        answers = [question.answer for question in self._asked if question.answer]
        return not set(self._pids) <= {answer.pid for answer in answers if answer.kind == ANSWERED}

    def _heard(self, seconds: float) -> bool:
        """Whether an answer comes within the time."""
        try:
            self._told.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def _begin(self) -> None:
        timeout = max(self._left(), _LEAST_SECONDS)
        question = _Question(dataclasses.replace(self._request, timeout=timeout), self._pids)
        self._asked.append(question)
        threading.Thread(target=question.work, args=(self._told,), daemon=True, name="ask").start()


class _Question:
    def __init__(self, request: Request, pids: tuple[int, ...]) -> None:
        self.answer: WorkerAnswer | None = None
        self._request = request
        self._pids = pids
        self._started = time.monotonic()
        # who takes the connection is known where there is only one
        self._pid = pids[0] if len(pids) == 1 else None

    def work(self, told: queue.SimpleQueue[_Question]) -> None:
        connection = None
        # where it can't, the question that follows meets the same error, and says what it means
        with contextlib.suppress(OSError):
            connection = _connect(self._request)
        if connection and self._pid is None:
            self._pid = self._holder(connection)
        left = max(_LEAST_SECONDS, self._request.timeout - (time.monotonic() - self._started))
        answer = ask(dataclasses.replace(self._request, timeout=left, connection=connection), self._pid)
        hung = answer.kind == HUNG
        self.answer = self.unanswered() if hung else dataclasses.replace(answer, elapsed_ms=_since(self._started))
        told.put(self)

    def unanswered(self) -> WorkerAnswer:
        asked = self._request.target().netloc
        error = f"{asked}: no answer within {self._request.timeout:.1f} s"
        return WorkerAnswer(HealthReading(None, error, timed_out=True), self._pid, _since(self._started), HUNG)

    def _holder(self, connection: socket.socket) -> int | None:
        """Who takes the connection, the kernel tells while it is open."""
        if not self._pids:
            return None
        return holder(connection, self._pids, min(_HOLDER_SECONDS, _HOLDER_SHARE * self._request.timeout))


def _since(started: float) -> float:
    return round(1000 * (time.monotonic() - started), 1)
