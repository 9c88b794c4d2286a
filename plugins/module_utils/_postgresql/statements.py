# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what pg_stat_statements has counted, and says precisely what is missing where it can't."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from .._host.errors import StabilityError
from .client import PgClient, PgError, Row, quoted
from .readable import function

# 1.9 (PostgreSQL 14) brought pg_stat_statements_info, which alone tells when the counters were reset, and toplevel.
OLDEST = (1, 9)
_SHOWN_LENGTH = 300
_UNDEFINED_TABLE = "42P01"
# The library's settings exist only where it is loaded; shared_preload_libraries itself is shown to few.
_STATE = """
SELECT current_user AS role, current_database() AS database,
       current_setting('pg_stat_statements.max', true) IS NOT NULL AS preloaded,
       coalesce(current_setting('pg_stat_statements.track', true), '') AS track,
       (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements') AS extension,
       (SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE extname = 'pg_stat_statements') AS schema,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS available,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all,
       extract(epoch FROM clock_timestamp())::float8 AS now,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started
"""
_INFO = "SELECT extract(epoch FROM stats_reset)::float8 AS reset, dealloc FROM {schema}.pg_stat_statements_info"
# What an account may not read has no queryid. The columns have these names in every version from 1.9 to 1.12.
_STATEMENTS = """
SELECT s.queryid::text || '/' || s.userid || CASE WHEN s.toplevel THEN '' ELSE '/nested' END AS key,
       r.rolname::text AS role, s.query, s.calls, s.rows, s.total_exec_time AS total_ms,
       s.shared_blks_hit AS hit, s.shared_blks_read AS read,
       s.temp_blks_read + s.temp_blks_written AS temp, s.wal_bytes::float8 AS wal
FROM {schema}.pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.queryid IS NOT NULL
"""
_COLUMNS = (
    "TABLE(key text, role text, query text, calls bigint, rows bigint, total_ms double precision, hit bigint,"
    " read bigint, temp bigint, wal double precision)"
)
_OF_ROLES = "SELECT * FROM {statements} s WHERE %(roles)s::text[] = '{{}}' OR role = ANY (%(roles)s::text[])"
_TABLES = """
SELECT format('%I.%I', schemaname, relname) AS key, relname AS name, coalesce(seq_scan, 0) AS calls,
       coalesce(seq_tup_read, 0) AS rows, n_live_tup AS live
FROM pg_stat_user_tables
"""
_LITERALS = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<name> "(?:[^"]|"")*"? )
  | (?P<escaped> \b[Ee]'(?:[^'\\]|''|\\.)*'? )
  | (?P<text> (?:\b[BbXxNn]|\b[Uu]&)?'(?:[^']|'')*'? )
  | (?P<dollar> \$(?P<tag>[A-Za-z_][A-Za-z0-9_]*|)\$.*?(?:\$(?P=tag)\$|\Z) )
  | (?P<parameter> \$\d+ )
  | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
  | (?P<number> (?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?(?:[xXoObB][0-9a-fA-F_]+)? )
    """,
    re.VERBOSE | re.DOTALL,
)
_HIDDEN = {"text": "'?'", "escaped": "'?'", "dollar": "'?'", "number": "?", "comment": " "}


class StatementsError(StabilityError):
    """The statistics can't be read; the message says which piece is missing and how to add it."""


@dataclasses.dataclass(frozen=True)
class Counters:
    """What one statement, or the scans of one table, did. Times in ms, hit, read and temp in blocks of 8 kB."""

    calls: int
    rows: int
    total_ms: float = 0.0
    hit: int = 0
    read: int = 0
    temp: int = 0
    wal: float = 0.0

    def minus(self, before: Counters) -> Counters:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(before), strict=True)
        return Counters(*(now - then for now, then in pairs))

    def went_back(self, before: Counters) -> bool:
        return self.calls < before.calls or self.rows < before.rows or self.total_ms < before.total_ms


@dataclasses.dataclass(frozen=True)
class Statement:
    key: str
    role: str
    query: str
    """With every literal replaced."""
    counters: Counters


@dataclasses.dataclass(frozen=True)
class Table:
    """The sequential scans over a table: `calls` scans that read `rows` rows."""

    key: str
    name: str
    live: int
    counters: Counters


