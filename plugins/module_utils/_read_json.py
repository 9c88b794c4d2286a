# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a small JSON file that others may have written or replaced: it neither waits nor lets an odd number in."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

# The largest whole number that a float holds exactly: no time, count or process id is larger.
_LARGEST = 2**53


def read_json(path: Path, limit: int) -> Any:
    """The content of a regular file, of its first `limit` bytes. Raises FileNotFoundError where there is nothing.

    Raises ValueError for whatever is no such file or holds no such content, also numbers that are not finite or beyond
    2^53; RecursionError for too many brackets; OSError for what can't be read.
    """
    # a FIFO would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        text = os.read(descriptor, limit).decode("utf-8")
    finally:
        os.close(descriptor)
    return json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_refuse)


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
