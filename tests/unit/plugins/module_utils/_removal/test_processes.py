# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose processes these are, also in namespaces, and how they are ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import proc
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._removal import processes
from ansible_collections.workbot.stability.plugins.module_utils._removal.processes import end_processes, processes_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# Of this run alone, and in a range that nothing else takes numbers from.
USER = 2_000_000_000 + os.getpid()
SUBORDINATE = USER + 10_000_000

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
# A process of which all threads but the first go on.
HEADLESS = """
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
# Goes through the steps that it is given. What forks goes on in the child, and ends after it.
STEPS = """
import ctypes, os, sys, time
SPACES = {"user": 0x10000000, "pid": 0x20000000}
for step in sys.argv[2:]:
    word, _equals, number = step.partition("=")
    if word in SPACES:
        if ctypes.CDLL(None).unshare(SPACES[word]):
            sys.exit()
    elif word == "as":
        os.setgroups([])
        os.setresgid(*[int(number)] * 3)
        os.setresuid(*[int(number)] * 3)
    elif word == "map":
        print(os.getpid(), flush=True)
        sys.stdin.readline()
    elif os.fork():
        os.wait()
        sys.exit()
print("ready", flush=True)
time.sleep(60)
"""

Start = Callable[..., set[int]]


def map_numbers(pid: int) -> None:
    """As newuidmap(1) does for a user that has subordinate numbers."""
    for kind in ("uid", "gid"):
        with contextlib.suppress(PermissionError):
            Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {USER} 1\n1 {SUBORDINATE} 1\n")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that goes through these steps. Returns it, and those that it has forked."""
    with contextlib.ExitStack() as held:

        def begin(*steps: str) -> set[int]:
            command = [sys.executable, "-c", STEPS, f"test={os.getpid()}", *steps]
            running = held.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            )
            assert running.stdin is not None
            assert running.stdout is not None
            held.callback(running.kill)
            line = running.stdout.readline().strip()
            if line.isdecimal():
                map_numbers(int(line))
                running.stdin.write("\n")
                line = running.stdout.readline().strip()
            if line != "ready":
                pytest.skip("namespaces can't be made here")
            started = {pid for pid in proc.pids() if proc.text(pid, "cmdline") == " ".join(command).strip()}
            for pid in started:
                held.callback(kill, pid)
            return started

        yield begin


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@needs_root
@pytest.mark.parametrize(
    "steps",
    [
        ("user", "pid", "fork"),
        ("user", "map", "pid", "fork", "user", "pid", "fork"),
        # of no number of the user's: its own is one step away
        ("user", "map", "as=1"),
        # nor is the namespace around its numbers
        ("user", "map", "as=1", "user", "pid", "fork"),
    ],
)
def test_what_hides_in_a_namespace_of_its_own_is_the_users(start: Start, steps: tuple[str, ...]) -> None:
    started = start(f"as={USER}", *steps)
    assert set(processes_of(USER)) == started
    inside = {pid for pid in started if len(proc.status(pid)["NSpid"].split()) > 1}
    for pid in started - inside if inside else ():  # so that nothing outside tells of them any more
        kill(pid)
    end_processes(USER, 2)
    assert not any(proc.lives(pid) for pid in started)


@needs_root
@pytest.mark.parametrize(
    "steps",
    [
        # of root's
        ("pid", "fork", f"as={USER}"),
        # of root's, within which the same number makes further ones, as a browser does
        ("pid", "fork", f"as={USER}", "user", "pid", "fork"),
        # of root's, with numbers of its own
        ("user", "map", "pid", "fork", "as=0"),
        # of another user's, whose subordinate number it is
        (f"as={USER + 1}", "user", "map", "pid", "fork", "as=0"),
    ],
)
def test_a_container_is_not_the_users_though_it_has_the_same_number(start: Start, steps: tuple[str, ...]) -> None:
    """A database in a container runs as 999 as a rule, which on the host is the number of the first system user."""
    started = start(*steps)
    assert USER in {proc.user(pid) for pid in started}
    assert processes_of(USER) == {}
    end_processes(USER, 0.1)
    assert all(proc.lives(pid) for pid in started)


@needs_root
def test_of_what_cannot_be_looked_into_the_number_counts(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _request: int, *_argument: object) -> int:
        raise OSError(errno.ENOTTY, "no such question")

    started = start("pid", "fork", f"as={USER}")
    inside = {pid for pid in started if proc.user(pid) == USER}
    monkeypatch.setattr(processes.fcntl, "ioctl", refuse)
    assert set(processes_of(USER)) == inside != set()


