# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking workers, real ones, on a socket of their own or behind one port: some healthy, one hung, one slow, nobody."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import signal
import socket
import socketserver
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import ClassVar

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import Expectation, judge_health
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import (
    ANSWERED,
    HUNG,
    MAX_BODY,
    REFUSED,
    WorkerAnswer,
    ask,
    ask_as,
    ask_each,
    ask_workers,
)
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import (
    Answered,
    WorkersReading,
)
from forks import FORK, forks

NO_PROCESS = 2**22 + 1
Start = Callable[..., int]


class Handler(http.server.BaseHTTPRequestHandler):
    status, with_pid, delay, size = 200, True, 0.0, 0
    says: int | None = None
    pool: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        time.sleep(self.delay)
        content = {
            "status": "ok",
            **({"pid": self.says or os.getpid()} if self.with_pid else {}),
            **({"database": {"pool": self.pool}} if self.pool else {}),
            "filler": "x" * self.size,
        }
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


def serve_own(path: Path, listens: Event, changes: dict[str, object]) -> None:
    """As a worker does it: bound beside the name, and renamed."""
    with socket.socket(socket.AF_UNIX) as listener:
        beside = path.with_suffix(f".{os.getpid()}")
        listener.bind(str(beside))
        listener.listen(64)
        beside.rename(path)
        listens.set()
        serve(listener, changes)


def serve(listener: socket.socket, changes: dict[str, object]) -> None:
    handler = type("Own", (Handler,), changes)
    server = socketserver.BaseServer(("", 0), handler)
    while True:
        connection, _address = listener.accept()
        # one that was stopped meanwhile finds that nobody waits any more
        with connection, contextlib.suppress(OSError):
            handler(connection, ("", 0), server)  # type: ignore[arg-type]


@pytest.fixture
def run() -> Iterator[Callable[..., int]]:
    """Starts a process, and ends it; returns its id."""
    with forks() as one:
        yield one


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener


@pytest.fixture
def url(port: socket.socket) -> str:
    return f"http://127.0.0.1:{port.getsockname()[1]}/api/health"


@pytest.fixture
def start(port: socket.socket, run: Callable[..., int]) -> Start:
    """Starts workers that share the port."""
    return lambda **changes: run(serve, port, changes)


@pytest.fixture
def start_own(tmp_path: Path, run: Callable[..., int]) -> Start:
    """Starts the worker of that number, which has a socket of its own."""

    def one(number: int, **changes: object) -> int:
        listens = FORK.Event()
        pid = run(serve_own, socket_of(tmp_path, number), listens, changes)
        assert listens.wait(20)
        return pid

    return one


def socket_of(directory: Path, number: int) -> Path:
    return directory / f"{number}.sock"


def look(url: str, pids: list[int], timeout: float = 2.0, count: int = 1) -> list[WorkerAnswer]:
    return ask_workers(url, pids, timeout, count)


def look_each(directory: Path, count: int, timeout: float = 2.0) -> list[WorkerAnswer]:
    return ask_each([socket_of(directory, number) for number in range(count)], "/api/health", timeout)


def question(directory: Path) -> Request:
    """One to the first worker."""
    return Request(url="/api/health", unix_socket=str(socket_of(directory, 0)), timeout=2.0)


def seen(answers: list[WorkerAnswer]) -> set[int | None]:
    return {answer.pid for answer in answers if answer.kind == ANSWERED}


def test_each_is_asked_and_the_kernel_tells_which_process_answers(tmp_path: Path, start_own: Start) -> None:
    """Not its own word."""
    pids = [start_own(0), start_own(1, says=NO_PROCESS), start_own(2, with_pid=False)]
    answers = look_each(tmp_path, 3)
    assert [(answer.kind, answer.pid) for answer in answers] == [(ANSWERED, pid) for pid in pids]
    assert look_each(tmp_path, 0) == []


def test_the_one_that_hangs_is_told_with_its_process_while_the_others_answer(tmp_path: Path, start_own: Start) -> None:
    pids = [start_own(0), start_own(1), start_own(2, delay=30)]
    os.kill(pids[1], signal.SIGSTOP)
    answers = look_each(tmp_path, 3, 1.0)
    assert [answer.kind for answer in answers] == [ANSWERED, HUNG, HUNG]
    assert [answer.pid for answer in answers] == pids
    assert all(answer.reading.answer is None and answer.elapsed_ms > 900 for answer in answers[1:])
    assert answers[1].reading.error.startswith(f"{socket_of(tmp_path, 1)}: no complete answer within 1 s")
    assert [answer.reading.timed_out for answer in answers] == [False, True, True]
    assert judge_health(answers[1].reading, Expectation())[0].timed
    os.kill(pids[1], signal.SIGCONT)
    assert look_each(tmp_path, 2)[1].kind == ANSWERED


