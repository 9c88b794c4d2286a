# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's PostgreSQL server on this host: what a service declares of it, and what it says of itself. Reads only."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._host.command import Identity, effective_user
from .._host.errors import StabilityError
from .._host.files import actual as entry_at
from .access import altered_settings
from .client import MAINTENANCE, Login, Row, literal, session, socket_of

# The user of the host that the server runs as, who is its first superuser, and whose its files are.
OWNER = "postgres"
_APPLICATION = "workbot.stability postgresql_server"
_MANAGED = "# Ansible managed\n# For "
_ORDER = "Of two files in this directory that set the same, the later by name counts."

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
# The same of settings as they will be. A value that another file sets later does not count, and of a size the units may
# differ. Debian's postgresql.conf comes before conf.d.
_COMING = """
SELECT
  coalesce((SELECT string_agg(s.name, ', ')
    FROM jsonb_each_text(%(settings)s::jsonb) w JOIN pg_settings s ON s.name = lower(w.key)
    WHERE s.context = 'postmaster'
    AND NOT coalesce(s.sourcefile > %(file)s AND s.sourcefile NOT LIKE '%%/postgresql.conf'
      AND NOT (s.sourcefile = %(altered)s AND s.name = ANY (%(reset)s)), false)
    AND CASE
      WHEN s.vartype = 'bool' THEN w.value::bool <> s.setting::bool
      WHEN s.unit LIKE '%%B' AND w.value ~ '[A-Za-z]' THEN
        pg_size_bytes(w.value) / pg_size_bytes(regexp_replace(s.unit, '^(?=[A-Za-z])', '1')) <> s.setting::bigint
      WHEN s.vartype IN ('integer', 'real') AND w.value ~ '^-?[0-9.]+$' THEN w.value::numeric <> s.setting::numeric
      ELSE w.value <> s.setting END), '') AS waiting,
  coalesce(string_agg(f.name || ': ' || f.error, ', ') FILTER (
    WHERE f.error IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster' AND f.sourcefile <> %(file)s), '') AS broken
FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = lower(f.name)
"""

_ELSEWHERE = """
SELECT coalesce(string_agg(name || ' in ' || sourcefile, ', '), '') AS elsewhere
FROM pg_file_settings WHERE name = ANY (%(alone)s) AND sourcefile <> %(file)s
"""
# Who else sets a declared setting, for everybody or for a role or database of the service's: each with its value.
_OVERRIDDEN = """
SELECT f.name, f.setting AS value, f.sourcefile AS file, '' AS command
FROM pg_file_settings f WHERE (f.applied OR f.error IS NOT NULL) AND f.sourcefile <> %(altered)s
  AND f.sourcefile COLLATE "C" > %(file)s AND f.sourcefile NOT LIKE '%%/postgresql.conf'
  AND lower(f.name) IN (SELECT lower(key) FROM jsonb_each_text(%(settings)s::jsonb))
UNION ALL
SELECT split_part(c, '=', 1), substring(c FROM position('=' IN c) + 1), '', 'ALTER '
  || concat_ws(' IN ', 'ROLE ' || quote_ident(r.rolname), 'DATABASE ' || quote_ident(d.datname))
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase,
  unnest(s.setconfig) c
WHERE split_part(c, '=', 1) IN (SELECT lower(key) FROM jsonb_each_text(%(settings)s::jsonb))
  AND CASE WHEN r.oid IS NULL THEN d.datname NOT IN ('postgres', 'template1') AND EXISTS (
      SELECT FROM pg_roles o WHERE o.rolname::text = ANY (%(own)s) AND has_database_privilege(o.oid, d.oid, 'CONNECT'))
    ELSE r.rolname::text = ANY (%(own)s) END
"""


class ServerError(StabilityError):
    """The server is not as declared, or does not take what is; the message says what is in force now."""


@dataclass(frozen=True)
class Cluster:
    """Debian's cluster `main` of a version, by the paths of its packages."""

    version: str
    port: int = 5432

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-main.service"

    @property
    def configuration(self) -> Path:
        return Path(f"/etc/postgresql/{self.version}/main")

    @property
    def socket(self) -> Path:
        return socket_of(self.port)

    @property
    def altered(self) -> Path:
        """The file in which ALTER SYSTEM keeps what it sets, which counts after all others."""
        return Path(f"/var/lib/postgresql/{self.version}/main/postgresql.auto.conf")

    @property
    def log(self) -> str:
        return f"/var/log/postgresql/postgresql-{self.version}-main.log"

    @property
    def is_installed(self) -> bool:
        return Path(self._program).exists()

    @property
    def _program(self) -> str:
        return f"/usr/lib/postgresql/{self.version}/bin/postgres"

    @property
    def settings_check(self) -> list[str]:
        """Checks the values themselves: `postgres -C` refuses one that it cannot understand, and may run as root."""
        data = f"/var/lib/postgresql/{self.version}/main"
        return [self._program, "-C", "max_connections", "-D", data, "-c", "config_file=%s"]


