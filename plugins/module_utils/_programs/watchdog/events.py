# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the watchdog reports what it sees and does: two logs of JSON lines, and a file for each event for alerting.

None of it may keep the watchdog from its work: what can't be written is counted and reported as a problem.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._host.atomic import save_json
from .model import Event

_MOST_EVENTS = 1000
_LOG_MODE = 0o640


def as_record(event: Event, wall: float) -> dict[str, Any]:
    return {"time": round(wall, 3), **dataclasses.asdict(event)}


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """One line of JSON, in one write; the file is reopened each time, so rotation loses nothing. Raises OSError."""
    line = json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
    # a FIFO in its place would wait for a reader
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, _LOG_MODE)
    try:
        written = os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if written != len(line):
        raise OSError(28, os.strerror(28), str(path))


class Outbox:
    """The directory from which alerting takes events, oldest first. Where nobody takes them, the oldest are dropped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self._waiting: collections.deque[dict[str, Any]] = collections.deque(maxlen=_MOST_EVENTS)

    def put(self, event: Event, wall: float) -> None:
        """Raises OSError; then the event waits for the next `put` or `flush`."""
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        self._waiting.append({"id": name, **as_record(event, wall)})
        self.flush()

    def flush(self) -> None:
        """Write what could not be written before. Raises OSError."""
        while self._waiting:
            self._directory.mkdir(mode=0o750, exist_ok=True)
            self._make_room()
            save_json(self._directory / f"{self._waiting[0]['id']}.json", self._waiting[0])
            self._waiting.popleft()

    def _make_room(self) -> None:
        waiting = sorted(entry.name for entry in os.scandir(self._directory) if entry.name.endswith(".json"))
        for name in waiting[: max(0, len(waiting) - _MOST_EVENTS + 1)]:
            # what is no file does not count for long: alerting puts it aside
            with contextlib.suppress(OSError):
                (self._directory / name).unlink()
