# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements that give a partitioned table an index without blocking its writes. This module does not run them."""

from __future__ import annotations

from ..client import PgClient, Row, quoted
from .catalog import Table
from .declaration import NAME_BYTES, Declaration

_TREE = """
SELECT t.relid::bigint AS oid, t.parentrelid::bigint AS parent, t.isleaf AS leaf, n.nspname AS schema,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS label
FROM pg_partition_tree(%s) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY t.level, n.nspname, c.relname
"""


def partition_statements(client: PgClient, declared: Declaration, table: Table) -> list[str]:
    return statements_for(declared, client.query(_TREE, [table.oid]))


def statements_for(declared: Declaration, tree: list[Row]) -> list[str]:
    """From the rows of the partition tree, parents first: make each index, then attach them from the leaves up."""
    names = {row["oid"]: _name(declared.name, number) for number, row in enumerate(tree)}
    schemas = {row["oid"]: row["schema"] for row in tree}
    made = [
        declared.statement(names[row["oid"]], row["label"], concurrently=True)
        if row["leaf"] and row["parent"]
        else declared.statement(names[row["oid"]], f"ONLY {row['label']}", concurrently=False)
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
