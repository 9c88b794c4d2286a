# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Nginx is dead, hung or full, or another program has its port: by the signs of real processes like it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import proxy
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.proxy import (
    DEAD,
    FULL,
    HEALTHY,
    HUNG,
    TAKEN,
    Signs,
    Verdict,
    judge_signs,
    probe,
)


@pytest.mark.parametrize(
    ("signs", "state"),
    [
        (Signs(True, "answered"), HEALTHY),
        (Signs(False, "refused"), DEAD),
        # old workers may go on without their main process
        (Signs(False, "silent", accepted=True), DEAD),
        (Signs(True, "refused"), DEAD),
        (Signs(True, "closed"), FULL),
        (Signs(True, "silent"), HUNG),
        (Signs(True, "silent", accepted=True), FULL),
        (Signs(True, "silent", works=True), FULL),
        (Signs(True, "silent", works=True, stopped=True), HUNG),
        # of two workers one is stopped: every other client waits
        (Signs(True, "answered", accepted=True, works=True, stopped=True), HUNG),
    ],
)
def test_what_the_signs_mean(signs: Signs, state: str) -> None:
    assert judge_signs(signs).state == state


# A main process with a worker that accepts, as it is told to: answer, close, keep, or never.
SERVER = """
import os, socket, sys, time
listening = socket.create_server(("127.0.0.1", 0))
what = sys.argv[1]
if os.fork():
    listening.close()
    sys.stdin.read()
    os._exit(0)
kept = []
print(os.getpid(), listening.getsockname()[1], flush=True)
while what == "never":
    time.sleep(60)
while what == "spin":
    pass
while True:
    connection = listening.accept()[0]
    if what == "answer":
        connection.sendall(b"HTTP/1.1 200 OK")
    if what == "keep":
        kept.append(connection)
    else:
        connection.close()
"""


@contextmanager
def server(what: str) -> Iterator[tuple[int, int]]:
    """The process id of the main process, and the port."""
    command = [sys.executable, "-c", SERVER, what]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        assert started.stdout is not None
        try:
            worker, port = map(int, started.stdout.readline().split())
            # after its last word it sleeps, unless it spins: on its way there its event loop would be seen to go on
            while what != "spin" and psutil.Process(worker).status() != psutil.STATUS_SLEEPING:
                time.sleep(0.01)
            yield started.pid, port
        finally:
            os.killpg(started.pid, signal.SIGKILL)


def asked(main: int, port: int) -> str:
    return probe(f"http://127.0.0.1:{port}/health", "", "nginx.service", main, 0.5).state


@pytest.mark.parametrize(
    ("what", "state"), [("answer", HEALTHY), ("close", FULL), ("keep", FULL), ("never", HUNG), ("spin", HUNG)]
)
def test_a_server_is_seen_as_what_it_does(what: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # one that spins is excused where other tests take the processors
    monkeypatch.setattr(proxy, "processor_times", lambda _pids: {})
    with server(what) as (main, port):
        assert asked(main, port) == state


def test_one_that_is_stopped_hangs() -> None:
    with server("answer") as (main, port):
        os.killpg(main, signal.SIGSTOP)
        assert asked(main, port) == HUNG
        os.killpg(main, signal.SIGCONT)
        assert asked(main, port) == HEALTHY


def test_one_that_refuses_is_dead_whether_or_not_a_main_process_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert [asked(main, port) for main in (os.getpid(), 0)] == [DEAD, DEAD]


def test_one_whose_queue_is_full_hangs_only_if_nobody_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As clients can make it: the connection of the test itself is not even made."""
    monkeypatch.setattr(proxy, "processor_times", lambda _pids: {})
    with server("never") as (main, port):
        waiting = [socket.socket() for _number in range(300)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            assert asked(main, port) == HUNG
        finally:
            for client in waiting:
                client.close()


def test_what_listens_while_nginx_does_not_run_is_another_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        verdict = probe(f"http://127.0.0.1:{port}/health", "", "nginx.service", 0, 0.5)
    name = Path("/proc/self/comm").read_text().strip()
    message = f"another program ({name}, pid {os.getpid()}) listens on port {port}"
    assert (verdict, verdict.needs_restart) == (Verdict(TAKEN, message), False)


def test_what_listens_as_another_user_than_nginx_is_another_program() -> None:
    """It runs, but another program had the port when it was to listen there."""
    with subprocess.Popen(["sleep", "60"], user=65534 if os.getuid() == 0 else None) as main:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            found = asked(main.pid, taken.getsockname()[1])
        main.kill()
    assert found == (TAKEN if os.getuid() == 0 else HUNG)


def test_workers_that_outlive_their_main_process_are_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.proc, "text", lambda _pid, _name: "0::/system.slice/nginx.service")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert asked(0, listening.getsockname()[1]) == DEAD


def test_the_name_of_another_program_does_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "holder", lambda _inode, _user: 77)
    monkeypatch.setattr(proxy.proc, "text", lambda _pid, _name: "a\x1b[2J\nok")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        verdict = probe(f"http://127.0.0.1:{port}/", "", "nginx.service", 0, 0.5)
    assert verdict.message == f"another program (a\\x1b[2J\\nok, pid 77) listens on port {port}"


def test_a_program_that_may_not_be_looked_into_is_named_by_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "holder", lambda _inode, _user: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        verdict = probe(f"http://127.0.0.1:{taken.getsockname()[1]}/", "", "nginx.service", 0, 0.5)
    assert verdict.message.startswith(f"another program (of the user {pwd.getpwuid(os.getuid()).pw_name}) listens on ")
