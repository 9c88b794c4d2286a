# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a file of which another user decides what it is: a pipe holds nobody up, a link leads nowhere else."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# A pipe that nobody writes to would hold up who opens it.
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_small(path: Path | str, largest: int, directory: int | None = None) -> tuple[bytes, os.stat_result]:
    """What a regular file of at most `largest` bytes holds, and how it is; the path may be below a descriptor.

    Raises OSError, also for a link, whatever else is no regular file, and one that is larger.
    """
    descriptor = os.open(path, OPEN, dir_fd=directory)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        # a file is read at once; what grows meanwhile is cut and, as JSON, no longer whole
        content = os.read(descriptor, largest + 1)
        if len(content) > largest:
            raise OSError(errno.EFBIG, f"it is larger than {largest} bytes", str(path))
        return content, seen
    finally:
        os.close(descriptor)
