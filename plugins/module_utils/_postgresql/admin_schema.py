# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schema in a service's database that superusers alone create in: its extensions, and what its diagnosis may read.

In `public` the service creates what it likes: a script of an extension that runs there as a superuser could look a name
up that is the service's. Of the server's statistics the diagnosis sees this database's, by functions of the superuser:
pg_read_all_stats would show it the statements of every neighbour, with what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .client import SAFE_PATH, PgClient, PgError, Row, literal, quoted
from .readable import SCHEMA
from .sessions import sessions_query
from .statements import OLDEST, statements_query, version
from .steps import Step

_STATISTICS = "pg_stat_statements"
# What names are looked up in where the database says nothing else; the extensions are behind it.
_PATH = f'"$user", public, {SCHEMA}'

_SCHEMA = """
SELECT o.rolsuper AS trusted, pg_get_userbyid(n.nspowner)::text AS owner,
  ARRAY(SELECT x.privilege_type::text || ' to ' || coalesce(pg_get_userbyid(nullif(x.grantee, 0))::text, 'PUBLIC')
    FROM aclexplode(n.nspacl) x WHERE x.grantee <> n.nspowner ORDER BY 1) AS rights
FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner WHERE n.nspname = %(schema)s
"""
_EXTENSIONS = """
SELECT a.name::text AS name, a.default_version AS available, e.extversion AS installed, n.nspname::text AS schema,
  (SELECT min(r.rolname::text) FROM pg_roles r
    WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, n.nspowner, 'MEMBER')) AS master
FROM pg_available_extensions a LEFT JOIN pg_extension e ON e.extname = a.name
LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE a.name = ANY (%(names)s::name[])
"""
_FUNCTIONS = """
SELECT p.proname::text AS name, pg_get_function_result(p.oid) AS returns, p.prosrc AS body,
  p.prosecdef AND o.rolsuper AND p.proconfig = ARRAY[%(path)s::text] AS guarded,
  ARRAY(SELECT coalesce(pg_get_userbyid(nullif(x.grantee, 0))::text, 'PUBLIC')
    FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
    WHERE x.grantee <> p.proowner ORDER BY 1) AS readers
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
WHERE n.nspname = %(schema)s AND p.pronargs = 0
"""
_PATH_IS_SET = """
SELECT current_database()::text AS database, EXISTS (
  SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c
  WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'search_path=%') AS given
"""


@dataclass(frozen=True)
class Function:
    """What the diagnosis reads. It runs with the rights of the superuser that made it."""

    name: str
    returns: str
    body: str

    @property
    def label(self) -> str:
        return f"{quoted(SCHEMA, self.name)}()"

    def made(self, reader: str) -> tuple[str, ...]:
        runs = f"LANGUAGE sql STABLE SECURITY DEFINER SET search_path = {SAFE_PATH}"
        return (
            # with what the service has made of it, which would keep it as it is
            f"DROP FUNCTION IF EXISTS {self.label} CASCADE",
            f"CREATE FUNCTION {self.label} RETURNS {self.returns} {runs} AS {literal(self.body)}",
            f"REVOKE ALL ON FUNCTION {self.label} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {self.label} TO {quoted(reader)}",
        )


def plan(client: PgClient, extensions: Sequence[str], reader: str) -> list[Step]:
    """What is to be done, for a superuser in the database; `reader` is the diagnosis role, if there is one.

    Changes nothing. Raises PgError, also where the schema is foreign or an extension is not available.
    """
    if not (extensions or reader):
        return []
    names = sorted({*extensions, _STATISTICS})
    found = {row["name"]: row for row in client.query(_EXTENSIONS, {"names": names})}
    steps = [*_schema(client), *(step for name in extensions for step in _extension(name, found.get(name)))]
    if reader:
        statistics = found.get(_STATISTICS)
        steps += _moved(statistics)
        steps += _functions(client, _desired(client.version, statistics, extensions), reader)
    return steps + _path(client, extensions, found)