@dataclasses.dataclass(frozen=True)
class Reading:
    """pg_stat_statements as an account sees it. Times are seconds since the epoch, of the server's clock."""

    now: float
    started: float
    reset: float
    dealloc: int
    """How often statements were forgotten because there were too many kinds."""
    notes: tuple[str, ...]
    statements: tuple[Statement, ...]
    tables: tuple[Table, ...]


def read(client: PgClient, roles: Sequence[str] = ()) -> Reading:
    """All statements of the database, of these roles only where there are any, and its tables.

    Raises StatementsError, and PgError where the server is gone.
    """
    state = client.one(_STATE)
    if problem := missing(state):
        raise StatementsError(problem)
    schema = quoted(state["schema"])
    readable = "" if state["reads_all"] else function(client, "statements")
    state["reads_all"] = bool(state["reads_all"] or readable)
    statements = readable or f"({_STATEMENTS.format(schema=schema)})"
    try:
        info = client.one(_INFO.format(schema=schema))
        rows = client.query(_OF_ROLES.format(statements=statements), {"roles": list(roles)})
    except PgError as error:
        raise StatementsError(_refused(state, error)) from error
    return Reading(
        now=state["now"],
        started=state["started"],
        reset=info["reset"] or 0.0,
        dealloc=info["dealloc"],
        notes=tuple(notes(state, roles)),
        statements=tuple(_statement(row) for row in rows),
        tables=tuple(_table(row) for row in client.query(_TABLES)),
    )


def statements_query(schema: str) -> tuple[str, str]:
    """What a function returns and does that shows the statements of its database to who may not read all statistics."""
    return _COLUMNS, _STATEMENTS.format(schema=quoted(schema))


def missing(state: Row) -> str:
    """The first piece that pg_stat_statements lacks and what adds it; empty when nothing does."""
    if state["available"] is None:
        return "pg_stat_statements is not installed on the server: install the Debian package postgresql-contrib"
    if not state["preloaded"]:
        return (
            "pg_stat_statements is not preloaded: add it to shared_preload_libraries (in the role postgresql,"
            " postgresql_preload_libraries) and restart the server"
        )
    if state["extension"] is None:
        return (
            f"pg_stat_statements is not created in the database {state['database']}: as a superuser there,"
            " CREATE EXTENSION pg_stat_statements"
        )
    if version(state["extension"]) < OLDEST:
        return (
            f"pg_stat_statements in the database {state['database']} is of version {state['extension']}, at least"
            f" {'.'.join(map(str, OLDEST))} is needed and the server has {state['available']}:"
            " ALTER EXTENSION pg_stat_statements UPDATE"
        )
    if state["track"] == "none":
        return "pg_stat_statements counts nothing: pg_stat_statements.track is none, set it to top"
    return ""


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def notes(state: Row, roles: Sequence[str]) -> list[str]:
    """What the reading will lack although it works."""
    others = [role for role in roles if role != state["role"]]
    if state["reads_all"] or (roles and not others):
        return []
    whose = ", ".join(others) or "other roles"
    return [
        f"the statements of {whose} are hidden from {state['role']}: GRANT pg_read_all_stats TO {quoted(state['role'])}"
    ]


def _refused(state: Row, error: PgError) -> str:
    """What an error of the view itself means."""
    if error.lost:
        return f"the server ended the connection: {error}"
    if error.sqlstate == _UNDEFINED_TABLE:
        return f"pg_stat_statements in the database {state['database']} is broken: DROP EXTENSION and create it again"
    return f"pg_stat_statements is not readable for {state['role']}: {error}"


def _statement(row: Row) -> Statement:
    key, role, query = (row.pop(name) for name in ("key", "role", "query"))
    return Statement(key, role, shown(query or ""), Counters(**row))


def _table(row: Row) -> Table:
    return Table(row["key"], row["name"], row["live"], Counters(row["calls"], row["rows"]))


def shown(query: str) -> str:
    """A statement on one line, without comments and the literals that are left in utility statements."""
    return " ".join(_LITERALS.sub(lambda match: _HIDDEN.get(str(match.lastgroup), match[0]), query).split())


def brief(query: str) -> str:
    """The beginning of a statement, for a message."""
    return query if len(query) <= _SHOWN_LENGTH else query[: _SHOWN_LENGTH - 1] + "…"


def counters_of(values: Sequence[Any]) -> Counters:
    """Counters as the snapshot's file holds them. Raises TypeError and ValueError for what are none."""
    calls, rows, total, hit, read_, temp, wal = values
    return Counters(int(calls), int(rows), float(total), int(hit), int(read_), int(temp), float(wal))
