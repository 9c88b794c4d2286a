# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was measured of a service over a day and over four weeks, and what happened, in a database that does not grow.

Each minute of a day and each half hour of four weeks has one place, which its successor takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from .._host.errors import StabilityError

MINUTE = 60
HALF_HOUR = 1800
DAY = 86400
WEEKS = 28 * DAY
_PLACES = {MINUTE: DAY // MINUTE, HALF_HOUR: WEEKS // HALF_HOUR}
# What is recorded comes from a status that may be of a hostile user.
_MOST_SERIES = 200
_MOST_EVENTS = 1000
_LONGEST_NAME = 100
_LONGEST_TEXT = 500
_BUSY_SECONDS = 5.0
_MODE = 0o600
_TABLES = """
CREATE TABLE IF NOT EXISTS reading (
  step INTEGER, place INTEGER, series TEXT, time INTEGER, mean REAL, peak REAL, minutes INTEGER,
  PRIMARY KEY (step, place, series)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
  time REAL, kind TEXT, key TEXT, code TEXT, severity TEXT, message TEXT,
  PRIMARY KEY (time, kind, key)
) WITHOUT ROWID;
"""
_PUT = "INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, 1)"
_IS_SOUND = "PRAGMA quick_check(1)"
_SUM_UP = """
INSERT INTO reading
SELECT :half_hour, :place, series, :begin, AVG(mean), MAX(peak), COUNT(*) FROM reading
WHERE step = :minute AND place BETWEEN :first AND :last AND time BETWEEN :begin AND :time
GROUP BY series ORDER BY COUNT(*) DESC, series LIMIT :most
"""
_POINTS = """
SELECT series, time / :width * :width AS began, SUM(mean * minutes), MAX(peak), SUM(minutes) FROM reading
WHERE step = :step AND time >= :since AND time <= :until
GROUP BY series, began ORDER BY series, began
"""
_FORGET = """
DELETE FROM event WHERE time NOT BETWEEN :oldest AND :latest
OR (time, kind, key) NOT IN (SELECT time, kind, key FROM event ORDER BY time DESC, kind, key LIMIT :most)
"""


@dataclasses.dataclass(frozen=True)
class Point:
    """What was recorded of one series in a while that began then, in Unix time."""

    time: int
    total: float
    """Of what is counted: all of it. Minutes without a reading count nothing."""
    peak: float
    minutes: int

    @property
    def mean(self) -> float:
        """Of a minute."""
        return self.total / self.minutes


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened; `time` in Unix time."""

    time: float
    kind: str
    key: str
    code: str
    severity: str
    message: str


class HistoryError(StabilityError):
    """The database can't be read or written at the moment."""


class DamageError(HistoryError):
    """There is something wrong in it. Whoever opens it to write replaces it."""


class History:
    """The database, which only its owner writes."""

    def __init__(self, path: Path) -> None:
        """What is damaged is replaced by an empty one. Raises HistoryError."""
        with _told(path):
            try:
                self._database = _create(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                path.unlink()
                self._database = _create(path)
        self._path = path

    def close(self) -> None:
        self._database.close()

    def record(self, time: int, readings: Mapping[str, tuple[float, float]]) -> None:
        """The mean and the peak of each series in the minute that began then. Raises HistoryError."""
        places = {step: time // step % count for step, count in _PLACES.items()}
        series = sorted((name[:_LONGEST_NAME], *values) for name, values in readings.items())[:_MOST_SERIES]
        begin = time // HALF_HOUR * HALF_HOUR
        half_hour = {"half_hour": HALF_HOUR, "place": places[HALF_HOUR], "begin": begin, "most": _MOST_SERIES}
        minutes = {"minute": MINUTE, "first": begin // MINUTE % _PLACES[MINUTE], "last": places[MINUTE], "time": time}
        with _told(self._path), self._database as database:
            database.executemany("DELETE FROM reading WHERE step = ? AND place = ?", places.items())
            rows = [(MINUTE, places[MINUTE], name, time, mean, peak) for name, mean, peak in series]
            database.executemany(_PUT, rows)
            database.execute(_SUM_UP, half_hour | minutes)

    def note(self, events: Iterable[Event], now: float) -> None:
        """Keep what is not known yet: of the last four weeks, and no more than 1,000. Raises HistoryError."""
        rows = [
            (event.time, *(_plain(text) for text in dataclasses.astuple(event)[1:]))
            for event in events
            if now - WEEKS < event.time <= now + MINUTE
        ]
        with _told(self._path), self._database as database:
            database.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.execute(_FORGET, {"oldest": now - WEEKS, "latest": now + MINUTE, "most": _MOST_EVENTS})

    def points(self, step: int, since: float, until: float, width: int) -> dict[str, list[Point]]:
        """What was recorded at each `step` in that time, by series, summed up to points of so many seconds.

        Raises HistoryError.
        """
        given = {"step": step, "since": since, "until": until, "width": width}
        found: dict[str, list[Point]] = defaultdict(list)
        with _told(self._path):
            for series, *values in self._database.execute(_POINTS, given):
                found[series].append(Point(*values))
        return dict(found)

    def events(self, since: float, kind: str = "%") -> list[Event]:
        """Oldest first. Raises HistoryError."""
        asked = "SELECT * FROM event WHERE time >= ? AND kind LIKE ? ORDER BY time"
        with _told(self._path):
            return [Event(*row) for row in self._database.execute(asked, (since, kind))]


class Kept(History):
    """What somebody else records, to be read."""

    def __init__(self, path: Path) -> None:
        """Raises HistoryError, also where nothing has been recorded yet."""
        with _told(path):
            self._database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=_BUSY_SECONDS, uri=True)
        self._path = path


def _create(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)))
        database.executescript(_TABLES)
        (found,) = database.execute(_IS_SOUND).fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        path.chmod(_MODE)
        stack.pop_all()
    return database


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise HistoryError(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise DamageError(f"{path}: {error}") from error


def _plain(text: str) -> str:
    """Cut to size, and without halves of characters, which no database takes."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
