# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.usage import (
    MB,
    Room,
    Usage,
    own_cost,
    room,
    size_of,
    usage_of,
)


def test_memory_of_a_tree_holds_the_children_and_the_rest_is_of_the_process() -> None:
    child = "import time; block = bytearray(60_000_000); print(flush=True); time.sleep(60)"
    # some tenths of a second of a processor: the kernel looks a hundred times a second who has it, and one that has it
    # for a few milliseconds at a time is seldom seen
    parent = (
        f"sum(range(30_000_000)); import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout is not None
        started.stdout.readline()
        try:
            usage = usage_of(started.pid)
            assert usage.rss > 60_000_000
            assert usage.cpu_seconds
            # at least standard input, output and errors
            assert usage.open_files is not None
            assert 3 <= usage.open_files < 20
        finally:
            os.killpg(started.pid, signal.SIGKILL)
    assert usage_of(started.pid) == Usage()


def test_what_is_free_where_something_is(tmp_path: Path) -> None:
    found = room([str(tmp_path), str(tmp_path / "missing")])
    assert list(found) == [str(tmp_path)]
    assert found[str(tmp_path)].free == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.05)
    shown = subprocess.run(["df", "--output=iavail", tmp_path], capture_output=True, text=True, check=True)
    inodes = shown.stdout.split()[1]
    # "-" where their number is not fixed
    assert found[str(tmp_path)].inodes == (pytest.approx(int(inodes), rel=0.05) if inodes.isdecimal() else None)


def test_where_the_number_of_files_is_not_fixed_it_says_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = os.statvfs("/")
    btrfs = os.statvfs_result((*seen[:5], 0, 0, 0, *seen[8:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: btrfs)
    assert room(["/"]) == {"/": Room(seen.f_bavail * seen.f_frsize, None)}


def test_the_logs_are_as_large_as_their_files(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    assert size_of(str(logs)) is None
    (logs / "further").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"x" * 5000)
    (logs / "further/a.log").write_bytes(b"x" * 5000)
    (logs / "link.log").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(logs / "pipe.log")
    assert size_of(str(logs)) == 0
    (logs / "out.log").write_bytes(b"x" * 100)
    (logs / "out.log.1.gz").write_bytes(b"x" * 23)
    assert size_of(str(logs)) == 123


def test_of_a_flood_of_logs_only_some_are_looked_at(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"{number}.log").write_bytes(b"x" * 10)
    assert size_of(str(tmp_path)) == 10_000


def test_what_it_takes_itself_is_what_the_kernel_counts() -> None:
    before = own_cost()
    subprocess.run([sys.executable, "-c", "for _ in range(3_000_000): pass"], check=True)
    sum(range(10_000_000))
    after, counted = own_cost(), resource.getrusage(resource.RUSAGE_SELF)
    assert after.cpu_seconds > before.cpu_seconds
    assert after.cpu_seconds == pytest.approx(counted.ru_utime + counted.ru_stime, abs=0.05)
    assert after.commands_cpu_seconds > before.commands_cpu_seconds
    assert abs(after.rss - psutil.Process().memory_info().rss) < 10 * MB
