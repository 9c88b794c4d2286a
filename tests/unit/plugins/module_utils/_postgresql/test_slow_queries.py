# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Windows between readings, slow statements, N+1 suspects and tables that are read as a whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    Thresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.slow_queries import (
    SlowLimits,
    figures,
    judge,
    suspects,
    top,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.statements import (
    Counters,
    Reading,
    Statement,
    Table,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.window import (
    Window,
    baseline,
    load,
    replace,
    save,
    snapshot_of,
    window,
)

LIMITS = SlowLimits(Thresholds(500, 5000))
LOOKUP = "SELECT name FROM robots WHERE id = $1"
LIST = "SELECT robot_id FROM conversations ORDER BY id LIMIT $1"
JOIN = "SELECT c.id, r.name FROM conversations c JOIN robots r ON r.id = c.robot_id WHERE c.id > $1 LIMIT $2"


def statement(query: str, calls: int = 1, rows: int = 1, ms: float = 1.0, **more: Any) -> Statement:
    return Statement(more.pop("key", query), more.pop("role", "app"), query, Counters(calls, rows, ms, **more))


def reading(*statements: Statement, tables: tuple[Table, ...] = (), **source: Any) -> Reading:
    usual = {"now": 1000.0, "started": 10.0, "reset": 20.0, "dealloc": 0, "notes": ()}
    return Reading(**{**usual, **source}, statements=statements, tables=tables)


def seen(*statements: Statement, tables: tuple[Table, ...] = ()) -> Window:
    return Window(0, 60, statements, tables, ())


def test_without_a_snapshot_the_window_begins_at_the_reset() -> None:
    found = window(reading(statement("a", 3)), None)
    assert (found.since, found.until, found.statements[0].counters.calls) == (20, 1000, 3)
    assert "no earlier snapshot" in found.notes[0]


def test_the_window_has_the_differences() -> None:
    before = snapshot_of(reading(statement("a", 3, 30, 9.0, hit=7, wal=5.0), statement("idle", 8), now=900.0))
    found = window(
        reading(statement("a", 5, 34, 10.0, hit=9, wal=6.0), statement("idle", 8), statement("new", 2)), before
    )
    assert (found.since, found.seconds, found.notes) == (900, 100, ())
    assert [(each.query, each.counters) for each in found.statements] == [
        ("a", Counters(2, 4, 1.0, hit=2, wal=1.0)),
        ("new", Counters(2, 1, 1.0)),
    ]


@pytest.mark.parametrize(
    ("now", "calls", "since", "told"),
    [
        ({"reset": 950.0}, 2, 950, "were reset"),
        ({"started": 950.0}, 2, 900, "counters of 1 statements began anew"),
        ({"dealloc": 4}, 2, 900, "forgotten 4 times"),
    ],
)
def test_counters_that_begin_anew_are_noticed(now: dict[str, float], calls: int, since: float, told: str) -> None:
    before = snapshot_of(reading(statement("a", 3), now=900.0))
    found = window(reading(statement("a", calls), **now), before)
    assert found.statements[0].counters.calls == calls
    assert (found.since, told in " ".join(found.notes)) == (since, True)


def test_a_restart_alone_keeps_the_counters_and_is_told() -> None:
    before = snapshot_of(reading(statement("a", 3), now=900.0))
    found = window(reading(statement("a", 5, 1, 1.0), started=950.0), before)
    assert (found.statements[0].counters.calls, found.notes) == (2, ("the server was restarted in the window",))


def test_a_snapshot_survives_its_file_and_no_text_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    snapshot = snapshot_of(
        reading(statement("SELECT private", 3, key="17/1"), tables=(Table("t", "t", 9, Counters(1, 2)),))
    )
    save(path, snapshot)
    assert load(path) == snapshot
    assert (path.stat().st_mode & 0o777, "private" in path.read_text()) == (0o600, False)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"form": 1}', '{"form": 1, "counters": {"a": [1]}}', "\udcff"])