@needs_root
def test_what_has_ended_while_it_is_looked_at_is_gone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(path: str, flags: int) -> int:
        raise FileNotFoundError(path, flags)

    start("pid", "fork", f"as={USER}")
    monkeypatch.setattr(processes.os, "open", late)
    assert processes_of(USER) == {}


@needs_root
def test_nothing_stays_open(start: Start) -> None:
    start(f"as={USER}", "user", "map", "pid", "fork", "user", "pid", "fork")
    before = sorted(each.name for each in Path("/proc/self/fd").iterdir())
    assert processes_of(USER)
    end_processes(USER, 2)
    assert sorted(each.name for each in Path("/proc/self/fd").iterdir()) == before


@contextlib.contextmanager
def python(text: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user's that has said that it is ready."""
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout is not None
        try:
            running.stdout.readline()
            yield running
        finally:
            running.kill()


def only(pid: int) -> Callable[[int], dict[int, int]]:
    return lambda uid: {each: parent for each, parent in processes_of(uid).items() if each == pid}


def test_what_does_not_listen_is_killed() -> None:
    with python(DEAF) as deaf:
        assert only(deaf.pid)(os.getuid()) == {deaf.pid: os.getpid()}
        end_processes(os.getuid(), 0.5, only(deaf.pid))
        assert deaf.wait(20) == -signal.SIGKILL


def test_what_is_dead_is_none_but_not_before_its_last_thread() -> None:
    with python(HEADLESS) as headless:
        deadline = time.monotonic() + 20
        while not proc.status(headless.pid)["State"].startswith("Z") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert only(headless.pid)(os.getuid())
        end_processes(os.getuid(), 0.1, only(headless.pid))
        # it has not been waited for
        assert proc.status(headless.pid)["State"].startswith("Z")
        assert not only(headless.pid)(os.getuid())


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, signal.Signals]] = []

    def note(descriptor: int, which: signal.Signals) -> None:
        fields = proc.fields(Path(f"/proc/self/fdinfo/{descriptor}").read_text())
        sent.append((int(fields["Pid"]), which))

    monkeypatch.setattr(signal, "pidfd_send_signal", note)
    with python(DEAF) as one, python(DEAF) as two:
        listed = {one.pid: os.getpid(), two.pid: one.pid}
        with pytest.raises(StabilityError, match=f"processes {one.pid}, {two.pid} of user {os.getuid()} do not end"):
            end_processes(os.getuid(), 0.3, lambda _uid: listed)
    assert sent[0] == (one.pid, signal.SIGTERM)
    assert (two.pid, signal.SIGTERM) not in sent
    assert {(one.pid, signal.SIGKILL), (two.pid, signal.SIGKILL)} <= set(sent)


def listings(*found: dict[int, int]) -> Callable[[int], dict[int, int]]:
    """These one after the other, then none."""
    left = list(found)
    return lambda _uid: left.pop(0) if left else {}


def test_a_number_that_is_another_user_s_by_now_gets_no_signal() -> None:
    with python(DEAF.replace("SIG_IGN", "SIG_DFL")) as other:
        listed = {other.pid: 1}
        end_processes(USER, 0.1, listings(listed, {}, listed))
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)


def test_a_number_that_is_a_thread_s_or_nobody_s_by_now_gets_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_order: pytest.fail("by its number"))
    ended, asked = subprocess.Popen(["/bin/true"]), threading.Event()
    ended.wait()
    thread = threading.Thread(target=asked.wait)
    thread.start()
    try:
        listed = {ended.pid: 1, thread.native_id or 0: 1}
        end_processes(os.getuid(), 0.1, listings(listed, {}, listed))
    finally:
        asked.set()
        thread.join()


def test_the_process_that_was_looked_at_gets_the_signal_and_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after the last look: a signal to its number would by then be one to whatever has got that."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as last:

        def look(_uid: int, pid: int, _fields: Mapping[str, str]) -> bool:
            assert pid == last.pid
            last.communicate()
            return True

        monkeypatch.setattr(processes, "_is_of", look)
        monkeypatch.setattr(os, "kill", lambda *_order: pytest.fail("by its number"))
        end_processes(os.getuid(), 0.1, listings({last.pid: 1}))
        assert last.returncode == 0
