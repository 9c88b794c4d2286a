# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking workers behind one socket, on real ones: some healthy, one hung, one slow, nobody at all."""

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
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import (
    ANSWERED,
    HUNG,
    MAX_BODY,
    REFUSED,
    WorkerAnswer,
    ask,
    ask_as,
    ask_workers,
    children_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import (
    Answered,
    WorkersReading,
)

FORK = multiprocessing.get_context("fork")
NO_PROCESS = 2**22 + 1
Start = Callable[..., int]


class Handler(http.server.BaseHTTPRequestHandler):
    status, with_pid, delay, size = 200, True, 0.0, 0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        content = {"status": "ok", **({"pid": os.getpid()} if self.with_pid else {}), "filler": "x" * self.size}
        body = json.dumps(content).encode()
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


def serve(listener: socket.socket, changes: dict[str, object]) -> None:
    handler = type("Own", (Handler,), changes)
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

    def one(**changes: object) -> int:
        worker = FORK.Process(target=serve, args=(listener, changes), daemon=True)
        worker.start()
        started.append(worker)
        assert worker.pid is not None
        return worker.pid

    yield one
    for worker in started:
        worker.kill()
        worker.join()
    listener.close()


def look(path: str, pids: list[int], timeout: float = 2.0, count: int = 1) -> list[WorkerAnswer]:
    return ask_workers(path, "/api/health", pids, timeout, count)


def seen(answers: list[WorkerAnswer]) -> set[int | None]:
    return {answer.pid for answer in answers if answer.kind == ANSWERED}


@pytest.mark.parametrize("with_pid", [True, False])
def test_every_worker_is_seen(path: str, start: Start, with_pid: bool) -> None:
    """By its own word, or by the kernel's."""
    pids = [start(with_pid=with_pid) for _number in range(4)]
    begun = time.monotonic()
    answers = look(path, pids)
    assert seen(answers) == set(pids)
    assert {answer.kind for answer in answers} == {ANSWERED}
    assert time.monotonic() - begun < 10


def test_a_stopped_worker_is_not_seen_while_the_others_are(path: str, start: Start) -> None:
    pids = [start() for _number in range(3)]
    assert seen(look(path, pids)) == set(pids)
    os.kill(pids[1], signal.SIGSTOP)
    begun = time.monotonic()
    assert seen(look(path, pids, 1.0)) == {pids[0], pids[2]}
    assert 0.9 < time.monotonic() - begun < 10
    os.kill(pids[1], signal.SIGCONT)
    assert seen(look(path, pids)) == set(pids)


def test_a_question_without_an_answer_in_time_is_told_with_its_holder(path: str, start: Start) -> None:
    quick, slow = start(), start(delay=30)
    answers = look(path, [quick, slow], 1.0)
    (hung,) = [answer for answer in answers if answer.kind != ANSWERED]
    assert (hung.kind, hung.pid, hung.reading.answer) == (HUNG, slow, None)
    assert hung.reading.error.startswith(f"{path}: no answer within ")
    assert seen(answers) == {quick}


def test_a_worker_that_answers_late_is_seen(path: str, start: Start) -> None:
    pids = [start(), start()]
    os.kill(pids[0], signal.SIGSTOP)
    timer = FORK.Process(target=lambda: (time.sleep(0.5), os.kill(pids[0], signal.SIGCONT)))
    timer.start()
    assert seen(look(path, pids, 3.0)) == set(pids)
    timer.join()


def test_one_that_does_not_exist_is_asked_for_until_the_time_is_up(path: str, start: Start) -> None:
    pid = start(with_pid=False)
    begun = time.monotonic()
    answers = look(path, [pid, NO_PROCESS], 1.0)
    assert 0.9 < time.monotonic() - begun < 10
    assert len(answers) > 1
    assert seen(answers) == {pid}


def test_a_slow_answer_is_measured_from_the_connection_on(path: str, start: Start) -> None:
    answer = look(path, [start(delay=0.2)])[0]
    assert 200 <= answer.elapsed_ms < 2000


def test_without_known_processes_as_many_questions_as_wanted(path: str, start: Start) -> None:
    pid = start()
    assert [answer.pid for answer in look(path, [], 2.0, 3)] == [pid] * 3


@pytest.mark.parametrize("pids", [[], [os.getpid(), os.getppid()]])
def test_nobody_at_all(tmp_path: Path, pids: list[int]) -> None:
    answers = look(str(tmp_path / "none.sock"), pids, 0.5)
    assert {answer.kind for answer in answers} == {REFUSED}
    assert "there is no such socket" in answers[0].reading.error
    assert seen(answers) == set()


def test_an_answer_says_what_kind_it_is(path: str, start: Start) -> None:
    request = Request(url="/api/health", unix_socket=path, timeout=1.0)
    assert ask(Request(url="/api/health", unix_socket=f"{path}.gone", timeout=1.0)).kind == REFUSED
    assert ask(Request(url="/two words", unix_socket=path)).kind == REFUSED
    pid = start()
    assert (ask(request).kind, ask(request).pid) == (ANSWERED, pid)
    os.kill(pid, signal.SIGSTOP)
    assert ask(request).kind == HUNG


def test_for_root_only_the_kernel_names_the_worker(path: str, start: Start) -> None:
    """Not its own word, and not that there is only one."""
    pid = start(with_pid=True)
    request = Request(url="/api/health", unix_socket=path, timeout=2.0)
    assert [ask_as(None, request, pids).pid for pids in ([pid], [], [NO_PROCESS])] == [pid, None, None]
    with pytest.raises(FileNotFoundError):
        ask_as(None, Request(unix_socket=f"{path}.gone"), [pid])


def test_root_follows_no_redirect_over_a_path_of_the_service(path: str, start: Start) -> None:
    answer = ask_as(None, Request(url="/api/health", unix_socket=path, timeout=2.0), [start(status=302)])
    assert answer.reading.answer is not None
    assert answer.reading.answer.status == 302


def test_a_redirect_is_an_answer_and_not_followed(path: str, start: Start) -> None:
    (answer,) = look(path, [start(status=302)])
    assert answer.reading.answer is not None
    assert (answer.kind, answer.reading.answer.status) == (ANSWERED, 302)


def test_an_endless_body_is_no_answer(path: str, start: Start) -> None:
    answer = look(path, [start(size=MAX_BODY)], 0.5)[0]
    assert answer.kind == REFUSED
    assert f"more than {MAX_BODY} bytes" in answer.reading.error


@pytest.mark.parametrize("content", ["", "x", "1", "4194305"])
def test_a_pid_file_of_another_program_names_no_workers(content: str, tmp_path: Path) -> None:
    (tmp_path / "pm2.pid").write_text(content)
    assert children_of(tmp_path / "pm2.pid") == []
    assert children_of(tmp_path / "none") == []


def test_the_watchdog_is_told_what_is_wrong_with_which_worker(path: str, start: Start) -> None:
    well, ill = start(), start(status=500)
    reading = WorkersReading.of(look(path, [well, ill]), [well, ill])
    assert reading.answers[well] == ""
    assert "answered 500" in reading.answers[ill]
    assert all(0 < taken < 2000 for taken in (reading.answer_ms[well], reading.answer_ms[ill]))
    assert not reading.refused


def test_the_watchdog_is_told_of_answers_that_are_nobody_s(path: str, start: Start) -> None:
    start(with_pid=False)
    assert WorkersReading.of(look(path, []), []).unattributed == [""]


def test_the_watchdog_is_told_that_nothing_takes_questions(tmp_path: Path) -> None:
    reading = WorkersReading.of(look(str(tmp_path / "none.sock"), [os.getpid()], 0.5), [os.getpid()])
    assert reading.refused
    assert (reading.answers, reading.failures[0].kind) == ({}, REFUSED)


def test_a_redirect_is_wrong(path: str, start: Start) -> None:
    start(status=302)
    told = Answered.of(ask(Request(url="/api/health", unix_socket=path, timeout=2.0)))
    assert told.kind == ANSWERED
    assert "answered 302" in told.problem
