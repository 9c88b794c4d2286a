# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One session of a PostgreSQL server, through psycopg 3 or psycopg2, whichever the host has.

Statements are bound on this side of the connection: both drivers then behave alike, and a statement that takes no
parameters (CREATE INDEX, SET) needs no other way. Every statement is a transaction of its own outside of `transaction`.

A database's roles create functions and operators in schemas that a session looks names up in, and whoever looks one up
runs it. So a session has the search path SAFE_PATH from its start, whatever the role or the database sets, and only a
role without power over the server may have its own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._host.command import Identity
from .._host.errors import StabilityError

Row = dict[str, Any]

# Documented in the fragment `postgresql`, and named as community.postgresql names them.
CONNECTION_OPTIONS: dict[str, dict[str, Any]] = {
    "login_host": {"type": "str", "default": "", "aliases": ["host"]},
    "login_unix_socket": {"type": "path", "default": "", "aliases": ["unix_socket"]},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": "postgres", "aliases": ["login"]},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "login_db": {"type": "str", "required": True, "aliases": ["db", "database"]},
    "ssl_mode": {
        "type": "str",
        "default": "prefer",
        "choices": ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"],
    },
    "ca_cert": {"type": "path", "aliases": ["ssl_rootcert"]},
    "ca_cert_content": {"type": "str", "default": ""},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path"},
    "connect_params": {"type": "dict", "default": {}},
    "connect_timeout": {"type": "int", "default": 10},
}

# Debian's directory of the servers' sockets.
SOCKETS = "/run/postgresql"
# Every server has this database, and no service is in it.
MAINTENANCE = "postgres"
# Where names are looked up. pg_temp is first of all unless it is named.
SAFE_PATH = "pg_catalog,pg_temp"
# Whoever owns a database can make settings for all of its sessions, also for a superuser's; and lock what is their own.
UNSTEERED = (
    "-c role=none -c statement_timeout=0 -c lock_timeout=120s -c idle_session_timeout=0"
    " -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c local_preload_libraries="
)
# The server says of a session only whether the role that it has taken on is a superuser.
_SESSION_USER = """
SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER
"""

# A long statement sends nothing: without these a firewall forgets the connection, and a dead peer is noticed in hours.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_ENCODED = {"client_encoding": "UTF8"}
_VERIFIER = "scram-sha-256"
_CONNECTION_LOST = ("08", "57P")


class _EnoughError(Exception):
    """What a COPY gives is known well enough."""


class MissingDriverError(StabilityError):
    """The host has neither psycopg nor psycopg2; the message says which package brings one."""


class PgError(StabilityError):
    """The server refused, or can't be reached. The message is the server's, never with the password in it."""

    def __init__(self, message: str, sqlstate: str = "", detail: str = "", hint: str = "", lost: bool = False) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        # The session is gone, and with it its locks and what it was doing.
        self.lost = lost or sqlstate.startswith(_CONNECTION_LOST)


def peer_of(options: Mapping[str, Any]) -> Identity | None:
    """As which user to connect: over a socket, without a password, the server knows a role by the user of its name.

    None is the user that one is. Raises PgError where the host has no such user.
    """
    if options["login_host"] or options["login_password"]:
        return None
    try:
        return Identity.of(options["login_user"])
    except KeyError as error:
        raise PgError(f"this host has no user {options['login_user']}") from error


@dataclass(frozen=True)
class Login:
    """Where to connect and as whom; `parameters` are libpq's, `application` is what pg_stat_activity shows.

    `authority` is PEM text that stands for the file `sslrootcert`. With `own_path` names are looked up where the role
    looks them up, for statements that others have written; a superuser has SAFE_PATH all the same. A session that is
    meant to be a `superuser`'s is UNSTEERED.
    """

    parameters: Mapping[str, Any]
    application: str = ""
    authority: str = ""
    own_path: bool = False
    superuser: bool = False

    @classmethod
    def of(
        cls, options: Mapping[str, Any], application: str, *, own_path: bool = False, superuser: bool = False
    ) -> Login:
        """From the options of a module, of which an empty one is not given to libpq."""
        given = {
            "host": options["login_host"] or options["login_unix_socket"],
            "port": options["login_port"],
            "user": options["login_user"],
            "password": options["login_password"],
            "dbname": options["login_db"],
            "sslmode": options["ssl_mode"],
            "sslrootcert": options["ca_cert"],
            "sslcert": options["ssl_cert"],
            "sslkey": options["ssl_key"],
            "connect_timeout": options["connect_timeout"],
            **options["connect_params"],
        }
        parameters = {key: value for key, value in given.items() if value}
        return cls(parameters, application, options.get("ca_cert_content") or "", own_path, superuser)

    @property
    def settings(self) -> dict[str, Any]:
        """For libpq. The server applies options before anything runs, and of two that set the same the last."""
        settings = {"application_name": self.application, **_KEEPALIVES, **_ENCODED, **self.parameters}
        path = "" if self.own_path else f"-c search_path={SAFE_PATH}"
        options = (UNSTEERED if self.superuser else "", settings.get("options", ""), path)
        if given := " ".join(filter(None, options)):
            settings["options"] = given
        return settings


