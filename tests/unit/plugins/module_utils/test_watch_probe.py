# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking workers behind one socket, on real ones: some healthy, one hung, one unhealthy, nobody at all."""

from __future__ import annotations

import contextlib
import http.server
import json
import multiprocessing
import os
import signal
import socket
import socketserver
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._http import Request
from ansible_collections.workbot.stability.plugins.module_utils._watch_probe import (
    ANSWERED,
    HUNG,
    REFUSED,
    WorkersProbe,
    WorkersReading,
    ask,
)

FORK = multiprocessing.get_context("fork")
Start = Callable[..., int]


class Handler(http.server.BaseHTTPRequestHandler):
    status, with_pid = 200, True

    def do_GET(self) -> None:
        body = json.dumps({"status": "ok", **({"pid": os.getpid()} if self.with_pid else {})}).encode()
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


def serve(listener: socket.socket, status: int, with_pid: bool) -> None:
    handler = type("Own", (Handler,), {"status": status, "with_pid": with_pid})
    server = socketserver.BaseServer(("", 0), handler)
    while True:
        connection, _address = listener.accept()
        # one that was stopped meanwhile finds that nobody waits any more
        with connection, contextlib.suppress(OSError):
            handler(connection, ("", 0), server)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "active.sock")


@pytest.fixture
def start(path: str) -> Iterator[Start]:
    """Starts workers that share the socket, as processes; returns each one's id."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    started = []

    def one(status: int = 200, with_pid: bool = True) -> int:
        worker = FORK.Process(target=serve, args=(listener, status, with_pid), daemon=True)
        worker.start()
        started.append(worker)
        assert worker.pid is not None
        return worker.pid

    yield one
    for worker in started:
        worker.kill()
        worker.join()
    listener.close()


def look(path: str, pids: list[int], timeout: float = 2.0) -> WorkersReading:
    return WorkersProbe(path, "/api/health", pids, timeout).run()


@pytest.mark.parametrize("with_pid", [True, False])
def test_every_worker_is_seen(path: str, start: Start, with_pid: bool) -> None:
    pids = [start(with_pid=with_pid) for _number in range(4)]
    begun = time.monotonic()
    assert look(path, pids).answers == dict.fromkeys(pids, "")
    assert time.monotonic() - begun < 2


def test_a_stopped_worker_is_not_seen_while_the_others_are(path: str, start: Start) -> None:
    pids = [start() for _number in range(3)]
    assert set(look(path, pids).answers) == set(pids)
    os.kill(pids[1], signal.SIGSTOP)
    begun = time.monotonic()
    reading = look(path, pids, 1.0)
    assert set(reading.answers) == {pids[0], pids[2]}
    assert 0.9 < time.monotonic() - begun < 2
    os.kill(pids[1], signal.SIGCONT)
    assert set(look(path, pids).answers) == set(pids)


def test_a_worker_that_answers_late_is_seen(path: str, start: Start) -> None:
    pids = [start(), start()]
    os.kill(pids[0], signal.SIGSTOP)
    timer = FORK.Process(target=lambda: (time.sleep(0.5), os.kill(pids[0], signal.SIGCONT)))
    timer.start()
    assert set(look(path, pids, 3.0).answers) == set(pids)
    timer.join()


def test_what_is_wrong_with_a_worker_is_told_of_that_one(path: str, start: Start) -> None:
    well, ill = start(), start(500)
    answers = look(path, [well, ill]).answers
    assert answers[well] == ""
    assert "answered 500" in answers[ill]


def test_nobody_at_all(path: str, tmp_path: Path) -> None:
    reading = look(path, [os.getpid(), os.getppid()], 0.5)
    assert reading.refused
    assert reading.answers == {}
    assert look(str(tmp_path / "none.sock"), [os.getpid()], 0.5).refused


def test_an_answer_says_what_kind_it_is(path: str, start: Start) -> None:
    request = Request(url="/api/health", unix_socket=path, timeout=1.0)
    assert ask(Request(url="/api/health", unix_socket=f"{path}.gone", timeout=1.0)).kind == REFUSED
    pid = start()
    assert (ask(request).kind, ask(request).problem, ask(request).pid) == (ANSWERED, "", pid)
    os.kill(pid, signal.SIGSTOP)
    assert ask(request).kind == HUNG


def test_a_redirect_is_an_answer_and_not_followed(path: str, start: Start) -> None:
    start(302)
    told = ask(Request(url="/api/health", unix_socket=path, timeout=2.0))
    assert told.kind == ANSWERED
    assert "answered 302" in told.problem
