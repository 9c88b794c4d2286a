# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The indexes of a database, and which of them are INVALID, twice there or never used. Changes nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..client import PgClient, Row, quoted
from .actual import is_reindex_left_over
from .catalog import Definition, Index, builders, read_indexes

_OURS = re.compile(r"workbot_(new|old)_[0-9a-f]{16}")
_OTHERS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND {}"

_USE = """
SELECT s.indexrelid::bigint AS oid, s.idx_scan AS scans, pg_relation_size(s.indexrelid) AS size, {last} AS last_scan
FROM pg_stat_user_indexes s
"""
_LAST_SCAN_SINCE = 160000
# Statistics outlive a restart, but not a crash. Without a reset they are at most as old as the database's directory,
# which nobody may ask; the server's start is then what is certain.
_AGE = """
SELECT pg_postmaster_start_time() AS started, d.stats_reset AS reset,
       coalesce(d.stats_reset, pg_postmaster_start_time()) AS since,
       extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::float8 / 86400 AS days,
       extract(epoch FROM now() - pg_postmaster_start_time())::float8 / 86400 AS uptime_days,
       pg_is_in_recovery() AS standby
FROM pg_stat_database d WHERE d.datname = current_database()
"""


def read_info(client: PgClient, schemas: Sequence[str], min_days: float) -> dict[str, Any]:
    """`schemas` empty: all but the server's own. Nothing is called unused before the statistics are so old."""
    condition, parameters = ("n.nspname = ANY(%s)", [list(schemas)]) if schemas else ("true", [])
    indexes = read_indexes(client, _OTHERS.format(condition), parameters)
    use = _use(client)
    age = client.one(_AGE)
    busy = {index.table_oid: builders(client, index.table_oid) for index in indexes if not index.valid}
    return {
        "indexes": [_told(index, use.get(index.oid, {})) for index in indexes],
        "invalid": [_invalid(index, indexes, busy[index.table_oid]) for index in indexes if not index.valid],
        "duplicates": duplicates(indexes),
        "covered": covered(indexes),
        "unused": unused(indexes, use) if age["days"] >= min_days else [],
        "statistics": {
            "started": age["started"].isoformat(),
            "uptime_days": round(age["uptime_days"], 3),
            "reset": age["reset"].isoformat() if age["reset"] else None,
            "days": round(age["days"], 3),
            "enough": age["days"] >= min_days,
            "standby": age["standby"],
        },
    }


def duplicates(indexes: Sequence[Index]) -> list[dict[str, Any]]:
    """Valid indexes that are the same but for their name and storage; one that backs a constraint is to be kept."""
    groups: dict[tuple[int, Definition], list[Index]] = defaultdict(list)
    for index in indexes:
        if index.valid:
            groups[index.table_oid, replace(index.definition, parameters=(), text="")].append(index)
    found = []
    for group in groups.values():
        kept, *others = sorted(group, key=lambda index: (not index.foreign, index.oid))
        if others:
            found.append(
                {
                    "table": kept.table_label,
                    "indexes": [index.label for index in (kept, *others)],
                    "statements": [_drop(index) for index in others if not index.foreign],
                }
            )
    return found


def covered(indexes: Sequence[Index]) -> list[dict[str, str]]:
    """B-tree indexes whose columns begin another one of the same table, which serves their queries as well."""
    trees = [index for index in indexes if index.valid and index.definition.method == "btree"]
    return [
        {"index": short.label, "by": long.label, "table": short.table_label}
        for short in trees
        if not (short.foreign or short.definition.unique or short.definition.include)
        for long in trees
        if long.table_oid == short.table_oid and _begins(short.definition, long.definition)
    ]


def unused(indexes: Sequence[Index], use: dict[int, Row]) -> list[dict[str, Any]]:
    """Never scanned, and there for no other reason: neither unique nor of a constraint."""
    return [
        {"index": index.label, "table": index.table_label, "size": use[index.oid]["size"], "statements": [_drop(index)]}
        for index in indexes
        if index.valid
        and not (index.foreign or index.definition.unique or index.clustered)
        and index.oid in use
        and not use[index.oid]["scans"]
    ]


def _begins(short: Definition, long: Definition) -> bool:
    count = len(short.keys)
    if count >= len(long.keys) or short.condition != long.condition:
        return False
    return all(
        getattr(short, part) == getattr(long, part)[:count] for part in ("keys", "opclasses", "collations", "orders")
    )


def _use(client: PgClient) -> dict[int, Row]:
    last = "s.last_idx_scan" if client.version >= _LAST_SCAN_SINCE else "NULL::timestamptz"
    return {row["oid"]: row for row in client.query(_USE.format(last=last))}


def _told(index: Index, use: Row) -> dict[str, Any]:
    last = use.get("last_scan")
    return {
        "schema": index.schema,
        "name": index.name,
        "table": index.table_label,
        "definition": index.definition.text,
        "unique": index.definition.unique,
        "valid": index.valid,
        "constraint": index.constraints,
        "size": use.get("size"),
        "scans": use.get("scans"),
        "last_scan": last.isoformat() if last else None,
    }


def _invalid(index: Index, indexes: Sequence[Index], busy: Sequence[Row]) -> dict[str, Any]:
    origin = "unknown"
    if busy:
        origin = "being built"
    elif _OURS.fullmatch(index.name):
        origin = "a run of postgresql_index that was cut short"
    elif any(is_reindex_left_over(index.name, other.name) for other in indexes if other.table_oid == index.table_oid):
        origin = "a REINDEX CONCURRENTLY that was cut short"
    keep = bool(busy or index.foreign)
    return {
        "index": index.label,
        "table": index.table_label,
        "origin": origin,
        "sessions": [row["pid"] for row in busy],
        "statements": [] if keep else [_drop(index)],
    }


def _drop(index: Index) -> str:
    return f"DROP INDEX CONCURRENTLY {quoted(index.schema, index.name)}"
