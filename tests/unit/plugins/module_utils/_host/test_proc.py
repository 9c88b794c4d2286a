# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What /proc says about processes; of real ones, and where psutil knows it too, what it says as well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.proc import (
    children,
    group,
    megabytes,
    pids,
    resident_mb,
    socket_inodes,
    stat,
    status,
    text,
    user,
)

GONE = 2**22 + 1


def test_a_process_is_seen_as_psutil_sees_it() -> None:
    found, process = stat(os.getpid()), psutil.Process()
    assert found is not None
    assert (found.state, found.parent) == ("R", process.ppid())
    assert abs(found.started - (process.create_time() - psutil.boot_time())) < 0.1
    assert (user(os.getpid()), group(os.getpid())) == (process.uids().real, process.gids().real)
    assert abs(int(status(os.getpid())["VmRSS"].split()[0]) * 1024 - process.memory_info().rss) < 1 << 24
    assert text(os.getpid(), "cmdline").startswith(process.cmdline()[0])
    assert os.getpid() in pids()


def test_a_name_with_a_parenthesis_shifts_no_field() -> None:
    name = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b') Z 1 ('); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = stat(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        assert child.pid in children(os.getpid())


@pytest.mark.parametrize("name", [r"\rVmRSS:x", r"\vVmRSS:9 kB", r"\x1cVmRSS:-1"])
def test_a_name_that_ends_lines_for_python_forges_none(name: str) -> None:
    """One that has ended has no memory of which the kernel would say something afterwards."""
    program = f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name}')"
    child = subprocess.Popen([sys.executable, "-c", program])
    while (found := stat(child.pid)) and found.state != "Z":
        time.sleep(0.01)
    said, memory = status(child.pid), resident_mb(child.pid)
    child.wait()
    assert said["Pid"] == str(child.pid)
    assert "VmRSS" not in said
    assert memory == 0


def test_of_a_command_line_so_much_is_read_as_anybody_needs() -> None:
    # the prompt says that it runs: the kernel knows its arguments only some time after Popen knows of it
    argv = [sys.executable, "-c", "input('there')", *["x" * 100_000] * 3]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.read(5) == b"there"
        found = text(child.pid, "cmdline")
        child.communicate(b"\n")
    assert found.startswith(sys.executable)
    assert len(found) == 64 * 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses groups")
def test_many_groups_hide_nothing_of_a_process() -> None:
    groups = range(4_000_000_000, 4_000_065_536)
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, extra_groups=groups) as child:
        found = status(child.pid)
        child.communicate()
    assert len(found["Groups"]) > 700_000
    assert {"NSpid", "VmRSS", "Threads", "voluntary_ctxt_switches"} <= {*found}


@pytest.mark.parametrize(
    ("line", "size"), [("66496 kB", 64), ("x", 0), ("", 0), ("-", 0), ("9" * 5000, 0), ("1.5 kB", 0)]
)
def test_what_is_no_number_is_no_memory(line: str, size: int) -> None:
    assert megabytes({"VmRSS": line}, "VmRSS") == size
    assert megabytes({}, "VmRSS") == 0


def test_what_has_ended_is_a_zombie_and_then_gone() -> None:
    child = subprocess.Popen(["/bin/true"])
    while (found := stat(child.pid)) and found.state != "Z":
        time.sleep(0.01)
    assert found
    child.wait()
    assert stat(child.pid) is None


def test_a_process_that_is_gone_has_nothing() -> None:
    assert stat(GONE) is None
    assert status(GONE) == {}
    assert user(GONE) is None
    assert group(GONE) is None
    assert text(GONE, "comm") == ""
    assert list(socket_inodes(GONE)) == []


def test_open_sockets_have_inodes() -> None:
    with socket.socket() as one:
        assert os.fstat(one.fileno()).st_ino in socket_inodes(os.getpid())
