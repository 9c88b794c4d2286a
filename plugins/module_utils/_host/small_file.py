# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a file of which another user decides what it is: a pipe holds nobody up, a link leads nowhere else.

Nor is it larger than expected, and as JSON it lets no odd number in.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

# A pipe that nobody writes to would hold up who opens it.
_OPEN_AT_ALL = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
OPEN = _OPEN_AT_ALL | os.O_NOFOLLOW
# The largest whole number that a float holds exactly: no time, count or process id is larger.
_LARGEST = 2**53
_TAIL_BYTES = 256 * 1024
# The owner of a file may lease it (F_SETLEASE of fcntl(2)) and take the lease again whenever the kernel has ended it.
_LEASED = "can't be read while a process of its owner's, which /proc/locks names, has a lease on it"
# What `read_small` says of a FIFO, a link, a socket or a file that is too large.
_NO_SUCH_FILE = (errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EFBIG)


def open_regular(path: Path | str, directory: int | None = None, follow: bool = False) -> BinaryIO:
    """A regular file, open; the path may be below a descriptor. Raises OSError, also for whatever else is there.

    BlockingIOError is for one that its owner leases: it is not waited for, the lease may be taken again without an end.
    """
    try:
        descriptor = os.open(path, _OPEN_AT_ALL if follow else OPEN, dir_fd=directory)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, _LEASED, str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_open(file: BinaryIO, largest: int, path: Path | str) -> bytes:
    """What the open file holds. Raises OSError, naming the path, when that is more than `largest` bytes."""
    content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"is larger than {largest} bytes", str(path))
    return content


def read_small(path: Path | str, largest: int, directory: int | None = None) -> tuple[bytes, os.stat_result]:
    """What a regular file of at most `largest` bytes holds, and how it is; the path may be below a descriptor.

    Raises OSError, also for a link, whatever else is no regular file, and one that is larger.
    """
    with open_regular(path, directory) as file:
        # asked first: what is written meanwhile is seen as newer the next time
        seen = os.fstat(file.fileno())
        return read_open(file, largest, path), seen


def tail(path: Path | str, directory: int | None = None) -> list[str]:
    """The last lines of a log, 256 KiB of them; none where it can't be read. The path may be below a descriptor."""
    try:
        with open_regular(path, directory) as file:
            start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
            file.seek(start)
            lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[1:] if start else lines


def read_json(path: Path, limit: int) -> Any:
    """The content of a regular file of at most `limit` bytes. Raises OSError for what can't be read.

    Raises ValueError for whatever is no such file or holds no such content, also numbers that are not finite or beyond
    2^53, and RecursionError for too many brackets.
    """
    try:
        content, _found = read_small(path, limit)
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            raise ValueError(error.strerror) from error
        raise
    return json.loads(content.decode("utf-8"), parse_float=_float, parse_int=_int, parse_constant=_refuse)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > _LARGEST:
        _refuse(text)
    return value


def _int(text: str) -> int:
    if len(text) > len(str(-_LARGEST)) or abs(int(text)) > _LARGEST:
        _refuse(text)
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no number that is used here")
