# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service's part of a PostgreSQL server: its roles, its database, who has rights to it, and its first tables."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import admin_schema
from .client import Login, PgClient, PgError, Row, literal, quoted, session
from .steps import Step, carry_out, carry_out_singly

PUBLIC = "PUBLIC"
ENCODING = "UTF8"
# What a service's role is never given: the first of them alone makes it the master of every neighbour's data.
_POWERS = ("SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
# Runs that share a server take turns by this lock of the database that all of them begin in. An arbitrary number.
_TURN = 7_262_021_106
_TURN_SECONDS = 120
# Longer than any honest lock of a service's on its tables, and no run waits for ever.
_TABLES_SECONDS = 600
_LOCK_TIMEOUT = "55P03"
# Since this version a membership belongs to the role that gave it, and only that one's is taken away.
_GRANTORS = 160000
_UNLIMITED = -1
_NEW: Row = {
    "powerful": False,
    "expires": False,
    "connections": _UNLIMITED,
    "verifier": "",
    "configuration": [],
    "overrides": [],
    "memberships": [],
}

_ROLES = """
SELECT a.rolname::text AS name, a.rolcanlogin AS login, a.rolconnlimit AS connections,
  coalesce(a.rolpassword, '') AS verifier,
  a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolreplication OR a.rolbypassrls AS powerful,
  coalesce(a.rolvaliduntil, 'infinity') <> 'infinity' AS expires,
  coalesce(r.rolconfig, '{}')::text[] AS configuration,
  ARRAY(SELECT ARRAY[d.datname::text, split_part(c, '=', 1)] FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c WHERE s.setrole = a.oid) AS overrides,
  coalesce((SELECT jsonb_agg(jsonb_build_array(g.rolname, pg_get_userbyid(m.grantor)) ORDER BY g.rolname)
    FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid WHERE m.member = a.oid), '[]') AS memberships
FROM pg_authid a JOIN pg_roles r USING (oid) WHERE a.rolname::text = ANY (%(names)s)
"""
_DATABASE = """
SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding,
  datconnlimit AS connections
FROM pg_database WHERE datname = %(name)s
"""
# No list of rights means the rights that PostgreSQL gives by itself.
_RIGHTS = """
SELECT a.type, a.object, coalesce(r.rolname::text, 'PUBLIC') AS role, a.right FROM (
  SELECT 'database' AS type, datname::text AS object, grantee, privilege_type::text AS right
  FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database()
  UNION ALL
  SELECT 'schema', nspname::text, grantee, privilege_type::text
  FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
) a LEFT JOIN pg_roles r ON r.oid = a.grantee
"""


@dataclass(frozen=True)
class DesiredRole:
    """A role without powers; ``member_of`` is all that it is a member of, or None where that is not declared.

    Of its ``configuration`` only what is named is compared, and an empty password or no ``connections`` are not.
    """

    name: str
    login: bool = True
    password: str = field(default="", repr=False)
    configuration: Mapping[str, str] = field(default_factory=dict)
    member_of: Sequence[str] | None = None
    connections: int | None = None

    @property
    def missing(self) -> str:
        """The problem of one that is not there."""
        return f"role {self.name} is missing"


@dataclass(frozen=True)
class DesiredRight:
    """Rights that a role, or PUBLIC, has to a database or a schema, or must not have."""

    role: str
    privs: Sequence[str]
    type: str
    objs: str
    present: bool = True


@dataclass(frozen=True)
class DesiredDatabase:
    """A database with its roles, and the role that reads its statistics, if there is one."""

    name: str
    owner: str
    roles: Sequence[DesiredRole] = ()
    rights: Sequence[DesiredRight] = ()
    extensions: Sequence[str] = ()
    diagnosis_role: str = ""

    @property
    def missing(self) -> str:
        """The problem of one that is not there."""
        return f"database {self.name} is missing"

    @property
    def all_missing(self) -> list[str]:
        """The problems of a server that has nothing of it."""
        return [*(role.missing for role in self.roles), self.missing]


@dataclass(frozen=True)
class DesiredTables:
    """SQL that is carried out where the table or view that it ``creates`` is not there."""

    creates: str
    sql: str

    @property
    def missing(self) -> str:
        """The problem of those that are not there."""
        return f"{self.creates} is missing"


def converge_database(server: Login, inside: Login, desired: DesiredDatabase, *, check_mode: bool = False) -> list[str]:
    """Make roles, database and rights as declared, as a superuser; what was not, in check mode what is not.

    ``server`` leads to any other database of the server, ``inside`` to this one. Raises PgError, also where something
    is not as declared after it was put right.
    """
    with session(server) as client:
        if not client.superuser:
            raise PgError(f"{client.login.parameters['user']} must be a superuser")
        problems = _problems(client, inside, desired)
        if problems and not check_mode:
            with _turn(client):
                carry_out(client, plan_roles(client, desired.roles))
                carry_out_singly(client, plan_database(client, desired))
                with session(inside) as own:
                    carry_out(own, plan_inside(own, desired))
                if left := _problems(client, inside, desired):
                    raise PgError(f"the server took the changes, and still {'; '.join(left)}")
    return problems


def converge_tables(login: Login, desired: DesiredTables, *, check_mode: bool = False) -> list[str]:
    """Make the tables as the role that they are to belong to, all of them or none; what was missing. Raises PgError."""
    with session(login) as client:
        if _is_there(client, desired):
            return []
        if not check_mode:
            with client.transaction():
                client.execute("SET LOCAL statement_timeout = 0")
                _take_turn(client, "pg_advisory_xact_lock")
                client.execute(f"SET LOCAL lock_timeout = '{_TABLES_SECONDS}s'")
                # Another run may have made them since this one looked.
                if not _is_there(client, desired):
                    client.execute(desired.sql)
                    if not _is_there(client, desired):
                        raise PgError(f"the SQL did not make {desired.creates}: nothing of it was kept")
    return [desired.missing]


def _is_there(client: PgClient, desired: DesiredTables) -> bool:
    return bool(client.one("SELECT to_regclass(%(name)s) IS NOT NULL AS found", {"name": desired.creates})["found"])


def _problems(client: PgClient, inside: Login, desired: DesiredDatabase) -> list[str]:
    problems = [step.problem for step in (*plan_roles(client, desired.roles), *plan_database(client, desired))]
    # What a new database lacks goes without saying.
    if desired.missing not in problems:
        with session(inside) as own:
            problems += [step.problem for step in plan_inside(own, desired)]
    return problems


@contextlib.contextmanager
def _turn(client: PgClient) -> Iterator[None]:
    """Two that make the same role at once would fail. The lock ends with the session at the latest."""
    _take_turn(client, "pg_advisory_lock")
    try:
        yield
    finally:
        with contextlib.suppress(PgError):
            client.query(f"SELECT pg_advisory_unlock({_TURN})")


def _take_turn(client: PgClient, lock: str) -> None:
    """Anybody who may connect can hold such a lock: nobody is waited for longer than a run takes."""
    client.execute(f"SET lock_timeout = '{_TURN_SECONDS}s'")
    try:
        client.query(f"SELECT {lock}({_TURN})")
    except PgError as error:
        if error.sqlstate != _LOCK_TIMEOUT:
            raise
        message = f"another session has held the database's advisory lock {_TURN} for {_TURN_SECONDS} s"
        raise PgError(message) from error


def plan_roles(client: PgClient, desired: Sequence[DesiredRole]) -> list[Step]:
    """What is to be done about the roles, for a superuser. Raises PgError."""
    rows = {row["name"]: row for row in client.query(_ROLES, {"names": [role.name for role in desired]})}
    return [step for role in desired for step in _role(client, role, rows.get(role.name))]


def _role(client: PgClient, role: DesiredRole, actual: Row | None) -> Iterator[Step]:
    name = quoted(role.name)
    attributes = " ".join(["LOGIN" if role.login else "NOLOGIN", *(f"NO{power}" for power in _POWERS)])
    if actual is None:
        rest = _role(client, role, {**_NEW, "login": role.login})
        statements = (statement for step in rest for statement in step.statements)
        yield Step(role.missing, (f"CREATE ROLE {name} {attributes}", *statements))
        return
    if actual["powerful"] or actual["login"] != role.login:
        yield Step(f"role {role.name} has other attributes", (f"ALTER ROLE {name} {attributes}",))
    if role.connections not in (None, actual["connections"]):
        limited = f"ALTER ROLE {name} CONNECTION LIMIT {role.connections}"
        yield Step(f"role {role.name} may have {_many(actual['connections'])} connections", (limited,))
    if actual["expires"]:
        yield Step(f"role {role.name} has a password that expires", (f"ALTER ROLE {name} VALID UNTIL 'infinity'",))
    if role.password and not has_password(actual["verifier"], role.password):
        verifier = literal(client.verifier(role.password, role.name))
        yield Step(f"role {role.name} has another password", (f"ALTER ROLE {name} PASSWORD {verifier}",))
    others = {key for key, value in role.configuration.items() if f"{key}={value}" not in actual["configuration"]}
    if others:
        made = (f"SET {quoted(key)} = {literal(role.configuration[key])}" for key in sorted(others))
        yield Step(f"role {role.name} has other settings", tuple(f"ALTER ROLE {name} {setting}" for setting in made))
    for database, key in actual["overrides"]:
        if key in role.configuration:
            reset = f"ALTER ROLE {name} IN DATABASE {quoted(database)} RESET {quoted(key)}"
            yield Step(f"role {role.name} has another {key} in database {database}", (reset,))
    if role.member_of is not None:
        yield from _memberships(client, role, actual["memberships"])


def _many(connections: int) -> str:
    return "any number of" if connections == _UNLIMITED else str(connections)


def _memberships(client: PgClient, role: DesiredRole, actual: Sequence[tuple[str, str]]) -> Iterator[Step]:
    desired, groups = set(role.member_of or ()), sorted({group for group, _grantor in actual})
    if set(groups) == desired:
        return
    name, by = quoted(role.name), client.version >= _GRANTORS
    revoked = (
        f"REVOKE {quoted(group)} FROM {name}{f' GRANTED BY {quoted(grantor)}' if by else ''} CASCADE"
        for group, grantor in actual
        if group not in desired
    )
    granted = (f"GRANT {quoted(group)} TO {name}" for group in sorted(desired - set(groups)))
    yield Step(f"role {role.name} is a member of {', '.join(groups) or 'nothing'}", (*revoked, *granted))


def plan_database(client: PgClient, desired: DesiredDatabase) -> list[Step]:
    """What is to be done about the database as a whole, for a superuser; no transaction takes it. Raises PgError."""
    name, owner = quoted(desired.name), quoted(desired.owner)
    rows = client.query(_DATABASE, {"name": desired.name})
    if not rows:
        made = f"CREATE DATABASE {name} OWNER {owner} ENCODING '{ENCODING}' TEMPLATE template0"
        return [Step(desired.missing, (made,))]
    [row] = rows
    if row["encoding"] != ENCODING:
        raise PgError(f"the database has the encoding {row['encoding']}, which nothing changes: it must be {ENCODING}")
    steps = []
    if row["owner"] != desired.owner:
        given = f"ALTER DATABASE {name} OWNER TO {owner}"
        steps.append(Step(f"database {desired.name} belongs to {row['owner']}", (given,)))
    if row["connections"] != _UNLIMITED:
        unlimited = f"ALTER DATABASE {name} CONNECTION LIMIT {_UNLIMITED}"
        steps.append(Step(f"database {desired.name} may have {_many(row['connections'])} connections", (unlimited,)))
    return steps


def plan_inside(client: PgClient, desired: DesiredDatabase) -> list[Step]:
    """What is to be done in the database, for a superuser in it. Raises PgError."""
    actual = {(row["type"], row["object"], row["role"], row["right"]) for row in client.query(_RIGHTS)}
    rights = [step for right in desired.rights for step in _right(right, actual)]
    return rights + admin_schema.plan(client, desired.extensions, desired.diagnosis_role)


def _right(right: DesiredRight, actual: set[tuple[str, str, str, str]]) -> Iterator[Step]:
    named = {(right.type, right.objs, right.role, name) for name in right.privs}
    role = right.role if right.role == PUBLIC else quoted(right.role)
    what = f"{', '.join(right.privs)} ON {right.type.upper()} {quoted(right.objs)}"
    if right.present and not named <= actual:
        yield Step(f"{right.role} lacks rights to {right.type} {right.objs}", (f"GRANT {what} TO {role}",))
    if not right.present and named & actual:
        yield Step(f"{right.role} has rights to {right.type} {right.objs}", (f"REVOKE {what} FROM {role} CASCADE",))


def has_password(verifier: str, password: str) -> bool:
    """Whether the verifier that the server keeps is this password's (RFC 5803, SCRAM-SHA-256; no other is accepted).

    The server prepares a password beyond ASCII (SASLprep, RFC 4013), and takes one that this forbids as it is.
    """
    try:
        method, parameters, keys = verifier.split("$")
        rounds, salt = parameters.split(":")
        stored = base64.b64decode(keys.split(":")[0], validate=True)
        salted = [
            hashlib.pbkdf2_hmac("sha256", form.encode(), base64.b64decode(salt, validate=True), int(rounds))
            for form in dict.fromkeys((password, _prepared(password)))
        ]
    except (ValueError, binascii.Error):
        return False
    found = (hashlib.sha256(hmac.digest(key, b"Client Key", "sha256")).digest() for key in salted)
    return method == "SCRAM-SHA-256" and any(hmac.compare_digest(key, stored) for key in found)


def _prepared(password: str) -> str:
    if password.isascii():
        return password
    mapped = (" " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char))
    return unicodedata.normalize("NFKC", "".join(mapped))
