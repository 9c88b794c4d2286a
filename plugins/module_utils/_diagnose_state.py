# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Earlier readings, kept in a small file: what grows or recurs shows only against what was there before."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

from ._state_file import save_json

# Runs by hand between the hourly ones must not shorten the time that growth is measured over.
_SHORTEST_STEP = 600.0
_SHORTEST_RATE = 60.0
_HOUR = 3600.0
_MAX_FILE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Sample:
    identity: str
    """What the value belongs to (a file's inode, a process's name): another identity is another thing."""
    value: float
    time: float
    since: float
    """When this identity was seen first."""


def per_hour(grown: float, seconds: float) -> float | None:
    """A rate; None over a time too short to tell."""
    return grown * _HOUR / seconds if seconds >= _SHORTEST_RATE else None


class Samples:
    """The samples of a file; a missing or corrupt file is one without samples. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._samples = _load(path)
        self._seen: set[str] = set()

    def previous(self, key: str) -> Sample | None:
        with self._lock:
            return self._samples.get(key)

    def record(self, key: str, identity: str, value: float, now: float) -> Sample:
        """Keep a reading and return the sample that is now in force (its `since` tells the identity's age)."""
        with self._lock:
            before = self._samples.get(key)
            # A sample from the future means that the clock was set back: it would never be replaced.
            same = before is not None and before.identity == identity and before.time <= now
            since = before.since if same and before else now
            if not (same and before and now - before.time < _SHORTEST_STEP):
                before = Sample(identity, value, now, since)
            self._samples[key] = before
            self._seen.add(key)
            return before

    def save(self) -> None:
        """Write what was recorded in this run, atomically. Raises OSError."""
        with self._lock:
            kept = {key: dataclasses.asdict(self._samples[key]) for key in sorted(self._seen)}
        save_json(self._path, kept)


def _load(path: Path) -> dict[str, Sample]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            content = json.loads(file.read(_MAX_FILE))
        return {str(key): _sample(value) for key, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def _sample(value: Any) -> Sample:
    return Sample(str(value["identity"]), float(value["value"]), float(value["time"]), float(value["since"]))
