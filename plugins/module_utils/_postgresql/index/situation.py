# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what is there of each declared index, and makes the plans. All of it in one transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from ..client import PgClient, PgError, quoted
from .catalog import NULLS_NOT_DISTINCT_SINCE, Index, Table, builders, normal_form, read_indexes, read_table
from .declaration import Declaration, DeclarationError, element_problems
from .errors import LOCK_NOT_AVAILABLE, explain
from .partitions import partition_statements
from .plan import Plan, RefusedError, Situation, Step, is_reindex_left_over, make_plan


def plan_all(client: PgClient, declarations: Sequence[Declaration], *, foresee: bool) -> list[Plan]:
    """Raises RefusedError with everything that is in the way of any of them, and PgError where the server is gone.

    foresee: a table that is not there may come earlier in the same run, as in check mode.
    """
    plans, problems = [], []
    with client.transaction(keep=False):
        for declared in declarations:
            client.execute("SAVEPOINT one")
            try:
                plans.append(_plan(client, declared, foresee))
            except (RefusedError, DeclarationError) as error:
                problems.append(str(error))
            except PgError as error:
                if error.lost or error.sqlstate == LOCK_NOT_AVAILABLE:
                    raise
                problems.append(f"{declared.label}: {explain(error)}")
                client.execute("ROLLBACK TO SAVEPOINT one")
            client.execute("RELEASE SAVEPOINT one")
    if problems:
        raise RefusedError("\n".join(problems))
    return plans


def _plan(client: PgClient, declared: Declaration, foresee: bool) -> Plan:
    table = read_table(client, declared.schema, declared.table) if declared.table else None
    if declared.wanted and table is None and foresee:
        return _foreseen(declared)
    if table and client.superuser and not table.of_superuser:
        raise RefusedError(
            f"{declared.label}: {table.label} and all that its columns and indexes call are {table.owner}'s own code,"
            f" which a superuser must not run: log in as {table.owner}"
        )
    return make_plan(_situation(client, declared, table))


def _foreseen(declared: Declaration) -> Plan:
    table = quoted(declared.schema, declared.table)
    build = declared.statement(declared.new_name, table, concurrently=True)
    rename = f"ALTER INDEX {quoted(declared.schema, declared.new_name)} RENAME TO {quoted(declared.name)}"
    return Plan(
        declared,
        "create",
        table,
        (Step("build", (build,), declared.new_name), Step("swap", (rename,), declared.name)),
        (f"the table {table} is not there yet",),
        after=declared.statement(declared.name, table, concurrently=False),
        warnings=(f"{declared.label}: there is no table {table} yet; the run itself would fail without it",),
    )


def _situation(client: PgClient, declared: Declaration, table: Table | None) -> Situation:
    wanted = None
    if declared.wanted and table and not table.problem:
        declared = _completed(client, declared, table)
        wanted = normal_form(client, declared, table)
    named = _named(client, declared)
    current = named.get(declared.name)
    table_oid = table.oid if table else current.table_oid if current else None
    situation = Situation(
        declared=declared,
        table=table,
        wanted=wanted,
        current=current,
        occupied="" if current else _occupant(client, declared),
        new=named.get(declared.new_name),
        old=named.get(declared.old_name),
        reindexed=_reindexed(client, declared.name, table_oid) if table_oid else (),
        builders=tuple(builders(client, table_oid)) if table_oid else (),
    )
    if declared.wanted and table and table.partitioned:
        _check_partitioned(client, situation, table)
    return situation


def _completed(client: PgClient, declared: Declaration, table: Table) -> Declaration:
    """The declaration, now that the names of the table's columns are known."""
    declared = declared.with_columns_of(table.columns)
    problems = element_problems(declared)
    if declared.nulls_not_distinct and client.version < NULLS_NOT_DISTINCT_SINCE:
        problems.append(f"{declared.label}: nulls_not_distinct needs PostgreSQL 15 or newer")
    if problems:
        raise DeclarationError("; ".join(problems))
    return declared


def _named(client: PgClient, declared: Declaration) -> dict[str, Index]:
    names = [declared.name, declared.new_name, declared.old_name]
    found = read_indexes(client, "n.nspname = %s AND c.relname = ANY(%s)", [declared.schema, names])
    return {index.name: index for index in found}


def _occupant(client: PgClient, declared: Declaration) -> str:
    relation = read_table(client, declared.schema, declared.name)
    return "" if relation is None else relation.problem or f"the table {relation.label}"


def _reindexed(client: PgClient, name: str, table_oid: int) -> tuple[Index, ...]:
    invalid = read_indexes(
        client, "i.indrelid = %s AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'", [table_oid]
    )
    return tuple(index for index in invalid if is_reindex_left_over(index.name, name))


def _check_partitioned(client: PgClient, situation: Situation, table: Table) -> None:
    """One that has the index already, by somebody's hand, is as declared. Any other is for people."""
    declared, current = situation.declared, situation.current
    if current and current.valid and current.table_oid == table.oid and current.definition == situation.wanted:
        return
    statements = "\n".join(f"  {statement};" for statement in partition_statements(client, declared, table))
    raise RefusedError(
        f"{declared.label}: {table.label} is a partitioned table, whose index PostgreSQL cannot build concurrently, and"
        " so not without blocking writes. These statements give it the index partition by partition, without blocking"
        f" them (an index of this name has to be dropped first):\n{statements}"
    )
