# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import acquire, lock

BUSY = StabilityError("somebody else has it")


def test_the_second_is_told_and_gets_it_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, BUSY):
        with pytest.raises(StabilityError, match="somebody else"), lock(path, BUSY):
            pass
        assert path.stat().st_mode & 0o777 == 0o600
    with lock(path, BUSY):
        pass


def test_it_is_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, BUSY):
        began = time.monotonic()
        with pytest.raises(StabilityError), lock(path, BUSY, seconds=0.3):
            pass
        assert time.monotonic() - began >= 0.3
    held = os.open(path, os.O_RDWR)
    assert acquire(held)
    threading.Timer(0.3, lambda: os.close(held)).start()
    with lock(path, BUSY, seconds=10):
        pass


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    holder = "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(60)"
    path = tmp_path / "lock"
    path.touch()
    process = subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StabilityError), lock(path, BUSY):
        pass
    process.kill()
    process.communicate()
    with lock(path, BUSY):
        pass


def test_what_is_raised_while_it_is_held_is_no_matter_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="another file"), lock(tmp_path / "lock", BUSY):
        raise BlockingIOError("another file")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), lock(tmp_path / "lock", BUSY):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_all_could_lock_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(0o666)
    with lock(tmp_path / "lock", BUSY):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_those_who_share_it_keep_out_only_who_does_not(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    first, second, third = (os.open(path, os.O_RDONLY) for _number in range(3))
    try:
        assert acquire(first, shared=True)
        assert acquire(second, shared=True)
        assert not acquire(third)
    finally:
        for descriptor in (first, second, third):
            os.close(descriptor)
