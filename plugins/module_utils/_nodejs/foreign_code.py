# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Code of other people is run by root's modules as a user that owns nothing, and what it made becomes root's."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import random
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .._host import proc
from .._host.command import Identity
from .._host.errors import StabilityError
from .._host.service_tree import entries, open_directory, set_owner

# Numbers that neither Debian nor systemd gives to anybody (systemd.io/UIDS-GIDS).
_FREE = range(60_706, 61_184)
_LOCK = Path("/run/build-users.lock")
_KILL_SECONDS = 10
_POLL_SECONDS = 0.02


@contextlib.contextmanager
def nobody_else(home: Path) -> Iterator[Identity | None]:
    """A user for this one purpose, which nothing else on the host runs as; at the end none of its processes is left.

    None where this process is not root: then there are no rights to lose.
    """
    if os.geteuid() != 0:
        yield None
        return
    # Two runs on one host, each for a service of its own, must not choose alike: the first to end would kill what the
    # other runs. The kernel keeps one lock for each byte of a file, and drops it with the process.
    descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        number = _free_number(descriptor)
        identity = Identity(str(number), number, number, str(home))
        try:
            yield identity
        finally:
            end_processes(identity)
    finally:
        os.close(descriptor)


def _free_number(descriptor: int) -> int:
    return next(number for number in random.sample(_FREE, len(_FREE)) if _take(descriptor, number))


def _take(descriptor: int, number: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except BlockingIOError:
        return False
    return not _is_known(number)


def _is_known(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        with contextlib.suppress(KeyError):
            look_up(number)
            return True
    return _runs(number)


def _runs(number: int) -> bool:
    """Whether a process of that user does anything: one that has ended may wait for its parent."""
    return any(proc.user(pid) == number and proc.lives(pid) for pid in proc.pids())


def end_processes(identity: Identity) -> None:
    """Kill all processes of that user at once, also those that have left their group or session."""
    # This logic does not know AnsibleModule, so it cannot use its run_command.
    subprocess.run(  # pylint: disable=ansible-bad-function
        ["/bin/sh", "-c", "kill -KILL -1"],
        user=identity.uid,
        group=identity.gid,
        extra_groups=[],
        capture_output=True,
        timeout=_KILL_SECONDS,
        check=False,
    )
    deadline = time.monotonic() + _KILL_SECONDS
    while _runs(identity.uid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def give(path: Path, identity: Identity | None) -> None:
    """A directory or a file of root's to that user, for nobody else to look into."""
    if identity:
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def take_over(root: Path) -> None:
    """Make all files below root this process's user's, for everybody to read and nobody else to write.

    Each directory is taken before what is in it, and no link is followed. Raises StabilityError for what is neither a
    file, nor a directory, nor a link.
    """
    owner = os.geteuid(), os.getegid()
    with open_directory(root) as top:
        set_owner(top, 0o755, owner)
        for entry in entries(top, str(root)):
            mode = entry.found.st_mode
            if not (entry.is_file or entry.is_directory or stat.S_ISLNK(mode)):
                raise StabilityError(f"{entry.path} is neither a file nor a directory nor a link")
            entry.give(*owner, 0o644 if entry.is_file and not mode & 0o111 else 0o755)
