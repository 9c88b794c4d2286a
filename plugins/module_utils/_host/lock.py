# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time: the kernel drops a lock with the last process that holds it, however that process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.1


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
