# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL server on this host has, and what of it is not as declared. Reads alone, and changes nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._host.accounts import user_name
from .admin_schema import plan
from .client import PgClient, PgError, Row

# The user of the host that the server runs as, who is its first superuser, and whose its files are.
OWNER = "postgres"

_SERVER = """
SELECT
  extract(epoch FROM pg_conf_load_time()) AS loaded,
  ARRAY(SELECT 'line ' || line_number || ' lets ' || array_to_string(user_name, ', ') || ' into '
      || array_to_string(database, ', ') || ' without a password (trust)'
    FROM pg_hba_file_rules WHERE auth_method = 'trust' ORDER BY line_number) AS trust,
  ARRAY(SELECT 'line ' || line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL
    UNION ALL
    SELECT 'line ' || line_number || ': ' || error FROM pg_ident_file_mappings WHERE error IS NOT NULL) AS misread,
  -- 10 is the superuser that the server was made with
  ARRAY(SELECT rolname::text FROM pg_roles
    WHERE rolcanlogin AND oid <> 10 AND rolname::text <> ALL (%(own)s) ORDER BY rolname) AS others
"""
# A parameter that is set again by a later file has neither been applied nor an error here. An error of a parameter that
# only a start can change means that the running server has another value.
_SETTINGS = """
SELECT
  coalesce(string_agg(f.name, ', ') FILTER (
    WHERE f.error IS NOT NULL AND s.context = 'postmaster' AND f.sourcefile = ANY (%(files)s)), '') AS waiting,
  coalesce(string_agg(f.name || ': ' || f.error, ', ') FILTER (
    WHERE f.error IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster'), '') AS broken,
  coalesce(max(f.setting) FILTER (
    WHERE f.name = 'max_connections' AND (f.applied OR f.error IS NOT NULL)), '100')::int AS max_connections
FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = lower(f.name)
"""
_ROLES = """
SELECT a.rolname::text AS name, a.rolcanlogin AS login, coalesce(a.rolpassword, '') AS verifier,
  a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolreplication OR a.rolbypassrls AS powerful,
  coalesce(r.rolconfig, '{}')::text[] AS configuration,
  ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid
    WHERE m.member = a.oid ORDER BY g.rolname) AS groups
FROM pg_authid a JOIN pg_roles r USING (oid) WHERE a.rolname::text = ANY (%(names)s)
"""
_DATABASE = """
SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding
FROM pg_database WHERE datname = %(name)s
"""
# No list of rights means the rights that PostgreSQL gives by itself.
_RIGHTS = """
SELECT 'database' AS type, datname::text AS object, grantee, privilege_type::text AS right
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database()
UNION ALL
SELECT 'schema', nspname::text, grantee, privilege_type::text
FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
"""
# A name without a schema is one in public, where the superuser's session does not look.
_FILLED = """
SELECT %(relation)s = '' OR to_regclass(CASE cardinality(parse_ident(nullif(%(relation)s, '')))
    WHEN 1 THEN 'public.' ELSE '' END || nullif(%(relation)s, '')) IS NOT NULL AS filled
"""


@dataclass(frozen=True)
class DesiredFile:
    """A file of the server's configuration: mode, whole content, a block in it, a pattern that no line may match.

    The pattern counts only where nobody else logs in to the server.
    """

    path: str
    mode: str = ""
    content: str | None = None
    block: str | None = None
    without: str | None = None


@dataclass(frozen=True)
class DesiredRole:
    """A role without powers; ``member_of`` is all that it is a member of, or None where that is not declared."""

    name: str
    login: bool = True
    password: str = field(default="", repr=False)
    configuration: Mapping[str, str] = field(default_factory=dict)
    member_of: Sequence[str] | None = None


@dataclass(frozen=True)
class DesiredRight:
    """Rights that a role, or PUBLIC, has to an object, or must not have."""

    role: str
    privs: Sequence[str]
    type: str
    objs: str
    present: bool = True


@dataclass(frozen=True)
class DesiredDatabase:
    """A database, who reads its statistics, and a relation that shows that its schema is there."""

    name: str
    owner: str
    extensions: Sequence[str] = ()
    rights: Sequence[DesiredRight] = ()
    relation: str = ""
    diagnosis_role: str = ""


@dataclass(frozen=True)
class ActualServer:
    """What the server says of itself, and which of the files it has not read as they are now."""

    trust: list[str]
    misread: list[str]
    others: list[str]
    waiting: str
    broken: str
    max_connections: int
    unread: list[str]


@dataclass(frozen=True)
class ActualDatabase:
    """What a database has; ``rights`` are (type, object, role, right), ``lacking`` is what a superuser must create."""

    rights: frozenset[tuple[str, str, str, str]]
    lacking: list[str]
    filled: bool


def read_server(client: PgClient, files: Sequence[str], own: Sequence[str]) -> ActualServer:
    """Read the server as a superuser; ``own`` are the roles that are not others. Raises PgError, OSError."""
    row = client.one(_SERVER, {"own": list(own)})
    loaded = float(row.pop("loaded"))
    unread = [path for path in files if Path(path).exists() and Path(path).stat().st_mtime > loaded]
    return ActualServer(**row, **client.one(_SETTINGS, {"files": list(files)}), unread=unread)


