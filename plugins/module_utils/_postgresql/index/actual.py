# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what is there of an index, and what the server would store for it as it is desired.

The normal form comes from the server itself: the index is made on an empty temporary copy of the table's columns, its
catalog rows are read, and the transaction is rolled back. The real table is only looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..._host.errors import StabilityError
from ..client import PgClient, PgError, Row, quoted
from .catalog import (
    NULLS_NOT_DISTINCT_SINCE,
    Definition,
    Index,
    Table,
    builders,
    read_indexes,
    read_named,
    read_table,
)
from .desired import NAME_BYTES, Desired, element_problems

_COPY = "workbot_copy"
_PROBE = "workbot_probe"
_UNDEFINED = ("42P01", "42703")


@dataclass(frozen=True)
class Actual:
    """All that is there of one index."""

    # None: there is no such table, or (for an index that is to be absent) it does not matter.
    table: Table | None
    # The index that has the desired name.
    current: Index | None = None
    # A relation that is no index and has the desired name.
    occupied: str = ""
    # What an earlier run of ours left over.
    new: Index | None = None
    old: Index | None = None
    # INVALID indexes that a REINDEX CONCURRENTLY of the desired one left over.
    reindexed: tuple[Index, ...] = ()
    # Sessions that build an index of the table.
    builders: tuple[Row, ...] = ()


def read_actual(client: PgClient, desired: Desired, table: Table | None) -> Actual:
    named = read_named(client, desired.schema, desired.name, desired.new_name, desired.old_name)
    current = named.get(desired.name)
    table_oid = table.oid if table else current.table_oid if current else None
    return Actual(
        table=table,
        current=current,
        occupied="" if current else _occupant(client, desired),
        new=named.get(desired.new_name),
        old=named.get(desired.old_name),
        reindexed=_reindexed(client, desired.name, table_oid) if table_oid else (),
        builders=tuple(builders(client, table_oid)) if table_oid else (),
    )


def _occupant(client: PgClient, desired: Desired) -> str:
    relation = read_table(client, desired.schema, desired.name)
    return "" if relation is None else relation.problem or f"the table {relation.label}"


def _reindexed(client: PgClient, name: str, table_oid: int) -> tuple[Index, ...]:
    invalid = read_indexes(
        client, "i.indrelid = %s AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'", [table_oid]
    )
    return tuple(index for index in invalid if is_reindex_left_over(index.name, name))


def is_reindex_left_over(name: str, of: str) -> bool:
    """REINDEX CONCURRENTLY calls what it builds, or replaced, by the index's name, cut to fit, and one of these."""
    match = re.fullmatch(r"(.+)_cc(new|old)\d*", name, re.DOTALL)
    if not match:
        return False
    stem = match[1]
    cut = len(name.encode()) >= NAME_BYTES - 1
    return stem == of or (cut and of.startswith(stem))


def completed(client: PgClient, desired: Desired, table: Table) -> Desired:
    """The same with its normal form, now that the table is known. In a transaction that is rolled back.

    Raises StabilityError for what can't be right, PgError for what the server refuses.
    """
    desired = desired.with_columns_of(table.columns)
    problems = element_problems(desired)
    if desired.nulls_not_distinct and client.version < NULLS_NOT_DISTINCT_SINCE:
        problems.append(f"{desired.label}: nulls_not_distinct needs PostgreSQL 15 or newer")
    if problems:
        raise StabilityError("; ".join(problems))
    try:
        definition = _probed(client, desired, table, _COPY)
    except PgError as error:
        if error.sqlstate not in _UNDEFINED:
            raise
        # An expression that names the table, which the copy has to be called then. Otherwise the same error comes.
        definition = _probed(client, desired, table, table.name)
    return replace(desired, definition=definition)


def _probed(client: PgClient, desired: Desired, table: Table, copy: str) -> Definition:
    client.execute("SAVEPOINT probe")
    try:
        target = quoted("pg_temp", copy)
        client.execute(f"CREATE TEMPORARY TABLE {target} (LIKE {table.label} INCLUDING GENERATED) ON COMMIT DROP")
        client.execute(desired.statement(_PROBE, target, concurrently=False, tablespace=False))
        found = read_indexes(client, "c.oid = to_regclass(%s)", [quoted("pg_temp", _PROBE)])
        if len(found) != 1:
            raise StabilityError(f"{desired.name!r}: the declaration makes {len(found)} indexes")
        return found[0].definition
    finally:
        client.execute("ROLLBACK TO SAVEPOINT probe")
        client.execute("RELEASE SAVEPOINT probe")