def _schema(client: PgClient) -> list[Step]:
    rows = client.query(_SCHEMA, {"schema": SCHEMA})
    grant = f"GRANT USAGE ON SCHEMA {quoted(SCHEMA)} TO PUBLIC"
    if not rows:
        return [Step(f"schema {SCHEMA} is missing", (f"CREATE SCHEMA {quoted(SCHEMA)}", grant))]
    [row] = rows
    if not row["trusted"]:
        raise PgError(f"the schema {SCHEMA} belongs to {row['owner']}, not to a superuser: rename it or drop it")
    if row["rights"] == ["USAGE to PUBLIC"]:
        return []
    holders = sorted({right.partition(" to ")[2] for right in row["rights"]} | {"PUBLIC"})
    revoked = tuple(
        f"REVOKE ALL ON SCHEMA {quoted(SCHEMA)} FROM {holder if holder == 'PUBLIC' else quoted(holder)} CASCADE"
        for holder in holders
    )
    return [Step(f"schema {SCHEMA} has other privileges", (*revoked, grant))]


def _extension(name: str, found: Row | None) -> list[Step]:
    if found is None:
        raise PgError(f"the extension {name} is not available on the server: install the package that has it")
    if found["installed"]:
        return []
    # Without a schema in the statement it lies where its own control file says, otherwise in the first of these.
    return [
        Step(
            f"extension {name} is missing",
            (
                f"SET LOCAL search_path = {SCHEMA},pg_temp",
                f"CREATE EXTENSION {quoted(name)}",
                f"SET LOCAL search_path = {SAFE_PATH}",
            ),
        )
    ]


def _moved(statistics: Row | None) -> list[Step]:
    """The superuser's function names the view by its schema. Who renames that could have another view there."""
    if not (statistics and statistics["master"]):
        return []
    problem = f"extension {_STATISTICS} is in the schema {statistics['schema']}, which is {statistics['master']}'s"
    return [Step(problem, (f"ALTER EXTENSION {_STATISTICS} SET SCHEMA {SCHEMA}",))]


def _desired(server: int, statistics: Row | None, extensions: Sequence[str]) -> list[Function]:
    """As this server can have them: what pg_stat_statements has counted is only where that is, or will be."""
    functions = [Function("sessions", *sessions_query(server))]
    if statistics and (statistics["installed"] or _STATISTICS in extensions):
        has = statistics["installed"] or statistics["available"]
        if version(has) >= OLDEST:
            schema = SCHEMA if statistics["master"] else statistics["schema"] or SCHEMA
            functions.append(Function("statements", *statements_query(schema)))
    return functions


def _functions(client: PgClient, desired: Sequence[Function], reader: str) -> list[Step]:
    path = f"search_path={SAFE_PATH.replace(',', ', ')}"
    actual = {row["name"]: row for row in client.query(_FUNCTIONS, {"schema": SCHEMA, "path": path})}
    return [
        Step(f"function {SCHEMA}.{function.name} is not as declared", function.made(reader))
        for function in desired
        if not _is(actual.get(function.name), function, reader)
    ]


def _is(actual: Row | None, function: Function, reader: str) -> bool:
    if not (actual and actual["guarded"]):
        return False
    return (actual["returns"], actual["body"], actual["readers"]) == (function.returns, function.body, [reader])


def _path(client: PgClient, extensions: Sequence[str], found: dict[str, Row]) -> list[Step]:
    """The service names what its extensions bring without their schema; pg_stat_statements is not for the service."""
    used = [name for name in extensions if name != _STATISTICS and (found[name]["schema"] or SCHEMA) == SCHEMA]
    if not used or (state := client.one(_PATH_IS_SET))["given"]:
        return []
    database = state["database"]
    return [
        Step(
            f"database {database} does not look names up in {SCHEMA}",
            (f"ALTER DATABASE {quoted(database)} SET search_path = {_PATH}",),
        )
    ]
