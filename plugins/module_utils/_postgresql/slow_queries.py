# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges what statements did in a window: which are slow, which are an N+1, which tables lack an index."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._checks.findings import OK, WARNING, Finding, Thresholds
from .statements import Statement, Table, brief
from .window import Window

_BLOCK_KB = 8
_MB_KB = 1024
# A list that is read once and then looked up row by row: each of its rows is one call of the other statement. Rows
# that repeat, and ones that a cache answers, make fewer calls.
_FEWEST_CALLS_A_ROW = 0.5
_MOST_CALLS_A_ROW = 1.1
_FEWEST_LOOKUPS_A_LIST = 5
# Without such a list in sight it must be this much more than a list's, and no JOIN, which reads all rows at once.
_ALONE = 10
_JOIN = re.compile(r"\bJOIN\b", re.IGNORECASE)
_LOOKUP = re.compile(r"SELECT\b.*\bFROM\b.*\bWHERE\b.*\$\d", re.IGNORECASE)
_SELECT = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
# So many scans in a window are a habit, and so many of the table's rows read by each are no LIMIT.
_FEWEST_SCANS = 10
_WHOLE_TABLE = 0.5
_MOST_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class SlowLimits:
    """Thresholds. `mean` is in ms a call; the others describe an N+1: at least so many calls, with at most so many rows
    and ms each, that are together at least this percentage of all calls or of all time. A table is large from
    `table_rows` on."""

    mean: Thresholds
    calls: int = 100
    rows: float = 2.0
    each_ms: float = 5.0
    share: float = 20.0
    table_rows: int = 10_000


def mean_ms(statement: Statement) -> float:
    return statement.counters.total_ms / max(1, statement.counters.calls)


def rows_per_call(statement: Statement) -> float:
    return statement.counters.rows / max(1, statement.counters.calls)


ORDERS: Mapping[str, Callable[[Statement], float]] = {
    "mean": mean_ms,
    "total": lambda statement: statement.counters.total_ms,
    "calls": lambda statement: statement.counters.calls,
}


def top(window: Window, order: str, count: int) -> list[Statement]:
    """The first statements by mean or total time or by calls; equal ones in the order of their keys."""
    return sorted(window.statements, key=lambda statement: (-ORDERS[order](statement), statement.key))[:count]


def figures(statement: Statement) -> dict[str, Any]:
    """A statement of the window, for people and machines."""
    counters = statement.counters
    blocks = counters.hit + counters.read
    return {
        "id": statement.key.split("/")[0],
        "role": statement.role,
        "query": brief(statement.query),
        "calls": counters.calls,
        "total_ms": round(counters.total_ms, 3),
        "mean_ms": round(mean_ms(statement), 3),
        "rows": counters.rows,
        "rows_per_call": round(rows_per_call(statement), 2),
        "cache_hit_percent": round(100 * counters.hit / blocks, 1) if blocks else None,
        "temp_mb": round(counters.temp * _BLOCK_KB / _MB_KB, 1),
        "wal_mb": round(counters.wal / 1024 / 1024, 1),
    }


def judge(window: Window, slowest: Sequence[Statement], limits: SlowLimits) -> list[Finding]:
    """One finding for what is slow each, one when nothing is, and what is suspected besides."""
    slow = [_judge_mean(statement, limits) for statement in slowest]
    found = [finding for finding in slow if finding.status != OK] or [_calm(window, slowest, limits)]
    found += [finding for _statement, finding in suspects(window, limits)]
    return found + [_judge_table(table, window) for table in window.tables if is_scanned(table, limits)]


def over(window: Window) -> str:
    """How long the window is, in words."""
    minutes = window.seconds / 60
    if minutes < 2:  # noqa: PLR2004 - up to two minutes seconds say more
        return f"{window.seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004 - two hours


def _calm(window: Window, slowest: Sequence[Statement], limits: SlowLimits) -> Finding:
    kinds = f"{len(window.statements)} kinds of statements in {over(window)}"
    if not slowest:
        return Finding("statements.slow", OK, f"{kinds}: none ran", 0, limits.mean.warning, "ms")
    worst = max(slowest, key=mean_ms)
    numbers = f"{mean_ms(worst):.1f} ms on average, {worst.counters.calls} calls"
    message = f"{kinds}; the slowest takes {numbers}: {brief(worst.query)}"
    return Finding("statements.slow", OK, message, round(mean_ms(worst), 1), limits.mean.warning, "ms")