class PgClient:
    """An open session. Every method raises PgError where the server refuses or is gone."""

    def __init__(self, connection: Any, driver: Any, login: Login) -> None:
        self._connection = connection
        self._driver = driver
        self.login = login
        info = connection.info
        self.version: int = info.server_version
        self.pid: int = info.backend_pid
        # The server says so by itself: nothing was run to learn it.
        self.superuser: bool = info.parameter_status("is_superuser") == "on"

    def query(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a statement, each by column name. Without parameters a % in it is only a %."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def one(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Row:
        """The only row of a statement."""
        return self.query(statement, parameters)[0]

    def execute(self, statement: str) -> None:
        """A statement that gives no rows."""
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(statement)

    def gives_rows(self, copy: str) -> bool:
        """Whether a `COPY ... TO STDOUT` has anything to give; what more there is is not sent. Needs psycopg 3.

        A SELECT is planned, for which the server runs functions in the table's indexes; a COPY of a table is not.
        """
        with (
            self._errors(),
            self._connection.cursor() as cursor,
            contextlib.suppress(_EnoughError),
            cursor.copy(copy) as rows,
        ):
            for _row in rows:
                raise _EnoughError
            return False
        return True

    def verifier(self, password: str, role: str) -> str:
        """What the server keeps of a role's password: with it a statement holds no password that a log could show."""
        with self._errors():
            if self._driver.__name__ == "psycopg2":
                encrypt = importlib.import_module("psycopg2.extensions").encrypt_password
                return str(encrypt(password, role, self._connection, _VERIFIER))
            made = self._connection.pgconn.encrypt_password(password.encode(), role.encode(), _VERIFIER.encode())
            return str(made.decode())

    @contextlib.contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """What is done inside holds all of it or nothing; with keep=False always nothing."""
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            with contextlib.suppress(PgError):
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT" if keep else "ROLLBACK")

    def close(self) -> None:
        with contextlib.suppress(self._driver.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise _error_of(error, self.login, lost=bool(self._connection.closed)) from error


def socket_of(port: int, directory: str = "") -> Path:
    """The socket of a server on this host; Debian's directory where no other is named."""
    return Path(directory or SOCKETS) / f".s.PGSQL.{port}"


def _installed_driver() -> Any:
    for name in ("psycopg", "psycopg2"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


# Loaded with this file, not by each session: modules that are asked together are processes of one that has it.
_DRIVER = _installed_driver()


def load_driver() -> Any:
    """psycopg (3) or psycopg2. Raises MissingDriverError."""
    # again: under mitogen one process is there before the package is, and after
    driver = _DRIVER or _installed_driver()
    if driver is None:
        raise MissingDriverError("neither psycopg nor psycopg2 is there: install the Debian package python3-psycopg")
    return driver


@contextlib.contextmanager
def session(login: Login) -> Iterator[PgClient]:
    """A session that ends with the block. Raises MissingDriverError, and PgError where the server lets nobody in."""
    driver = load_driver()
    try:
        with _authority(login.authority) as trusted:
            connection = driver.connect(**{**login.settings, **trusted}, **_rows_as_dictionaries(driver))
    except driver.Error as error:
        raise _error_of(error, login, lost=True) from error
    connection.autocommit = True
    client = PgClient(connection, driver, login)
    try:
        if login.own_path and not client.superuser and client.one(_SESSION_USER)["rolsuper"]:
            client.execute("SET ROLE NONE")
            client.superuser = True
        if client.superuser:
            client.execute(f"SET search_path = {SAFE_PATH}")
        client.execute("SET standard_conforming_strings = on")
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def _authority(pem: str) -> Iterator[dict[str, str]]:
    """libpq reads authorities from a file alone: one in memory, which changes nothing on the host."""
    if not pem:
        yield {}
        return
    descriptor = os.memfd_create("authority")
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem.encode())
        file.flush()
        yield {"sslrootcert": f"/proc/self/fd/{descriptor}"}


def quoted(*names: str) -> str:
    """A name, or a schema and a name, as an identifier that means exactly this."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Text as a constant, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _rows_as_dictionaries(driver: Any) -> dict[str, Any]:
    if driver.__name__ == "psycopg2":
        return {"cursor_factory": importlib.import_module("psycopg2.extras").RealDictCursor}
    rows = importlib.import_module("psycopg.rows")
    return {"cursor_factory": driver.ClientCursor, "row_factory": rows.dict_row}


def _error_of(error: Any, login: Login, *, lost: bool) -> PgError:
    diagnosis, password = error.diag, str(login.parameters.get("password", ""))
    message = diagnosis.message_primary or " ".join(str(error).split()) or type(error).__name__
    return PgError(
        message.replace(password, "********") if password else message,
        diagnosis.sqlstate or "",
        diagnosis.message_detail or "",
        diagnosis.message_hint or "",
        lost,
    )