def test_a_broken_file_is_no_snapshot(content: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(content, errors="surrogateescape")
    assert load(path) is None


def test_the_window_stays_long_after_a_replacement(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    first, second = (snapshot_of(reading(now=time)) for time in (1000.0, 1600.0))
    assert baseline(path, 1000, 600) == (None, True)
    replace(path, first)
    assert baseline(path, 1500, 600) == (first, False)
    assert baseline(path, 1600, 600) == (first, True)
    replace(path, second)
    assert baseline(path, 1605, 600) == (first, False)
    assert baseline(path, 2200, 600) == (second, True)
    assert baseline(path, 500, 600) == (second, True)  # the clock was set back


def test_the_order_is_as_asked() -> None:
    often, long_, slow = statement("often", 100, ms=100), statement("long", 50, ms=500), statement("slow", 1, ms=90)
    found = seen(often, long_, slow)
    assert [top(found, order, 1)[0].query for order in ("mean", "total", "calls")] == ["slow", "long", "often"]


def test_figures_of_a_statement() -> None:
    numbers = figures(statement("q", 4, 10, 8.0, hit=3, read=1, temp=256, wal=1048576.0))
    assert (numbers["mean_ms"], numbers["rows_per_call"], numbers["cache_hit_percent"]) == (2.0, 2.5, 75.0)
    assert (numbers["temp_mb"], numbers["wal_mb"]) == (2.0, 1.0)
    assert figures(statement("q"))["cache_hit_percent"] is None


@pytest.mark.parametrize(("ms", "status"), [(499, OK), (500, WARNING), (5000, CRITICAL)])
def test_slow_statements_are_judged_by_their_mean(ms: float, status: str) -> None:
    found = seen(statement("SELECT slow", 2, ms=2 * ms))
    findings = judge(found, top(found, "mean", 10), LIMITS)
    assert [(finding.status, finding.value) for finding in findings] == [(status, ms)]
    assert "SELECT slow" in findings[0].message


def test_the_look_up_of_a_loop_is_a_suspect_and_its_list_is_named() -> None:
    found = seen(statement(LIST, 1, 200, 0.4), statement(LOOKUP, 200, 200, 1.0), statement("SELECT $1", 50, 50, 0.1))
    [(suspect, finding)] = suspects(found, LIMITS)
    assert (suspect.query, finding.status, finding.value) == (LOOKUP, WARNING, 200)
    for part in ("200 calls in 60 s", "1.0 rows", "0.005 ms each", "1 calls of this one gave 200 rows", LIST):
        assert part in finding.message


@pytest.mark.parametrize(
    "statements",
    [
        [statement(JOIN, 200, 4000, 40.0)],
        [statement(JOIN, 200, 200, 4.0)],  # one row each: as many calls as requests, and no list
        [statement(JOIN, 20000, 20000, 400.0)],  # however often it is asked
        [statement(LIST, 1, 200), statement(LOOKUP, 99, 99, 1.0)],
        [statement(LIST, 1, 200, 0.1), statement(LOOKUP, 200, 2000, 1.0)],
        [statement(LIST, 1, 200), statement(LOOKUP, 200, 200, 2000.0)],
        [statement(LIST, 100, 200, 1.0), statement(LOOKUP, 200, 200, 1.0)],
        [statement(LIST, 1, 5000, 1.0), statement(LOOKUP, 200, 200, 1.0)],
        [statement(LIST, 1, 200, 900.0), statement(LOOKUP, 200, 200, 1.0), statement("SELECT $1", 5000, 5000, 9.0)],
        [statement(LIST, 1, 200, role="other"), statement(LOOKUP, 200, 200, 1.0)],
        [statement(LIST, 1, 200), statement("UPDATE t SET a = $1 WHERE id = $2", 200, 200, 1.0)],
        [statement("SELECT $1", 20000, 20000, 20.0)],
    ],
)
def test_what_is_no_n_plus_one(statements: list[Statement]) -> None:
    assert suspects(seen(*statements), LIMITS) == []


def test_very_many_look_ups_are_a_suspect_without_a_list() -> None:
    [(_suspect, finding)] = suspects(seen(statement(LOOKUP, 1000, 1000, 5.0)), LIMITS)
    assert "gave" not in finding.message


def test_a_table_that_is_read_as_a_whole_lacks_an_index() -> None:
    table = Table("public.events", "events", 20000, Counters(50, 50 * 20000))
    found = seen(
        statement("SELECT * FROM events WHERE kind = $1", 50, 50, 40.0), statement("SELECT $1"), tables=(table,)
    )
    [_calm, finding] = judge(found, [], LIMITS)
    assert (finding.check, finding.value) == ("statements.scans.public.events", 50)
    assert "SELECT * FROM events WHERE kind = $1" in finding.message
    assert "SELECT $1" not in finding.message
    few, partly = (dataclasses.replace(table, counters=Counters(*pair)) for pair in ((9, 9 * 20000), (50, 50 * 10)))
    small = dataclasses.replace(table, live=9999)
    assert len(judge(seen(tables=(few, partly, small)), [], LIMITS)) == 1


def test_scans_are_counted_in_the_window() -> None:
    old, quiet, new = (Table(name, name, 20000, Counters(50, 900)) for name in ("old", "quiet", "new"))
    before = snapshot_of(reading(tables=(dataclasses.replace(old, counters=Counters(40, 800)), quiet)))
    found = window(reading(tables=(old, quiet, new)), before)
    assert [(table.key, table.counters.calls) for table in found.tables] == [("old", 10), ("new", 50)]