def _judge_mean(statement: Statement, limits: SlowLimits) -> Finding:
    mean = round(mean_ms(statement), 1)
    numbers = figures(statement)
    cached = "" if numbers["cache_hit_percent"] is None else f", {numbers['cache_hit_percent']} % from the cache"
    spilled = f", {numbers['temp_mb']} MB in temporary files" if numbers["temp_mb"] else ""
    message = (
        f"{mean} ms on average, {numbers['calls']} calls, {numbers['rows_per_call']} rows each{cached}{spilled}:"
        f" {brief(statement.query)}. See its plan, as the service's role: EXPLAIN (ANALYZE, BUFFERS)."
    )
    check = f"statements.slow.{numbers['id']}"
    return Finding(check, limits.mean.status(mean), message, mean, limits.mean.exceeded(mean), "ms")


def suspects(window: Window, limits: SlowLimits) -> list[tuple[Statement, Finding]]:
    """The statements that look like one query for each row of a list."""
    found = []
    for statement in window.statements:
        if not _is_lookup(statement, window, limits):
            continue
        parent = _list_of(statement, window)
        alone = statement.counters.calls >= limits.calls * _ALONE and not _JOIN.search(statement.query)
        if parent or alone:
            found.append((statement, _suspect(statement, parent, window, limits)))
    return sorted(found, key=lambda pair: -pair[0].counters.calls)


def _is_lookup(statement: Statement, window: Window, limits: SlowLimits) -> bool:
    """Very many calls, few rows each, a tiny mean time, and a large part of all calls or of all time."""
    counters = statement.counters
    return (
        counters.calls >= limits.calls
        and rows_per_call(statement) <= limits.rows
        and mean_ms(statement) <= limits.each_ms
        and bool(_LOOKUP.match(statement.query))
        and max(_shares(statement, window)) >= limits.share
    )


def _shares(statement: Statement, window: Window) -> tuple[float, float]:
    """Percentages of all calls and of all time."""
    calls = sum(other.counters.calls for other in window.statements)
    time = sum(other.counters.total_ms for other in window.statements)
    return 100 * statement.counters.calls / max(1, calls), 100 * statement.counters.total_ms / (time or 1)


def _list_of(statement: Statement, window: Window) -> Statement | None:
    """The query whose rows are as many as the calls of `statement`, and whose own calls are few."""
    calls = statement.counters.calls
    lists = [
        other
        for other in window.statements
        if other.role == statement.role
        and other.key != statement.key
        and _SELECT.match(other.query)
        and other.counters.calls * _FEWEST_LOOKUPS_A_LIST <= calls
        and other.counters.rows * _FEWEST_CALLS_A_ROW <= calls <= other.counters.rows * _MOST_CALLS_A_ROW
    ]
    return min(lists, key=lambda other: abs(other.counters.rows - calls), default=None)


def _suspect(statement: Statement, parent: Statement | None, window: Window, limits: SlowLimits) -> Finding:
    numbers = figures(statement)
    calls_share, time_share = _shares(statement, window)
    origin = (
        f"; {parent.counters.calls} calls of this one gave {parent.counters.rows} rows: {brief(parent.query)}"
        if parent
        else ""
    )
    message = (
        f"N+1 suspect: {numbers['calls']} calls in {over(window)}, {numbers['rows_per_call']} rows and"
        f" {numbers['mean_ms']} ms each, {numbers['total_ms']:.0f} ms together"
        f" ({calls_share:.0f} % of all calls, {time_share:.0f} % of the time): {brief(statement.query)}{origin}."
        " Read all rows with one JOIN, or = ANY of a list."
    )
    return Finding(f"statements.n_plus_one.{numbers['id']}", WARNING, message, numbers["calls"], limits.calls, "calls")


def is_scanned(table: Table, limits: SlowLimits) -> bool:
    """Whether a large table is read as a whole again and again."""
    counters = table.counters
    if table.live < limits.table_rows:
        return False
    return counters.calls >= _FEWEST_SCANS and counters.rows / counters.calls >= table.live * _WHOLE_TABLE


def _judge_table(table: Table, window: Window) -> Finding:
    scans, rows = table.counters.calls, table.counters.rows
    name = re.compile(rf"\b{re.escape(table.name)}\b")
    readers = [
        brief(statement.query)
        for statement in top(window, "total", len(window.statements))
        if name.search(statement.query)
    ]
    by = f" They may be those of: {'; '.join(readers[:_MOST_EXAMPLES])}." if readers else ""
    message = (
        f"{scans} scans read the whole table {table.key} ({table.live} rows), {rows} rows in all: an index on what its"
        f" queries compare is missing.{by}"
    )
    return Finding(f"statements.scans.{table.key}", WARNING, message, scans, _FEWEST_SCANS, "scans")
