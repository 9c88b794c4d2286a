# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time: the kernel drops a lock with the last process that holds it, however that process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_POLL_SECONDS = 0.1
# Of a row of /proc/locks.
_INODE_COLUMN = 5


@contextlib.contextmanager
def lock(path: Path, busy: Exception, *, mode: int = 0o600, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock in that file. Raises OSError, and `busy` where somebody else still has it after `seconds`.

    Whoever can read the file can lock it, and so hold up every run.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        if not acquire(descriptor, seconds=seconds):
            raise busy
        yield
    finally:
        os.close(descriptor)


def acquire(descriptor: int, *, shared: bool = False, seconds: float = 0.0) -> bool:
    """Lock what is open, until it is closed; False where somebody else still has it after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def lock_table() -> str:
    """All locks of the host, as the kernel lists them to everybody."""
    return Path("/proc/locks").read_text(encoding="ascii", errors="replace")


def is_locked(table: str, paths: Iterable[Path]) -> bool:
    """Whether somebody holds a flock on one of the paths, from the kernel's table."""
    held = {row[_INODE_COLUMN] for line in table.splitlines() if "FLOCK" in (row := line.split()) and "->" not in row}
    return bool(held & {name for path in paths for name in _lock_names(path)})


def _lock_names(path: Path) -> set[str]:
    """How /proc/locks may name the file: by its own device, and by its mount's, which differ on some file systems."""
    try:
        status = path.stat()
    except OSError:
        return set()
    devices = {(os.major(status.st_dev), os.minor(status.st_dev)), _mount_device(path)}
    return {f"{major:02x}:{minor:02x}:{status.st_ino}" for major, minor in devices}


def _mount_device(path: Path) -> tuple[int, int]:
    """Device of the innermost mount that holds the path."""
    best, device = "", "0:0"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        fields = line.split()
        point = fields[4]
        if len(point) >= len(best) and path.is_relative_to(point):
            best, device = point, fields[2]
    major, _colon, minor = device.partition(":")
    return int(major), int(minor)
