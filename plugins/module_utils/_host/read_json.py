# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a small JSON file that others may have written or replaced: it neither waits nor lets an odd number in."""

from __future__ import annotations

import errno
import json
import math
from pathlib import Path
from typing import Any, NoReturn

from .small_file import read_small

# The largest whole number that a float holds exactly: no time, count or process id is larger.
_LARGEST = 2**53
# What `read_small` says of a FIFO, a link, a socket or a file that is too large.
_NO_SUCH_FILE = (errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EFBIG)


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
