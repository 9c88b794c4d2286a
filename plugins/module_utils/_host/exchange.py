# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two files or directories that take each other's name, which Python has no call for."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from .atomic import sync

# Of renameat2(2), where a path is absolute.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one: Path, other: Path) -> None:
    """In one moment, on one file system, and durable. Raises OSError; then each has the name that it had."""
    names = [os.fsencode(path) for path in (one, other)]
    if ctypes.CDLL(None, use_errno=True).renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
    for path in (one, other):
        sync(path.parent)
