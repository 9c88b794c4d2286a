# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What processes, the watchdog's own too, and the service's files take of the host, and what is left of it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterable

from ..._host import proc
from ..._host.processes import load_library

MB = 1024 * 1024
# The service makes as many files as it wants.
_MOST_FILES = 1000


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a process takes of the host."""

    rss: int = 0
    """Of it and its descendants, in bytes; 0 while unknown."""
    cpu_seconds: float | None = None
    """Of its own, since it was started."""
    open_files: int | None = None


@dataclasses.dataclass(frozen=True)
class Room:
    """What is free in a file system for others than root."""

    free: int
    """Bytes."""
    inodes: int | None = None
    """None where their number is not fixed."""


@dataclasses.dataclass(frozen=True)
class OwnCost:
    """What the watchdog takes. Seconds of a processor, since it was started; bytes."""

    cpu_seconds: float = 0.0
    commands_cpu_seconds: float = 0.0
    """Of the commands that it has run and that have ended, the diagnosis above all."""
    rss: int = 0


def usage_of(pid: int) -> Usage:
    """What ends meanwhile counts nothing."""
    psutil = load_library("psutil", "python3-psutil")
    total = 0
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
        times, open_files = root.cpu_times(), root.num_fds()
    except psutil.Error:
        return Usage()
    for member in members:
        with contextlib.suppress(psutil.Error):
            total += member.memory_info().rss
    return Usage(total, times.user + times.system, open_files)


def room(paths: Iterable[str]) -> dict[str, Room]:
    """By path; a path that is not there has none."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            seen = os.statvfs(path)
            found[path] = Room(seen.f_bavail * seen.f_frsize, seen.f_favail if seen.f_files else None)
    return found


def size_of(directory: str) -> int | None:
    """Bytes of the files in it, but for what is in further directories; None where it can't be read."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in itertools.islice(entries, _MOST_FILES):
                # rotated away at this moment
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else 0
    except OSError:
        return None
    return total


def own_cost() -> OwnCost:
    times = os.times()
    rss = proc.resident_mb(os.getpid()) * MB
    return OwnCost(times.user + times.system, times.children_user + times.children_system, rss)