def test_those_that_hang_are_waited_for_together(tmp_path: Path, start_own: Start) -> None:
    for number in range(4):
        os.kill(start_own(number), signal.SIGSTOP)
    begun = time.monotonic()
    assert {answer.kind for answer in look_each(tmp_path, 4, 1.0)} == {HUNG}
    assert time.monotonic() - begun < 3.5


def test_the_one_that_nobody_serves_is_refused(tmp_path: Path, start_own: Start) -> None:
    pid = start_own(0)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_of(tmp_path, 1)))
    answers = look_each(tmp_path, 3)
    assert [(answer.kind, answer.pid) for answer in answers] == [(ANSWERED, pid), (REFUSED, None), (REFUSED, None)]
    assert "connection refused: nothing listens there" in answers[1].reading.error
    assert "there is no such socket" in answers[2].reading.error


def test_one_whose_queue_of_connections_is_full_hangs(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(socket_of(tmp_path, 0)))
        listener.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                client = held.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(socket_of(tmp_path, 0)))
        (answer,) = look_each(tmp_path, 1)
    assert (answer.kind, answer.pid) == (HUNG, None)
    assert "its queue of connections is full" in answer.reading.error


def test_a_successor_answers_under_the_same_name(tmp_path: Path, start_own: Start) -> None:
    first = start_own(0)
    second = start_own(0)
    os.kill(first, signal.SIGSTOP)
    assert [answer.pid for answer in look_each(tmp_path, 1)] == [second]


@pytest.mark.parametrize("with_pid", [True, False])
def test_every_worker_behind_a_port_is_seen(url: str, start: Start, with_pid: bool) -> None:
    """By its own word, or by the kernel's."""
    pids = [start(with_pid=with_pid) for _number in range(4)]
    begun = time.monotonic()
    answers = look(url, pids)
    assert seen(answers) == set(pids)
    assert {answer.kind for answer in answers} == {ANSWERED}
    assert time.monotonic() - begun < 10


def test_a_stopped_worker_is_not_seen_while_the_others_are(url: str, start: Start) -> None:
    pids = [start() for _number in range(3)]
    assert seen(look(url, pids)) == set(pids)
    os.kill(pids[1], signal.SIGSTOP)
    begun = time.monotonic()
    assert seen(look(url, pids, 1.0)) == {pids[0], pids[2]}
    assert 0.9 < time.monotonic() - begun < 10
    os.kill(pids[1], signal.SIGCONT)
    assert seen(look(url, pids)) == set(pids)


def test_a_question_without_an_answer_in_time_is_told_with_its_holder(url: str, start: Start) -> None:
    quick, slow = start(), start(delay=30)
    answers = look(url, [quick, slow], 1.0)
    (hung,) = [answer for answer in answers if answer.kind != ANSWERED]
    assert (hung.kind, hung.pid, hung.reading.answer) == (HUNG, slow, None)
    assert hung.reading.error.startswith(f"{Request(url=url).target().netloc}: no answer within ")
    assert hung.reading.timed_out
    assert seen(answers) == {quick}


def test_a_worker_that_answers_late_is_seen(url: str, start: Start) -> None:
    pids = [start(), start()]
    os.kill(pids[0], signal.SIGSTOP)
    timer = FORK.Process(target=lambda: (time.sleep(0.5), os.kill(pids[0], signal.SIGCONT)))
    timer.start()
    assert seen(look(url, pids, 3.0)) == set(pids)
    timer.join()


def test_one_that_does_not_exist_is_asked_for_until_the_time_is_up(url: str, start: Start) -> None:
    pid = start(with_pid=False)
    begun = time.monotonic()
    answers = look(url, [pid, NO_PROCESS], 1.0)
    assert 0.9 < time.monotonic() - begun < 10
    assert len(answers) > 1
    assert seen(answers) == {pid}


def test_a_slow_answer_is_measured_from_the_connection_on(url: str, start: Start) -> None:
    answer = look(url, [start(delay=0.2)])[0]
    assert 200 <= answer.elapsed_ms < 2000


