# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Earlier readings, kept in a small file: what grows or recurs shows only against what was there before."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

from ..._host.atomic import save_json
from ..records import load_or_new

# Runs by hand between the hourly ones must not shorten the time that growth is measured over.
_SHORTEST_STEP = 600.0
_SHORTEST_RATE = 60.0
_HOUR = 3600.0
# What a run could not read (PM2 did not answer) is still wanted by the next one.
_KEPT = 48 * _HOUR
_MAX_FILE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Sample:
    identity: str
    """What the value belongs to (a file's inode, a process's name): another identity is another thing."""
    value: float
    time: float
    since: float
    """When this identity was seen first."""


@dataclasses.dataclass(frozen=True)
class _Kept:
    samples: dict[str, Sample] = dataclasses.field(default_factory=dict)
    events: dict[str, list[tuple[float, ...]]] = dataclasses.field(default_factory=dict)
    """When something happened, and how many times."""


def per_hour(grown: float, seconds: float) -> float | None:
    """A rate; None over a time too short to tell."""
    return grown * _HOUR / seconds if seconds >= _SHORTEST_RATE else None


class Samples:
    """The samples of a file; a missing or corrupt file is one without samples. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept = load_or_new(_Kept, path, _MAX_FILE)

    def previous(self, key: str) -> Sample | None:
        with self._lock:
            return self._kept.samples.get(key)

    def record(self, key: str, identity: str, value: float, now: float, step: float = _SHORTEST_STEP) -> Sample:
        """Keep a reading and return the sample that is now in force (its `since` tells the identity's age).

        A sample of the same identity that is younger than `step` stays.
        """
        with self._lock:
            before = self._kept.samples.get(key)
            # A sample from the future means that the clock was set back: it would never be replaced.
            same = before is not None and before.identity == identity and before.time <= now
            since = before.since if same and before else now
            if not (same and before and now - before.time < step):
                before = Sample(identity, value, now, since)
            self._kept.samples[key] = before
            return before

    def baseline(self, key: str, identity: str, value: float, now: float, least: float) -> Sample | None:
        """Keep a reading, and return one that is `least` to twice as old, or older for rarer runs.

        There are always two: with one alone there would be nothing to compare with each time that it is replaced.
        """
        newer, older = self.previous(key), self.previous(f"{key}.before")
        if newer is not None and newer.time <= now - least:
            older = self.record(f"{key}.before", newer.identity, newer.value, newer.time, step=0)
        self.record(key, identity, value, now, step=least)
        return older if older is not None and older.time <= now - least else None

    def happened(self, key: str, amount: float, now: float, seconds: float) -> float:
        """Note that something happened so many times just now; return how many times it did in the last `seconds`."""
        with self._lock:
            events = [event for event in self._kept.events.get(key, []) if now - seconds < event[0] <= now]
            if amount > 0:
                events.append((now, amount))
            self._kept.events[key] = events
            return sum(count for _time, count in events)

    def save(self) -> None:
        """Write what is known, atomically, but for what was not seen for long. Raises OSError."""
        with self._lock:
            newest = max((sample.time for sample in self._kept.samples.values()), default=0.0)
            oldest = newest - _KEPT
            kept = _Kept(
                {key: sample for key, sample in sorted(self._kept.samples.items()) if sample.time > oldest},
                # those of what is gone, such as a release's worker, nobody asks for any more
                {
                    key: recent
                    for key, events in self._kept.events.items()
                    if (recent := [event for event in events if event[0] > oldest])
                },
            )
        save_json(self._path, dataclasses.asdict(kept))
