# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's PostgreSQL server on this host: its settings and who it lets in, compared and changed as one transaction.

What the server does not take, or does not start with, is put back.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from .._host.command import Identity, effective_user
from .._host.errors import StabilityError
from .._host.files import Change, Entry, Transaction, change_of, check
from .._host.files import actual as entry_at
from .._host.lock import lock
from .._host.units import UnitError, run_unit
from .access import with_block, without_catch_all
from .client import MAINTENANCE, Login, MissingDriverError, Row, literal, session, socket_of

# The user of the host that the server runs as, who is its first superuser, and whose its files are.
OWNER = "postgres"
_APPLICATION = "workbot.stability postgresql_server"
# A server that was not shut down recovers first, for as long as its disk takes; it reads its files in a moment.
_START_SECONDS = 600
_TURN_SECONDS = 600
_ORDER = "Of two files in this directory that set the same, the later by name counts."
_READ_SECONDS = 10

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
    AND NOT coalesce(s.sourcefile > %(file)s AND s.sourcefile NOT LIKE '%%/postgresql.conf', false)
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
        return "".join([f"# Ansible managed\n# For {self.name}. {_ORDER}\n", *lines])

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
    the ``broken`` of the declared settings.
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


@dataclass(frozen=True)
class Result:
    """What was not as declared, and the files that were or would be changed.

    ``actual`` is what the server said before anything was changed, None where it could not be asked.
    """

    problems: list[str]
    changes: list[Change]
    actual: ActualServer | None


def converge_server(desired: DesiredServer, *, check_mode: bool = False) -> Result:
    """Make the server as declared, one run at a time; in check mode say what is not. Raises StabilityError, OSError."""
    if desired.only_known and not Path(desired.settings_file).exists():
        return Result([], [], None)
    if check_mode:
        return _converge(desired, check_mode=True)
    path = Path(f"/run/workbot-postgresql-{desired.cluster.version}.lock")
    busy = ServerError(f"another run has worked on it for {_TURN_SECONDS} s, and holds {path}")
    with lock(path, busy, seconds=_TURN_SECONDS):
        return _converge(desired, check_mode=False)


def _converge(desired: DesiredServer, *, check_mode: bool) -> Result:
    actual, silence = _ask(desired, check_mode)
    changes = list(_changes(desired, actual))
    coming = actual and _coming(desired, actual, {change.path for change in changes})
    result = Result(list(_problems(changes, coming, silence)), changes, actual)
    for change in changes:
        check(change)
    if coming:
        _refuse(desired, coming)
    if check_mode or not result.problems:
        return result
    _apply(desired, changes, is_running=actual is not None)
    if actual:
        return result
    # Only now can it be asked who else logs in.
    again = _converge(desired, check_mode=False)
    return Result(result.problems + again.problems, changes + again.changes, None)


def _ask(desired: DesiredServer, check_mode: bool) -> tuple[ActualServer | None, str]:
    """What the server says; None, and why, where there is nobody to ask."""
    cluster = desired.cluster
    if not cluster.is_installed:
        if not check_mode:
            raise ServerError(f"PostgreSQL {cluster.version} is not installed")
        return None, f"PostgreSQL {cluster.version} is missing"
    if not cluster.socket.exists():
        return None, f"no server listens at port {cluster.port} in {cluster.socket.parent}"
    try:
        return _read(desired), ""
    except MissingDriverError as error:
        if not check_mode:
            raise
        return None, str(error)


def _read(desired: DesiredServer) -> ActualServer:
    cluster = desired.cluster
    login = {"host": str(cluster.socket.parent), "port": cluster.port, "user": OWNER, "dbname": MAINTENANCE}
    # The server knows its administrator by the user.
    with effective_user(Identity.of(OWNER)), session(Login({**login, "connect_timeout": 10}, _APPLICATION)) as client:
        row = client.one(_SERVER, {"own": list(desired.roles)})
        unread = _newer(desired.files, float(row.pop("loaded")))
        settings = client.one(_SETTINGS, {"files": desired.files})
        asked = {"settings": json.dumps(desired.settings), "file": desired.settings_file}
        elsewhere = client.one(_ELSEWHERE, {"alone": list(desired.alone), "file": desired.settings_file})
        return ActualServer(**row, **settings, **elsewhere, unread=unread, coming=client.one(_COMING, asked))


def _newer(paths: Sequence[str], loaded: float) -> list[str]:
    """The files that were written since. A time to come is a clock's fault, and none."""
    now = time.time()
    return [path for path in paths if Path(path).exists() and loaded < Path(path).stat().st_mtime <= now]


