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
from typing import Any

from .._host.atomic import save_json
from .statements import Counters, Reading, Statement, Table, counters_of

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
    if abs(reading.reset - before.reset) > _SAME_TIME:
        notes.append("the counters were reset in the window: it begins there")
        tables = _tables(reading.tables, before.counters)
        return Window(reading.reset, reading.now, reading.statements, tables, tuple(notes))
    statements, back = _statements(reading.statements, before.counters)
    if back:
        notes.append(
            f"the counters of {back} statements began anew in the window: what they did before that is not in it"
        )
    if reading.dealloc > before.dealloc:
        notes.append(
            f"statements were forgotten {reading.dealloc - before.dealloc} times because there were too many kinds:"
            " raise pg_stat_statements.max"
        )
    return Window(before.taken, reading.now, statements, _tables(reading.tables, before.counters), tuple(notes))


def _statements(now: Iterable[Statement], before: Mapping[str, Counters]) -> tuple[tuple[Statement, ...], int]:
    """The statements that ran in the window, and how many counters went back."""
    found, back = [], 0
    for statement in now:
        earlier = before.get(statement.key)
        if earlier and statement.counters.went_back(earlier):
            back, earlier = back + 1, None
        counters = statement.counters.minus(earlier) if earlier else statement.counters
        if counters.calls:
            found.append(dataclasses.replace(statement, counters=counters))
    return tuple(found), back


def _tables(now: Iterable[Table], before: Mapping[str, Counters]) -> tuple[Table, ...]:
    """The tables that were scanned in the window. One that the snapshot does not know was made in it."""
    found = []
    for table in now:
        earlier = before.get(_table_key(table))
        known = earlier is not None and not table.counters.went_back(earlier)
        counters = table.counters.minus(earlier) if earlier and known else table.counters
        if counters.calls:
            found.append(dataclasses.replace(table, counters=counters))
    return tuple(found)


def _table_key(table: Table) -> str:
    return f"table {table.key}"


def snapshot_of(reading: Reading) -> Snapshot:
    counters = {statement.key: statement.counters for statement in reading.statements}
    counters |= {_table_key(table): table.counters for table in reading.tables}
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
