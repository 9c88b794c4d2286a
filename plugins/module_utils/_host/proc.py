# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says about processes and this boot: for what psutil does not know, and where it is not installed.

python3-psutil comes with the roles diagnostics and watchdog. What runs before them, on proxies, or at a removal can't
use it, and psutil gives neither inodes of sockets nor a start time that a setting of the clock leaves alone.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _STARTED = 0, 1, 19
# Of pidfd_open(2), where nothing has the number, or a thread has it (the kernels differ).
_NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)
# A process decides where its command line lies and how long it is, gigabytes if it likes (PR_SET_MM_MAP of prctl(2)).
_MOST_BYTES = 64 * 1024
# What the kernel writes itself, a line of up to 65,536 groups (setgroups(2)) before much of what is looked for here.
_MOST_STATUS_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Stat:
    """Of a process, by proc_pid_stat(5)."""

    state: str
    """A letter: Z of one that has ended and waits for its parent, T of one that a signal stopped."""
    parent: int
    started: float
    """In seconds since boot."""


def stat(pid: int) -> Stat | None:
    """None when the process is gone."""
    try:
        # the name before them, in parentheses, may hold anything
        found = text(pid, "stat").rpartition(")")[2].split()
        return Stat(found[_STATE], int(found[_PARENT]), int(found[_STARTED]) / _TICKS)
    except (IndexError, ValueError):
        return None


def lives(pid: int) -> bool:
    """Whether the process is there, and not only what is left of it until its parent asks."""
    found = stat(pid)
    return found is not None and found.state != "Z"


def status(pid: int) -> dict[str, str]:
    """The lines of proc_pid_status(5) by their names; none when the process is gone."""
    return fields(text(pid, "status", most=_MOST_STATUS_BYTES))


def fields(table: str) -> dict[str, str]:
    """Lines of a name, a colon and a value, as those of proc_meminfo(5) are."""
    # a process's name may hold whatever else splitlines() takes for the end of a line
    pairs = (line.partition(":") for line in table.split("\n") if line)
    return {name: value.strip() for name, _colon, value in pairs}


def resident_mb(pid: int) -> int:
    """Its memory; 0 when it is gone."""
    return megabytes(status(pid), "VmRSS")


def megabytes(table: Mapping[str, str], name: str) -> int:
    """Of a line such as `VmRSS: 66496 kB`; 0 when there is none, or no number in it."""
    try:
        return int(table[name].split()[0]) // 1024
    except (KeyError, IndexError, ValueError):
        return 0


def memory_mb(name: str) -> int:
    """A line of proc_meminfo(5), such as MemTotal."""
    return megabytes(fields(Path("/proc/meminfo").read_text(encoding="utf-8")), name)


def user(pid: int) -> int | None:
    """Number of the user that the process runs as; None when it is gone."""
    return _real_id(pid, "Uid")


def group(pid: int) -> int | None:
    """Number of the group that the process runs with; None when it is gone."""
    return _real_id(pid, "Gid")


def _real_id(pid: int, name: str) -> int | None:
    ids = status(pid).get(name)
    return int(ids.split()[0]) if ids else None


def text(pid: int, name: str, table: Path = _PROC, most: int = _MOST_BYTES) -> str:
    """The beginning of a file of a process, its arguments parted by blanks; "" when the process is gone."""
    try:
        return beginning(pid, name, most, table).decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        return ""


def beginning(pid: int, name: str, most: int, table: Path = _PROC) -> bytes:
    """The first `most` bytes of a file of a process. Raises OSError."""
    with (table / str(pid) / name).open("rb") as file:
        return file.read(most)


def pids(table: Path = _PROC) -> list[int]:
    """All processes of the host."""
    return [int(entry.name) for entry in os.scandir(table) if entry.name.isdecimal()]


def children(parent: int) -> list[int]:
    """The processes that this one has started itself, or taken over."""
    return [pid for pid in pids() if (found := stat(pid)) and found.parent == parent]


def send(pid: int, which: signal.Signals, is_meant: Callable[[], bool]) -> bool:
    """Send a signal to the very process that was judged, and not to a later one of its number. False when it is gone.

    `is_meant` is asked while the number can't become another one's: what it finds is true of whoever gets the signal.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _NO_PROCESS:
            return False
        raise
    try:
        if not is_meant():
            return False
        signal.pidfd_send_signal(descriptor, which)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def socket_inodes(pid: int) -> Iterator[int]:
    """Inodes of the sockets that a process has open; none when it is gone or may not be looked into."""
    try:
        descriptors = list(os.scandir(_PROC / str(pid) / "fd"))
    except OSError:
        return
    for entry in descriptors:
        try:
            target = Path(entry.path).readlink().name
        except OSError:
            continue
        if target.startswith("socket:["):
            yield int(target[len("socket:[") : -1])


def socket_holder(inode: int, among: Iterable[int]) -> int | None:
    """Which of the processes has the socket open; None when none has, or none that may be looked into."""
    return next((pid for pid in among if inode in socket_inodes(pid)), None)


def wait_for_holder(inode: Callable[[], int], among: Collection[int], seconds: float, pause: float) -> int | None:
    """The same of a socket that has an inode once it is accepted; None when that has not happened within the time."""
    deadline = time.monotonic() + seconds
    while True:
        number = inode()
        found = socket_holder(number, among) if number else None
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(pause)


def boot_id() -> str:
    """This boot's name. In a container it is the machine's: there a restart of the container is no new boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def uptime() -> float:
    """Seconds since this boot, sleep included, which no setting of the clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
