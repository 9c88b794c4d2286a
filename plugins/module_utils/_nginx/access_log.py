# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The access log of one site, line by line as Nginx writes it: one JSON object a line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .._host.small_file import open_regular

_PIECE = 1 << 20
_LONGEST_LINE = 1 << 16
"""Nginx takes no longer header than 32 KiB; escaped for JSON a byte may become six."""
_SETTLED_SECONDS = 60.0
"""After a rotation Nginx writes to the old file until its workers have taken the signal."""


@dataclass
class _File:
    file: BinaryIO
    identity: tuple[int, int]
    rest: bytes = b""
    written: float = 0.0
    """When something new was last found in it, or it was opened; monotonic."""


class AccessLog:
    """Gives each line once. A file that was renamed is read on beside its successor, until nothing comes any more."""

    def __init__(self, path: Path, history: int = 0) -> None:
        """`history` is how many bytes of what is there already count as new."""
        self._path = path
        self._history = history
        self._files: list[_File] = []
        self._began = False

    def lines(self) -> Iterator[bytes]:
        """What has been written since the last call. A log that is not there has no line yet. Raises OSError."""
        self._look()
        for one in self._files:
            yield from _read(one)
        quiet = time.monotonic() - _SETTLED_SECONDS
        for one in [one for one in self._files[:-1] if one.written < quiet]:
            one.file.close()
            self._files.remove(one)

    def _look(self) -> None:
        """Open the file that is at the path now, if it is another one."""
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            self._began = True
            return
        found = os.fstat(file.fileno())
        identity = (found.st_dev, found.st_ino)
        if self._files and self._files[-1].identity == identity:
            file.close()
            return
        if not self._began and found.st_size > self._history:
            file.seek(found.st_size - self._history)
            if self._history:
                file.readline()
        self._began = True
        self._files.append(_File(file, identity, written=time.monotonic()))


def _read(one: _File) -> Iterator[bytes]:
    if os.fstat(one.file.fileno()).st_size < one.file.tell():
        # emptied in its place
        one.file.seek(0)
        one.rest = b""
    while piece := one.file.read(_PIECE):
        one.written = time.monotonic()
        *lines, one.rest = (one.rest + piece).split(b"\n")
        yield from lines
        if len(one.rest) > _LONGEST_LINE:
            one.rest = b""