@dataclass(frozen=True)
class DesiredServer:
    """What a service needs of its server. ``watched`` are further files that the server must have read as they are.

    ``access`` and ``identities`` are lines of pg_hba.conf and pg_ident.conf, ``marker`` what stands around them;
    ``roles`` are those that the lines let in. With ``only_known`` a server without such a settings file is left alone,
    ``alone`` are settings that no other file may have.
    """

    name: str
    marker: str
    cluster: Cluster
    settings: Mapping[str, str]
    access: str
    identities: str
    roles: Sequence[str]
    max_connections: int = 0
    watched: Sequence[str] = ()
    restart_allowed: bool = True
    only_known: bool = False
    alone: Sequence[str] = ()

    @property
    def settings_file(self) -> str:
        return str(self.cluster.configuration / "conf.d" / f"{self.name}.conf")

    @property
    def settings_text(self) -> str:
        lines = (f"{name} = {literal(value)}\n" for name, value in sorted(self.settings.items()))
        return "".join([f"{_MANAGED}{self.name}. {_ORDER}\n", *lines])

    @property
    def files(self) -> list[str]:
        return [self.settings_file, self.access_file, self.identities_file, *self.watched]

    @property
    def access_file(self) -> str:
        return str(self.cluster.configuration / "pg_hba.conf")

    @property
    def identities_file(self) -> str:
        return str(self.cluster.configuration / "pg_ident.conf")


@dataclass(frozen=True)
class ActualServer:
    """What the server says of itself, and which of the files it has not read as they are now.

    Of the access rules ``trust`` are those that let somebody in without a password, ``misread`` those that it does not
    understand. ``others`` are roles that log in and are not the service's, ``waiting`` settings that only a restart
    changes, ``elsewhere`` settings of other files that this one is to have alone. ``coming`` has the ``waiting`` and
    the ``broken`` of the declared settings; ``overridden`` says who else sets what is declared.
    """

    trust: list[str]
    misread: list[str]
    others: list[str]
    waiting: str
    broken: str
    max_connections: int
    unread: list[str]
    coming: Row
    elsewhere: str = ""
    overridden: Sequence[str] = ()


def read(desired: DesiredServer) -> ActualServer:
    cluster = desired.cluster
    login = {"host": str(cluster.socket.parent), "port": cluster.port, "user": OWNER, "dbname": MAINTENANCE}
    # The server knows its administrator by the user.
    with effective_user(Identity.of(OWNER)), session(Login({**login, "connect_timeout": 10}, _APPLICATION)) as client:
        row = client.one(_SERVER, {"own": list(desired.roles)})
        unread = _newer(desired.files, float(row.pop("loaded")))
        settings = client.one(_SETTINGS, {"files": desired.files})
        altered = str(cluster.altered)
        asked = {
            "settings": json.dumps(desired.settings),
            "file": desired.settings_file,
            "altered": altered,
            "reset": altered_of(desired),
            "own": list(desired.roles),
        }
        overridden = [text for row in client.query(_OVERRIDDEN, asked) if (text := _override(desired, row))]
        elsewhere = client.one(_ELSEWHERE, {"alone": list(desired.alone), "file": desired.settings_file})
        coming = client.one(_COMING, asked)
        return ActualServer(**row, **settings, **elsewhere, unread=unread, coming=coming, overridden=overridden)


def _override(desired: DesiredServer, row: Row) -> str:
    """Who sets what to what, with the way out; "" for another service's file, whose order is declared."""
    name, value = row["name"], row["value"]
    declared = next(text for key, text in desired.settings.items() if key.lower() == name.lower())
    file = entry_at(row["file"]) if row["file"] else None
    if value == declared or (file and file.data.startswith(_MANAGED.encode())):
        return ""
    who = f"{row['command']} SET" if row["command"] else row["file"]
    end = f"{row['command']} RESET {name}" if row["command"] else "remove it there"
    return f"{name} is {value} by {who}; declared is {declared}: {end}, or declare it in postgresql_settings"


def _newer(paths: Sequence[str], loaded: float) -> list[str]:
    """The files that were written since. A time to come is a clock's fault, and none."""
    now = time.time()
    return [path for path in paths if Path(path).exists() and loaded < Path(path).stat().st_mtime <= now]


def altered_of(desired: DesiredServer) -> list[str]:
    """The declared settings that ALTER SYSTEM has set, but for a sufficient max_connections, and what is refused."""
    found = altered_settings(text_of(str(desired.cluster.altered)))
    most = found.get("max_connections", "")
    if most.isdigit() and int(most) >= desired.max_connections:
        del found["max_connections"]
    declared = {name.lower() for name in desired.settings} - {name.lower() for name in desired.alone}
    return sorted(declared & found.keys())


def text_of(path: str) -> str:
    """The text of a file of the server's user, who may put a link in its place: none is followed."""
    entry = entry_at(path)
    if entry and entry.target is not None:
        raise ServerError(f"{path} is a symbolic link, to {entry.target}: put the file itself there")
    return entry.data.decode("utf-8", errors="surrogateescape") if entry else ""
