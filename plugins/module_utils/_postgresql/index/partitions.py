# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A partitioned table's index is not built here: the statements that do it without blocking writes are for people."""

from __future__ import annotations

from ..._host.errors import StabilityError
from ..client import PgClient, Row, quoted
from .actual import Actual
from .catalog import Table
from .desired import NAME_BYTES, Desired

_TREE = """
SELECT t.relid::bigint AS oid, t.parentrelid::bigint AS parent, t.isleaf AS leaf, n.nspname AS schema, c.relname AS name
FROM pg_partition_tree(%s) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY t.level, n.nspname, c.relname
"""


def refuse_partitioned(client: PgClient, desired: Desired, actual: Actual, table: Table) -> None:
    """One that has the index already, by somebody's hand, is as declared. Any other is for people: StabilityError."""
    current = actual.current
    if current and current.valid and current.table_oid == table.oid and current.definition == desired.definition:
        return
    statements = "\n".join(f"  {text};" for text in statements_for(desired, client.query(_TREE, [table.oid])))
    raise StabilityError(
        f"{desired.label}: {table.label} is a partitioned table, whose index PostgreSQL cannot build concurrently, and"
        " so not without blocking writes. These statements give it the index partition by partition, without blocking"
        f" them (an index of this name has to be dropped first):\n{statements}"
    )


def statements_for(desired: Desired, tree: list[Row]) -> list[str]:
    """From the rows of the partition tree, parents first: make each index, then attach them from the leaves up."""
    names = {row["oid"]: _name(desired.name, number) for number, row in enumerate(tree)}
    # not by the server's quote_ident: the service may have put one of its own before that
    tables = {row["oid"]: quoted(row["schema"], row["name"]) for row in tree}
    schemas = {row["oid"]: row["schema"] for row in tree}
    made = [
        desired.statement(names[row["oid"]], tables[row["oid"]], concurrently=True)
        if row["leaf"] and row["parent"]
        else desired.statement(names[row["oid"]], f"ONLY {tables[row['oid']]}", concurrently=False)
        for row in tree
    ]
    attached = [
        f"ALTER INDEX {quoted(schemas[row['parent']], names[row['parent']])}"
        f" ATTACH PARTITION {quoted(row['schema'], names[row['oid']])}"
        for row in reversed(tree)
        if row["parent"]
    ]
    return made + attached


def _name(name: str, number: int) -> str:
    if number == 0:
        return name
    suffix = f"_{number}"
    kept = name.encode()[: NAME_BYTES - len(suffix)].decode(errors="ignore")
    return kept + suffix