def test_without_known_processes_as_many_questions_as_wanted(url: str, start: Start) -> None:
    pid = start()
    assert [answer.pid for answer in look(url, [], 2.0, 3)] == [pid] * 3


@pytest.mark.parametrize("pids", [[], [os.getpid(), os.getppid()]])
def test_nobody_at_all(port: socket.socket, url: str, pids: list[int]) -> None:
    port.close()
    answers = look(url, pids, 0.5)
    assert {answer.kind for answer in answers} == {REFUSED}
    assert "connection refused: nothing listens there" in answers[0].reading.error
    assert seen(answers) == set()


def test_an_answer_says_what_kind_it_is(tmp_path: Path, start_own: Start) -> None:
    request = dataclasses.replace(question(tmp_path), timeout=1.0)
    assert ask(dataclasses.replace(request, unix_socket=f"{request.unix_socket}.gone")).kind == REFUSED
    assert ask(dataclasses.replace(request, url="/two words")).kind == REFUSED
    pid = start_own(0)
    assert (ask(request).kind, ask(request).pid) == (ANSWERED, pid)
    os.kill(pid, signal.SIGSTOP)
    assert (ask(request).kind, ask(request).pid) == (HUNG, pid)


def test_for_root_only_the_kernel_names_the_worker(tmp_path: Path, start_own: Start) -> None:
    """Not its own word."""
    pid = start_own(0, says=NO_PROCESS)
    assert ask_as(None, question(tmp_path)).pid == pid
    with pytest.raises(FileNotFoundError):
        ask_as(None, Request(unix_socket=str(tmp_path / "gone.sock")))


def test_root_follows_no_redirect_over_a_path_of_the_service(tmp_path: Path, start_own: Start) -> None:
    start_own(0, status=302)
    answer = ask_as(None, question(tmp_path))
    assert answer.reading.answer is not None
    assert answer.reading.answer.status == 302


def test_a_redirect_is_an_answer_and_not_followed(tmp_path: Path, url: str, start: Start, start_own: Start) -> None:
    start_own(0, status=302)
    for answer in (*look(url, [start(status=302)]), *look_each(tmp_path, 1)):
        assert answer.reading.answer is not None
        assert (answer.kind, answer.reading.answer.status) == (ANSWERED, 302)


def test_an_endless_body_is_no_answer(tmp_path: Path, url: str, start: Start, start_own: Start) -> None:
    start_own(0, size=MAX_BODY)
    for answer in (look(url, [start(size=MAX_BODY)], 0.5)[0], *look_each(tmp_path, 1)):
        assert answer.kind == REFUSED
        assert f"more than {MAX_BODY} bytes" in answer.reading.error


def test_the_watchdog_is_told_what_is_wrong_with_which_worker(tmp_path: Path, start_own: Start) -> None:
    pool = {"total": 3, "idle": 1, "waiting": 0, "max": 20}
    well, ill = start_own(0, pool=pool), start_own(1, status=500)
    reading = WorkersReading.of(look_each(tmp_path, 2), [well, ill])
    assert reading.answers[well] == ""
    assert "answered 500" in reading.answers[ill]
    assert reading.pools == {well: pool}
    assert all(0 < taken < 2000 for taken in (reading.answer_ms[well], reading.answer_ms[ill]))
    assert not reading.refused


def test_the_watchdog_is_told_of_answers_that_are_nobody_s(url: str, start: Start) -> None:
    start(with_pid=False)
    assert WorkersReading.of(look(url, []), []).unattributed == [""]


def test_the_watchdog_does_not_take_another_process_s_answer_for_a_worker_s(tmp_path: Path, start_own: Start) -> None:
    start_own(0, says=os.getpid())
    reading = WorkersReading.of(look_each(tmp_path, 1), [os.getpid()])
    assert (reading.answers, reading.unattributed) == ({}, [""])


def test_the_watchdog_is_told_that_nothing_takes_questions(tmp_path: Path) -> None:
    reading = WorkersReading.of(look_each(tmp_path, 2, 0.5), [os.getpid()])
    assert reading.refused
    assert (reading.answers, reading.failures[0].kind) == ({}, REFUSED)


def test_a_redirect_is_wrong(tmp_path: Path, start_own: Start) -> None:
    start_own(0, status=302)
    told = Answered.of(ask(question(tmp_path)))
    assert told.kind == ANSWERED
    assert "answered 302" in told.problem
