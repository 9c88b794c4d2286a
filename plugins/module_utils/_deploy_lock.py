# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deployment of a service at a time, and who is at it.

The kernel drops the lock with the last process that holds it, however that process ends: nothing is ever left to be
removed by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


class DeployLockError(Exception):
    """Another deployment is at work; the message says what it does, who began it and when."""


def lock_path(releases: Path) -> Path:
    """Where the lock of a service lies whose releases are in that directory."""
    return releases.parent / ".deploy.lock"


@contextlib.contextmanager
def deploy_lock(path: Path, what: str, who: str) -> Iterator[int]:
    """Hold the lock at path, or raise DeployLockError at once; OSError where the file can't be made.

    what and who are for the people whom it keeps out ("release 3fa9c1d2e0b7", "alice@laptop"). Yields the descriptor
    that holds the lock: a child that inherits it (a build) keeps the lock for as long as it runs.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "it just began"
            raise DeployLockError(f"Another deployment is at work: {holder}. Nothing was changed.") from None
        now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        file.truncate(0)
        file.write(f"{what}, begun by {who or 'root'} at {now}, process {os.getpid()}")
        file.flush()
        try:
            yield file.fileno()
        finally:
            file.truncate(0)
