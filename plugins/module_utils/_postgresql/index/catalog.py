# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a PostgreSQL server knows of tables and indexes. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..client import PgClient, Row, quoted

# The advisory locks of this module's runs. "workbot " in hexadecimal is too long for the key; these are its first four
# letters.
LOCK_CLASS = 0x776F726B
NULLS_NOT_DISTINCT_SINCE = 150000

_KINDS = {
    "v": "a view: index the tables that it reads",
    "f": "a foreign table: index it on the server that has it",
    "S": "a sequence",
    "i": "an index",
    "I": "an index of a partitioned table",
    "c": "a composite type",
}

_TABLES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_get_userbyid(c.relowner) AS owner,
       pg_has_role(c.relowner, 'USAGE') AS owned, has_schema_privilege(n.oid, 'CREATE') AS may_create,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS label,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = c.relowner) AS of_superuser
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""

# A column's own row comes with its options; expressions and conditions as the server prints them.
_INDEXES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, i.indrelid AS table_oid, am.amname AS method,
       i.indisunique AS "unique", {nulls} AS nulls_not_distinct,
       i.indisvalid AND i.indisready AND i.indislive AS valid,
       i.indisclustered AS clustered, i.indisreplident AS replica_identity,
       c.relispartition AS partition, coalesce(t.spcname::text, '') AS tablespace,
       coalesce(c.reloptions, '{{}}') AS parameters,
       coalesce(pg_get_indexdef(c.oid), '') AS text, coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS condition,
       quote_ident(c.relname) AS quoted_name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       quote_ident(tc.relname) AS quoted_table,
       quote_ident(tn.nspname) || '.' || quote_ident(tc.relname) AS table_label,
       (SELECT coalesce(string_agg(quote_ident(k.conname) || ' of ' || quote_ident(kc.relname), ', '
                                   ORDER BY k.conname), '')
        FROM pg_constraint k JOIN pg_class kc ON kc.oid = k.conrelid WHERE k.conindid = c.oid) AS constraints,
       coalesce((SELECT x.extname::text FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'), '') AS extension,
       ARRAY(SELECT pg_get_indexdef(c.oid, k, false) FROM generate_series(1, i.indnkeyatts) k ORDER BY k) AS keys,
       ARRAY(SELECT o.opcname::text || '/' || i.indclass[k] FROM generate_series(0, i.indnkeyatts - 1) k
             JOIN pg_opclass o ON o.oid = i.indclass[k] ORDER BY k) AS opclasses,
       ARRAY(SELECT coalesce(o.collname, '')::text || '/' || i.indcollation[k]
             FROM generate_series(0, i.indnkeyatts - 1) k
             LEFT JOIN pg_collation o ON o.oid = i.indcollation[k] ORDER BY k) AS collations,
       ARRAY(SELECT i.indoption[k]::int FROM generate_series(0, i.indnkeyatts - 1) k ORDER BY k) AS orders,
       ARRAY(SELECT coalesce(array_to_string(a.attoptions, ','), '') FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum BETWEEN 1 AND i.indnkeyatts ORDER BY a.attnum) AS opclass_parameters,
       ARRAY(SELECT pg_get_indexdef(c.oid, k, false)
             FROM generate_series(i.indnkeyatts + 1, i.indnatts) k ORDER BY k) AS include
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class tc ON tc.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE {where}
ORDER BY tn.nspname, tc.relname, c.relname
"""

# Others' builds, by the lock that one holds on its table: not everybody may see the progress, nor that a session
# without a user is autovacuum's. Runs of this module, which hold an advisory lock, are waited for elsewhere.
_BUILDERS = """
SELECT DISTINCT l.pid, a.usename AS "user", a.application_name AS application, a.query_start AS since
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock') AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation = %s AND l.pid <> pg_backend_pid()
  AND coalesce(a.backend_type, 'client backend') = 'client backend' AND a.usename IS NOT NULL
  AND coalesce(a.query, '') !~* '^\\s*(vacuum|analyze)'
  AND NOT EXISTS (SELECT FROM pg_locks k
                  WHERE k.pid = l.pid AND k.locktype = 'advisory' AND k.classid = %s::bigint::oid AND k.objsubid = 2)
ORDER BY l.pid
"""


@dataclass(frozen=True)
class Table:
    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    owned: bool
    may_create: bool
    label: str
    columns: tuple[str, ...]
    of_superuser: bool = False

    @property
    def partitioned(self) -> bool:
        return self.kind == "p"

    @property
    def problem(self) -> str:
        """Why it can't have an index of its own; empty when it can."""
        return "" if self.kind in ("r", "m", "p") else f"{self.label} is {_KINDS.get(self.kind, 'no table')}"


@dataclass(frozen=True)
class Definition:
    """All that makes two indexes the same, as the server stores it."""

    method: str
    unique: bool
    nulls_not_distinct: bool
    keys: tuple[str, ...]
    opclasses: tuple[str, ...]
    opclass_parameters: tuple[str, ...]
    collations: tuple[str, ...]
    orders: tuple[int, ...]
    include: tuple[str, ...]
    condition: str
    parameters: tuple[tuple[str, str], ...]
    # From USING on, for people
    text: str


@dataclass(frozen=True)
class Index:
    """An index that is there."""

    oid: int
    schema: str
    name: str
    table_oid: int
    table_label: str
    kind: str
    valid: bool
    definition: Definition
    tablespace: str
    constraints: str
    extension: str
    partition: bool
    clustered: bool
    replica_identity: bool
    comment: str

    @property
    def label(self) -> str:
        return quoted(self.schema, self.name)

    @property
    def foreign(self) -> str:
        """Why it is not for this module to replace or drop; empty when it is."""
        reasons = {
            f"backs the constraint {self.constraints}": self.constraints,
            f"belongs to the extension {self.extension}": self.extension,
            "belongs to a partitioned table's index": self.partition or self.kind == "I",
            "is its table's replica identity": self.replica_identity,
        }
        return ", ".join(reason for reason, holds in reasons.items() if holds)


_Record = TypeVar("_Record", Table, Definition, Index)


def read_table(client: PgClient, schema: str, name: str) -> Table | None:
    """Whatever has that name; tables, indexes and views share their names."""
    rows = client.query(_TABLES, [schema, name])
    return _record(Table, rows[0]) if rows else None


def read_indexes(client: PgClient, where: str, parameters: Sequence[Any]) -> list[Index]:
    """The indexes that a condition holds for; `where` is one of this collection's own."""
    nulls = "i.indnullsnotdistinct" if client.version >= NULLS_NOT_DISTINCT_SINCE else "false"
    rows = client.query(_INDEXES.format(nulls=nulls, where=where), parameters)
    return [_record(Index, {**row, "definition": _definition(row)}) for row in rows]


def read_named(client: PgClient, schema: str, *names: str) -> dict[str, Index]:
    """Those of the indexes that are there, by name."""
    found = read_indexes(client, "n.nspname = %s AND c.relname = ANY(%s)", [schema, list(names)])
    return {index.name: index for index in found}


def builders(client: PgClient, table_oid: int) -> list[Row]:
    """Sessions that seem to build an index of the table at this moment, our own left out."""
    return client.query(_BUILDERS, [table_oid, LOCK_CLASS])


def _record(kind: type[_Record], row: Row) -> _Record:
    """The columns that are the fields of a record, arrays as tuples."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = row[field.name]
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _definition(row: Row) -> Definition:
    prefix = f"CREATE {'UNIQUE ' if row['unique'] else ''}INDEX {row['quoted_name']} ON "
    text = row["text"].removeprefix(prefix).removeprefix("ONLY ")
    # Of a temporary table the server leaves the number of its schema out.
    for table in (row["table_label"], f"pg_temp.{row['quoted_table']}"):
        text = text.removeprefix(f"{table} ")
    parameters = sorted(_parameter(text) for text in row["parameters"])
    return _record(Definition, {**row, "parameters": parameters, "text": text})


def _parameter(text: str) -> tuple[str, str]:
    """A storage parameter; the server keeps the words that were used, so that on, true and 1 are to be one value."""
    name, _sign, value = text.partition("=")
    word = {"on": "1", "true": "1", "yes": "1", "off": "0", "false": "0", "no": "0"}.get(value.lower(), value.lower())
    try:
        return name, f"{float(word):g}"
    except ValueError:
        return name, word
