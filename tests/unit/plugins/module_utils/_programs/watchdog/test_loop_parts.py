# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small parts of the watchdog on the real kernel: locks, processes, settings."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import is_locked, lock_table
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import render
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import HUNG, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import readings
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import WorkersReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.readings import (
    Reader,
    started_at,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.remedies import kill
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.settings import Settings
from watch_samples import HEALTHY, process, settings, settings_content


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    found = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert found.stdout is not None
    found.stdout.readline()
    yield found
    found.kill()
    found.communicate()


def locked(*paths: Path) -> bool:
    return is_locked(lock_table(), paths)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_lock_is_seen_while_it_is_held(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock" if kind == "file" else tmp_path
    if kind == "file":
        path.touch()
    assert not locked(path)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert locked(tmp_path / "missing", path)
    os.close(descriptor)
    assert not locked(path)


def test_who_waits_for_a_lock_does_not_hold_it(tmp_path: Path) -> None:
    inode = tmp_path.stat().st_ino
    device = tmp_path.stat().st_dev
    name = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    assert is_locked(f"1: FLOCK  ADVISORY  WRITE 7 {name} 0 EOF\n", [tmp_path])
    assert not is_locked(f"1: -> FLOCK  ADVISORY  WRITE 7 {name} 0 EOF\n", [tmp_path])
    assert not is_locked(f"1: POSIX  ADVISORY  WRITE 7 {name} 0 EOF\n", [tmp_path])
    assert not is_locked(f"1: FLOCK  ADVISORY  WRITE 7 {name}7 0 EOF\n", [tmp_path])


def test_a_process_start_is_counted_from_the_boot(sleeper: subprocess.Popen[bytes]) -> None:
    started = started_at(sleeper.pid)
    assert started is not None
    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - started < 10
    sleeper.kill()
    sleeper.wait()
    assert started_at(sleeper.pid) is None


def test_only_the_process_that_was_judged_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    started = started_at(sleeper.pid)
    assert started is not None
    assert not kill(sleeper.pid, started + 1)
    assert not kill(None, None)
    assert sleeper.poll() is None
    assert kill(sleeper.pid, started)
    assert sleeper.wait(5) == -signal.SIGKILL
    assert not kill(sleeper.pid, started)


def test_settings_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.json"
    path.write_text(json.dumps(settings_content(tmp_path)))
    settings = Settings.load(path)
    assert (settings.period, settings.restart_budget, settings.database) == (5.0, 5, False)
    assert settings.backoff_max == 300


@pytest.mark.parametrize("content", ["", "[]", '{"service": "shop"}', '{"period": "often"}'])
def test_what_is_no_settings_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "watchdog.json"
    path.write_text(content)
    with pytest.raises(StabilityError, match="Apply the playbook"):
        Settings.load(path)


class Workers:
    """The workers of the numbers 2 and 5, each a process with a socket of its own that it answers on."""

    PROGRAM = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print(flush=True)
while True:
    connection, _address = server.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 %s X\\r\\nContent-Length: 2\\r\\n\\r\\n{}" % sys.argv[2].encode())
    connection.close()
"""

    def __init__(self, directory: Path) -> None:
        (directory / "sockets").mkdir()
        (directory / "active").symlink_to(directory / "sockets")
        self.processes = [self._start(directory, number, status) for number, status in ((2, "200"), (5, "503"))]

    def _start(self, directory: Path, number: int, status: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", self.PROGRAM, str(directory / "sockets" / f"{number}.sock"), status]
        started = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert started.stdout is not None
        started.stdout.readline()
        return started

    def listed(self) -> list[Pm2Process]:
        return [
            dataclasses.replace(process(pm_id, pid=started.pid), settings={"NODE_APP_INSTANCE": number})
            for (pm_id, number), started in zip(((8, 2), (9, 5)), self.processes, strict=True)
        ]


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    found = Workers(tmp_path)
    yield found
    for started in found.processes:
        started.kill()
        started.communicate()


def test_each_worker_is_asked_on_the_socket_of_its_number(tmp_path: Path, workers: Workers) -> None:
    well, ill = (started.pid for started in workers.processes)
    reading = Reader(settings(tmp_path))._ask_workers(workers.listed())
    assert reading.answers.keys() == {well, ill}
    assert reading.answers[well] == ""
    assert "answered 503" in reading.answers[ill]
    assert reading.failures == ()


def test_one_that_has_no_process_is_not_asked(tmp_path: Path, workers: Workers) -> None:
    gone = dataclasses.replace(workers.listed()[0], pid=None)
    assert Reader(settings(tmp_path))._ask_workers([gone]) == WorkersReading({})


HUNG_DAEMON = DaemonReading(HUNG, "no answer", 50)


@pytest.mark.parametrize(
    ("changes", "suspect", "asked"),
    [
        ({"daemon": HUNG_DAEMON}, False, ["shop@1a2b3c.service"]),
        ({"daemon": HUNG_DAEMON, "activation": "1a2b3c:2"}, False, ["shop@1a2b3c:2.service"]),
        ({}, True, ["shop@1a2b3c.service"]),
        ({"daemon": HUNG_DAEMON, "activation": None}, False, []),
        ({}, False, []),
    ],
)
def test_systemd_is_asked_for_the_unit_of_the_activation_that_is_active(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], suspect: bool, asked: list[str]
) -> None:
    seen: list[str] = []

    def states(units: list[str], _seconds: float) -> dict[str, dict[str, str]]:
        seen.extend(units)
        return {unit: {"Id": unit} for unit in units}

    monkeypatch.setattr(readings, "unit_states", states)
    found = Reader(settings())._investigate(dataclasses.replace(HEALTHY, **changes), suspect)
    assert seen == asked
    assert found.pm2_unit == ({"Id": asked[0]} if asked else {})


def test_where_the_service_writes_is_watched_and_not_the_home_of_pm2_in_memory(tmp_path: Path) -> None:
    assert Reader(settings(tmp_path))._written_to == str(tmp_path)
    around = settings(tmp_path, existing={"supervisor": "pm2", "url": "http://h", "pm2_home": "/home/app/.pm2"})
    assert Reader(dataclasses.replace(around, pm2_home="/home/app/.pm2"))._written_to == "/home/app/.pm2"


def test_a_process_that_a_signal_has_stopped_is_told_when_it_was_seen_twice(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_STOPPED_SECONDS", 0.2)
    reader, started = Reader(settings()), started_at(sleeper.pid)
    assert started is not None
    reader._known = ((sleeper.pid, started),)
    assert reader.glance() == frozenset()
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
    assert [reader.glance(), reader.glance()] == [frozenset(), frozenset()]
    time.sleep(0.2)
    assert reader.glance() == {sleeper.pid}
    reader._known = ((sleeper.pid, started + 1),)
    assert reader.glance() == frozenset()
    reader._known = ((sleeper.pid, started),)
    assert reader.glance() == frozenset()
    sleeper.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, sleeper.pid, os.WCONTINUED)
    assert reader.glance() == frozenset()


def test_how_many_workers_there_should_be_is_said_by_what_is_active_now(tmp_path: Path) -> None:
    """A deployment with fewer instances comes before the watchdog's own settings, which may be older."""
    reader, found = Reader(settings(tmp_path)), []
    for name, instances in (("old", 2), ("new", 1)):
        (tmp_path / "ecosystem.config.cjs").write_text(render([{"name": f"shop-{name}", "instances": instances}]))
        (tmp_path / "active").unlink(missing_ok=True)
        (tmp_path / "active").symlink_to(name)
        found.append(reader.read(1000.0).planned)
    (tmp_path / "active").unlink()
    assert (*found, reader.read(1000.0).planned) == (2, 1, 0)
    existing = {"supervisor": "process", "url": "http://127.0.0.1:1/", "app": "shop", "instances": 3}
    assert Reader(settings(tmp_path, existing=existing)).read(1000.0).planned == 3
