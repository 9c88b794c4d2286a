# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happened since an earlier reading of pg_stat_statements: its counters only grow, and now and then start anew.

The earlier reading is kept in a file, which holds counters and no text of any statement.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .._host.atomic import save_json
from .statements import Counters, Reading, Statement, Table, counters_of

_Counted = TypeVar("_Counted", Statement, Table)

_FORM = 1
_LARGEST_FILE = 64 * 1024 * 1024
# A reset is told in the microseconds of the server's clock, which a float does not hold all of.
_SAME_TIME = 0.001


@dataclasses.dataclass(frozen=True)
class Snapshot:
    taken: float
    reset: float
    started: float
    dealloc: int
    counters: Mapping[str, Counters]


@dataclasses.dataclass(frozen=True)
class Window:
    """Statements and scans between `since` and `until`; `notes` say what a reader must know about the figures."""

    since: float
    until: float
    statements: tuple[Statement, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return max(0.0, self.until - self.since)


def window(reading: Reading, before: Snapshot | None) -> Window:
    """The differences to an earlier snapshot; without one, all since the last reset of the counters."""
    notes = list(reading.notes)
    if before is None:
        notes.append("there is no earlier snapshot: the window begins at the last reset of the counters")
        return Window(reading.reset, reading.now, reading.statements, reading.tables, tuple(notes))
    if reading.started > before.taken:
        notes.append("the server was restarted in the window")
    tables, _back = _since(reading.tables, before.counters)
    if abs(reading.reset - before.reset) > _SAME_TIME:
        notes.append("the counters were reset in the window: it begins there")
        return Window(reading.reset, reading.now, reading.statements, tables, tuple(notes))
    statements, back = _since(reading.statements, before.counters)
    if back:
        notes.append(
            f"the counters of {back} statements began anew in the window: what they did before that is not in it"
        )
    if reading.dealloc > before.dealloc:
        notes.append(
            f"statements were forgotten {reading.dealloc - before.dealloc} times because there were too many kinds:"
            " raise pg_stat_statements.max"
        )
    return Window(before.taken, reading.now, statements, tables, tuple(notes))


def _since(now: Iterable[_Counted], before: Mapping[str, Counters]) -> tuple[tuple[_Counted, ...], int]:
    """What ran in the window, and how many counters went back. What the snapshot does not know began in it."""
    found, back = [], 0
    for each in now:
        earlier, counters = before.get(_key(each)), each.counters
        if earlier and counters.went_back(earlier):
            back += 1
        elif earlier:
            counters = counters.minus(earlier)
        if counters.calls:
            found.append(dataclasses.replace(each, counters=counters))
    return tuple(found), back


def _key(each: Statement | Table) -> str:
    return f"table {each.key}" if isinstance(each, Table) else each.key


def snapshot_of(reading: Reading) -> Snapshot:
    counted: tuple[Statement | Table, ...] = (*reading.statements, *reading.tables)
    counters = {_key(each): each.counters for each in counted}
    return Snapshot(reading.now, reading.reset, reading.started, reading.dealloc, counters)


def load(path: Path) -> Snapshot | None:
    """The snapshot of a file; None where there is none, or none that can be understood."""
    try:
        with path.open(encoding="utf-8") as file:
            content: dict[str, Any] = json.loads(file.read(_LARGEST_FILE))
        if content["form"] != _FORM:
            return None
        counters = {str(key): counters_of(values) for key, values in content["counters"].items()}
        taken, reset, started = (float(content[name]) for name in ("taken", "reset", "started"))
        return Snapshot(taken, reset, started, int(content["dealloc"]), counters)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def save(path: Path, snapshot: Snapshot) -> None:
    """Write the snapshot, atomically, readable by its owner alone. Raises OSError."""
    content = {"form": _FORM, **dataclasses.asdict(snapshot)}
    content["counters"] = {key: list(dataclasses.astuple(value)) for key, value in snapshot.counters.items()}
    save_json(path, content)


def baseline(path: Path, now: float, least: float) -> tuple[Snapshot | None, bool]:
    """The snapshot to compare with, and whether the kept one is to be replaced by a new one.

    The one before the kept one is there, too: soon after a replacement the window would say nothing.
    """
    kept, earlier = load(path), load(_earlier(path))
    # A snapshot from the future, after the clock was set back, would stay for ever.
    if kept is None or kept.taken > now or now - kept.taken >= least:
        return kept, True
    return earlier or kept, False


def replace(path: Path, snapshot: Snapshot) -> None:
    """Keep a new snapshot, and the last one beside it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(_earlier(path))
    save(path, snapshot)


def _earlier(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
