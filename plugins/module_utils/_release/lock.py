# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deployment of a service at a time, one build of it at a time, and who is at it.

A build changes nothing that serves: it has a lock of its own, and goes on beside an activation. The kernel drops a lock
with the last process that holds it, however that process ends: nothing is ever left to be removed by hand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from .._host.console import visible
from .._host.errors import StabilityError
from .._host.lock import acquire
from .._service.active import BUILD_LOCK, DEPLOY_LOCK
from .store import is_full

_RECORD_BYTES = 1024
# Whoever asks who holds it has it for a moment.
_PATIENCE = 1.0


class DeployLockError(StabilityError):
    """The lock can't be had: another deployment is at work (what, who began it and when), or the disk is full."""


def lock_path(releases: Path) -> Path:
    """Where the lock of a service lies whose releases are in that directory."""
    return releases.parent / DEPLOY_LOCK


def build_lock_path(releases: Path) -> Path:
    """Where the one lies of whoever fetches and builds a release there."""
    return releases.parent / BUILD_LOCK


@contextlib.contextmanager
def deploy_lock(path: Path, what: str, who: str) -> Iterator[None]:
    """Hold the lock at path, or raise DeployLockError within a second; OSError where the file can't be made.

    what and who are for the people whom it keeps out ("release 3fa9c1d2e0b7", "alice@laptop"). No child inherits it.
    """
    with _clear_when_full(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not acquire(descriptor, seconds=_PATIENCE):
            raise DeployLockError(
                f"Another deployment is at work: {_holder(descriptor)}. Nothing was changed. Wait until it has ended,"
                " or end that process on the host by `kill`."
            )
        now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        with _clear_when_full(path):
            _record(descriptor, f"{what}, begun by {who or 'root'} at {now}, process {os.getpid()}")
        try:
            yield
        finally:
            # a stale record says nothing: it is read only while somebody holds the lock
            with contextlib.suppress(OSError):
                _record(descriptor, "")
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> str:
    """Who holds the lock at path, without waiting for it; "" when nobody does. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    try:
        return "" if acquire(descriptor, shared=True) else _holder(descriptor)
    finally:
        os.close(descriptor)


def at_work(releases: Path) -> str:
    """Who builds or activates a release there; "" when nobody does. Raises OSError."""
    return lock_holder(build_lock_path(releases)) or lock_holder(lock_path(releases))


def _holder(descriptor: int) -> str:
    """One line, in which no terminal finds anything to obey: who it was has come from a controller."""
    return visible(os.pread(descriptor, _RECORD_BYTES, 0).decode(errors="replace").strip()) or "it just began"


def _record(descriptor: int, text: str) -> None:
    """Always in the same bytes of the file: once it has them, it needs no room on the disk."""
    record = text.encode()[:_RECORD_BYTES].ljust(_RECORD_BYTES)
    if os.pwrite(descriptor, record, 0) != len(record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def _clear_when_full(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        free = shutil.disk_usage(path.parent).free
        raise DeployLockError(
            f"The disk that holds {path} is full ({free} bytes free, {_RECORD_BYTES} are needed to say who deploys):"
            " free some space. Nothing was changed."
        ) from error