def _changes(desired: DesiredServer, actual: ActualServer | None) -> Iterator[Change]:
    yield from _change(desired.settings_file, desired.settings_text, 0o644, desired.cluster.settings_check)
    access = with_block(_text(desired.access_file), desired.marker, desired.access, first=True)
    # Debian lets every role into every database. Where nobody else logs in, nobody needs that.
    if actual and not actual.others:
        access = without_catch_all(access)
    yield from _change(desired.access_file, access, 0o640)
    identities = with_block(_text(desired.identities_file), desired.marker, desired.identities, first=False)
    yield from _change(desired.identities_file, identities, 0o640)


def _change(path: str, text: str, mode: int, command: Sequence[str] = ()) -> Iterator[Change]:
    entry = Entry(text.encode("utf-8", errors="surrogateescape"), mode, OWNER, OWNER)
    if (text or Path(path).exists()) and (change := change_of(path, entry, command)):
        yield change


def _text(path: str) -> str:
    """The text of a file of the server's user, who may put a link in its place: none is followed."""
    entry = entry_at(path)
    if entry and entry.target is not None:
        raise ServerError(f"{path} is a symbolic link, to {entry.target}: put the file itself there")
    return entry.data.decode("utf-8", errors="surrogateescape") if entry else ""


def _coming(desired: DesiredServer, actual: ActualServer, changed: Set[str]) -> ActualServer:
    """The server with its files as they will be, as far as that can be told before they are there."""
    unread = [path for path in actual.unread if path not in changed]
    misread = [] if changed & {desired.access_file, desired.identities_file} else actual.misread
    coming = dataclasses.replace(actual, unread=unread, misread=misread)
    if desired.settings_file not in changed:
        return coming
    return dataclasses.replace(coming, **actual.coming, max_connections=desired.max_connections)


def _problems(changes: Sequence[Change], coming: ActualServer | None, silence: str) -> Iterator[str]:
    yield from (f"{change.path} is not as declared" for change in changes)
    if coming is None:
        yield silence
    elif coming.unread:
        yield f"the server has not read {', '.join(coming.unread)}"
    if coming and coming.waiting:
        yield f"only a restart changes {coming.waiting}"


def _refuse(desired: DesiredServer, server: ActualServer) -> None:
    """Raise ServerError for what is wrong with the server, each with what would be right."""
    wrong = []
    if server.misread:
        wrong.append(f"it does not understand {'; '.join(server.misread)} of its access rules: correct the file")
    if server.broken:
        wrong.append(f"it does not understand {server.broken}")
    if server.max_connections < desired.max_connections:
        wrong.append(
            f"max_connections would be {server.max_connections}, less than service_database_max_connections"
            f" ({desired.max_connections}): a file that counts after {desired.settings_file} sets it"
        )
    if server.elsewhere:
        wrong.append(f"{server.elsewhere} would be overridden: remove it there, if it is to be so")
    if server.waiting and not desired.restart_allowed:
        wrong.append(f"only a restart changes {server.waiting}, and postgresql_restart_allowed is false")
    if wrong:
        raise ServerError("; ".join(wrong))


def _apply(desired: DesiredServer, changes: Sequence[Change], *, is_running: bool) -> None:
    transaction = Transaction()
    transaction.make(changes)
    restarted = not is_running
    try:
        _run(desired, "reload" if is_running else "start")
        server = _answer(desired)
        _refuse(desired, server)
        if server.waiting:
            restarted = True
            _run(desired, "restart", f" with the new settings ({server.waiting})")
            server = _answer(desired)
            _refuse(desired, server)
            if server.waiting:
                raise ServerError(f"a restart did not change {server.waiting}")
    except (StabilityError, OSError) as error:
        back = _put_back(desired, transaction, "restart" if restarted else "reload")
        raise ServerError(f"{error}. {back}") from error


def _run(desired: DesiredServer, verb: str, what: str = "") -> None:
    try:
        run_unit(verb, desired.cluster.unit, _START_SECONDS)
    except (UnitError, subprocess.TimeoutExpired) as error:
        failed = "read its files" if verb == "reload" else "start"
        raise ServerError(f"it does not {failed}{what}; see the end of {desired.cluster.log}") from error


def _answer(desired: DesiredServer) -> ActualServer:
    """What the server says when it has read its files. Raises PgError, ServerError."""
    deadline = time.monotonic() + _READ_SECONDS
    while (server := _read(desired)).unread:
        if time.monotonic() > deadline:
            raise ServerError(f"it has not read {', '.join(server.unread)} {_READ_SECONDS} s after it was told to")
        time.sleep(0.1)
    return server


def _put_back(desired: DesiredServer, transaction: Transaction, verb: str) -> str:
    """What is in force afterwards, for people."""
    if not transaction.done:
        return f"It was so before this run: correct postgresql_settings or {desired.settings_file}, and run it again"
    lost = transaction.undo()
    try:
        _run(desired, verb)
    except StabilityError as error:
        lost.append(f"with the former files: {error}")
    return "; ".join(lost) or "The former ones are back, and it runs"