def read_roles(client: PgClient, names: Sequence[str]) -> dict[str, Row]:
    """Return the roles of these names that the server has, as a superuser. Raises PgError."""
    return {row["name"]: row for row in client.query(_ROLES, {"names": list(names)})}


def read_owner(client: PgClient, database: str) -> Row | None:
    """Return the database's owner and encoding; None where there is no such database. Raises PgError."""
    return next(iter(client.query(_DATABASE, {"name": database})), None)


def read_database(client: PgClient, desired: DesiredDatabase) -> ActualDatabase:
    """Read the session's own database. Raises PgError."""
    roles = {row["oid"]: row["name"] for row in client.query("SELECT oid, rolname::text AS name FROM pg_roles")}
    rights = client.query(_RIGHTS)
    return ActualDatabase(
        frozenset((row["type"], row["object"], roles.get(row["grantee"], "PUBLIC"), row["right"]) for row in rights),
        _lacking(client, desired),
        **client.one(_FILLED, {"relation": desired.relation}),
    )


def _lacking(client: PgClient, desired: DesiredDatabase) -> list[str]:
    try:
        return [step.problem for step in plan(client, desired.extensions, desired.diagnosis_role)]
    except PgError as error:
        if error.lost:
            raise
        return [str(error)]


def judge_files(files: Sequence[DesiredFile], others: Sequence[str]) -> Iterator[str]:
    """Say which files are not as declared, where ``others`` log in as well. Raises OSError."""
    for file in files:
        path = Path(file.path)
        if not path.exists():
            yield f"{path} is missing"
            continue
        text, found = path.read_text(encoding="utf-8", errors="replace"), path.stat()
        if file.mode and (user_name(found.st_uid), f"{stat.S_IMODE(found.st_mode):04o}") != (OWNER, file.mode):
            yield f"{path} has another owner or mode"
        if file.content is not None and text != file.content:
            yield f"{path} has another content"
        if file.block is not None and file.block not in text:
            yield f"{path} has not the declared lines"
        if file.without is not None and not others and re.search(file.without, text, re.MULTILINE):
            yield f"{path} has lines that let everybody in"


def judge_server(actual: ActualServer, max_connections: int) -> Iterator[str]:
    """Say what of the running server is not as its files and the declared number of connections have it."""
    if actual.unread:
        yield f"the server has not read {', '.join(actual.unread)}"
    if actual.misread:
        yield f"the server does not understand {'; '.join(actual.misread)}"
    if actual.broken:
        yield f"the server does not understand {actual.broken}"
    if actual.waiting:
        yield f"only a restart changes {actual.waiting}"
    if actual.max_connections < max_connections:
        yield f"max_connections is {actual.max_connections}, less than {max_connections}"


def judge_roles(desired: Sequence[DesiredRole], actual: Mapping[str, Row]) -> Iterator[str]:
    """Say what is not as declared; of a password only that it is another one."""
    for role in desired:
        if role.name not in actual:
            yield f"role {role.name} is missing"
            continue
        row = actual[role.name]
        if row["powerful"] or row["login"] != role.login:
            yield f"role {role.name} has other attributes"
        if role.password and not has_password(row["verifier"], role.password):
            yield f"role {role.name} has another password"
        if not {f"{name}={value}" for name, value in role.configuration.items()} <= set(row["configuration"]):
            yield f"role {role.name} has other settings"
        if role.member_of is not None and set(row["groups"]) != set(role.member_of):
            yield f"role {role.name} is a member of {', '.join(row['groups']) or 'nothing'}"


def judge_owner(desired: DesiredDatabase, actual: Row | None) -> Iterator[str]:
    """Say what is not as declared of the database as a whole."""
    if actual is None:
        yield f"database {desired.name} is missing"
    elif actual["owner"] != desired.owner or actual["encoding"] != "UTF8":
        yield f"database {desired.name} has owner {actual['owner']} and encoding {actual['encoding']}"


def judge_database(desired: DesiredDatabase, actual: ActualDatabase) -> Iterator[str]:
    """Say what is not as declared in the database."""
    for right in desired.rights:
        named = {(right.type, right.objs, right.role, name) for name in right.privs}
        if right.present and not named <= actual.rights:
            yield f"{right.role} lacks rights to {right.type} {right.objs}"
        if not right.present and named & actual.rights:
            yield f"{right.role} has rights to {right.type} {right.objs}"
    yield from actual.lacking
    if not actual.filled:
        yield f"{desired.relation} is missing"


def has_password(verifier: str, password: str) -> bool:
    """Whether the verifier that the server keeps is this password's (RFC 5803, SCRAM-SHA-256; no other is accepted).

    A password beyond ASCII may be normalized by the server (SASLprep); it is then said to be another one.
    """
    try:
        method, parameters, keys = verifier.split("$")
        rounds, salt = parameters.split(":")
        stored = base64.b64decode(keys.split(":")[0], validate=True)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt, validate=True), int(rounds))
    except (ValueError, binascii.Error):
        return False
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return method == "SCRAM-SHA-256" and hmac.compare_digest(hashlib.sha256(client_key).digest(), stored)
