# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks every worker of a cluster for its health, and tells which process answered and how long it took.

A cluster's primary hands a new connection to the next worker, so several connections at once reach them all. Which
process took one, the kernel tells: a body without a pid, or no body at all, still has a worker.
"""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ._health import HealthReading, read_health
from ._http import Request
from ._processes import load_library
from ._unix_sockets import UnixSocketError, holder

# Enough to reach every worker of usual hosts without being a load of its own.
MOST_AT_ONCE = 16
# Others connect at the same time, so that a turn may pass a worker by.
_MOST_ROUNDS = 8
# After so much of the time no further round begins.
_ROUNDS_SHARE = 0.5
# So much of the time for an answer may pass until some process has taken the connection.
_ACCEPT_SHARE = 0.5
_LEAST_SECONDS = 0.001


@dataclasses.dataclass(frozen=True)
class WorkerAnswer:
    reading: HealthReading
    pid: int | None
    """The process that answered, or that took the connection and did not; None when nobody is known to have."""
    elapsed_ms: float
    """From the connection to the end of the answer, so also the time until a busy event loop took it."""


def children_of(pid_file: Path) -> list[int]:
    """The processes that PM2's daemon has started itself; none when it does not run. It is not asked for them."""
    psutil = load_library("psutil", "python3-psutil")
    try:
        daemon = psutil.Process(int(pid_file.read_text(encoding="ascii")))
        return [child.pid for child in daemon.children()] if "God Daemon" in " ".join(daemon.cmdline()) else []
    except (OSError, ValueError, psutil.Error):
        return []


def ask_workers(path: str, url: str, count: int, pids: Collection[int], timeout: float) -> list[WorkerAnswer]:
    """Ask `count` times at once over the socket at `path`, and again while one of the processes was not seen.

    A hung worker takes one connection, perhaps another client's, and no further one: it shows by not being seen.
    """
    started = time.monotonic()
    count = min(MOST_AT_ONCE, max(1, count))
    answers: list[WorkerAnswer] = []
    for _round in range(_MOST_ROUNDS):
        left = timeout - (time.monotonic() - started)
        with ThreadPoolExecutor(max_workers=count) as pool:
            answers += pool.map(lambda _number, left=left: _ask(path, url, pids, left), range(count))
        seen = {answer.pid for answer in answers}
        silent = any(answer.reading.answer is None for answer in answers)
        if silent or set(pids) <= seen or time.monotonic() - started > _ROUNDS_SHARE * timeout:
            break
    return answers


def _ask(path: str, url: str, pids: Collection[int], timeout: float) -> WorkerAnswer:
    started = time.monotonic()
    connection = _connect(path, timeout)
    pid = _holder(connection, pids, _ACCEPT_SHARE * timeout) if connection else None
    left = max(_LEAST_SECONDS, timeout - (time.monotonic() - started))
    reading = read_health(Request(url=url, unix_socket=path, timeout=left, connection=connection))
    elapsed = time.monotonic() - started
    if reading.answer is None and elapsed >= timeout:
        reading = dataclasses.replace(reading, error=f"{path}: no answer within {timeout:.1f} s")
    return WorkerAnswer(reading, _pid_of(reading.body) or pid, round(1000 * elapsed, 1))


def _connect(path: str, timeout: float) -> socket.socket | None:
    """None where it can't: the question that follows meets the same error, and says what it means."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def _holder(connection: socket.socket, pids: Collection[int], seconds: float) -> int | None:
    try:
        return holder(connection, pids, None, seconds) if pids else None
    except UnixSocketError:
        return None  # a kernel without unix_diag: the body's own word is left


def _pid_of(body: Any) -> int | None:
    pid = body.get("pid") if isinstance(body, dict) else None
    return pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0 else None
