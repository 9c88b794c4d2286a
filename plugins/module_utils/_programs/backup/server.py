# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second server beside the running one, on files that were restored: on a socket alone, archiving nothing, small.

Its data directory is the restored one, whatever Debian's clusters are; so nothing starts it at boot, and what it runs
in ends it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..._host.command import PLAIN, Identity, effective_user, quiet_run
from ..._host.errors import StabilityError
from ..._host.small_file import tail
from ..._postgresql.client import MAINTENANCE, SOCKETS, Login, PgClient, PgError, session
from ..._postgresql.server_state import OWNER
from .settings import Settings

_APPLICATION = "postgresql-backup"
# The socket's; nothing listens on a port.
PORT = 5432
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 60
_MOST_LINES = 3
_FATAL = re.compile(r"(?:FATAL|PANIC):  (.*)")
_MIB = 1024 * 1024
# What is restored grows by the changes since, and the server writes some of its own.
_ROOM = 1.2
_ROOM_BYTES = 512 * _MIB
_TIMELINE = re.compile(r"^Latest checkpoint's TimeLineID:\s+(\d+)$", re.MULTILINE)
_SYSTEM = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)
_SIZE = "SELECT sum(pg_database_size(oid)) AS size FROM pg_database"
# -2 is one whose DROP was interrupted.
_DATABASES = """
SELECT datname::text AS name FROM pg_database
WHERE datallowconn AND datconnlimit <> -2 AND (NOT datistemplate OR %(templates)s)
ORDER BY datname
"""
_END = """
SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::float8 AS moment, pg_last_wal_replay_lsn()::text AS position
"""
# Between the moment at which a name is read and that at which it is used, the service can make it a view's, whose
# functions the superuser would then run.
_TABLES_ALONE = "-c restrict_nonsystem_relation_kind=view,foreign-table"
# Since this version a transaction can have a limit, which a database's owner may set as well.
_TRANSACTION_LIMITS = 17
_UNLIMITED = "-c transaction_timeout=0"
# No standby, which would need as many connections as the running server has: it answers when it is at the end.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "hot_standby": "off",
    # changes wait, for the case that it takes the place of the running one
    "archive_mode": "on",
    "archive_command": "",
    "archive_library": "",
    "shared_preload_libraries": "",
    "shared_buffers": "64MB",
    "max_connections": "20",
    "max_wal_senders": "0",
    # each file of changes stays until a restartpoint: a gigabyte of them, which is the default, may not fit on the disk
    "max_wal_size": "128MB",
    "max_worker_processes": "8",
    "max_prepared_transactions": "1000",
    # it is nobody's subscriber
    "max_logical_replication_workers": "0",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "ssl": "off",
    "cluster_name": "restored",
    "log_destination": "stderr",
    "logging_collector": "off",
    "unix_socket_permissions": "0700",
}
# Nobody keeps what it writes.
_FLEETING = {"fsync": "off", "autovacuum": "off", "archive_mode": "off"}


Server = Callable[..., contextlib.AbstractContextManager[PgClient]]
"""Gives a session of a database, of the maintenance one where none is named."""


class ServerError(StabilityError):
    """The second server did not start, or did not come to the end of its changes."""


class Restored:
    """What is restored below `home`, and the server on it. All of `home` goes with it."""

    def __init__(self, settings: Settings, home: Path, socket: Path | None = None) -> None:
        """`socket`: the directory of the socket, which is `home` where none is given."""
        self._settings = settings
        self.home = home
        self.removing = removing(home)
        self.data = home / "data"
        self.socket = socket or home
        self._access = home / "pg_hba.conf"
        self._identities = home / "pg_ident.conf"
        self._settings_file = home / "postgresql.conf"
        self._log = home / "server.log"
        self.stays = home / "stays"
        """While there is such a file, what the server's unit leaves behind is not removed."""
        self._as_of = home / "as-of"

    def prepare(self, size: int, as_of: float = 0.0) -> None:
        """An empty home for so many bytes. Raises ServerError where that would fill the disk, and OSError.

        `as_of` is the time that the server is restored to.
        """
        self.remove()
        self._require_room(size)
        self.home.mkdir(mode=0o700)
        # Over the socket, which only its user reaches: as any role, since a superuser who looks at a table may run
        # what the service has put into its indexes.
        self._access.write_text("local all all trust\n", encoding="utf-8")
        self._identities.touch()
        self._settings_file.touch()
        self._as_of.write_text(str(as_of), encoding="utf-8")

    @property
    def as_of(self) -> float:
        """Raises OSError."""
        return float(self._as_of.read_text(encoding="utf-8"))

    def _require_room(self, size: int) -> None:
        """The disk may be the running server's, which may have grown since."""
        with contextlib.suppress(PgError), to_running(self._settings) as client:
            size = max(size, int(client.one(_SIZE)["size"]))
        needed, free = size * _ROOM + _ROOM_BYTES, shutil.disk_usage(self.home.parent).free
        if needed > free:
            have = f"{self.home.parent} has {free / _MIB:.0f} MB free"
            raise ServerError(f"{have}, and a restore takes {needed / _MIB:.0f} MB.")

    def remove(self) -> None:
        """Under another name: who renames it meanwhile has all of it, or nothing. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            # of a removal that was killed
            shutil.rmtree(self.removing)
        with contextlib.suppress(FileNotFoundError):
            self.home.rename(self.removing)
            shutil.rmtree(self.removing)

    def command(self, *, fleeting: bool) -> list[str]:
        """What starts the server; `fleeting` is one whose changes nobody wants to keep."""
        settings = {
            **_SETTINGS,
            **(_FLEETING if fleeting else {}),
            "config_file": str(self._settings_file),
            "hba_file": str(self._access),
            "ident_file": str(self._identities),
            "unix_socket_directories": str(self.socket),
        }
        given = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._settings.binaries / "postgres"), "-D", str(self.data), *given]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Raises ServerError where it does not come to the end of its changes: nobody can ask it before."""
        with (
            self._log.open("wb") as log,
            subprocess.Popen(  # pylint: disable=ansible-bad-function
                self.command(fleeting=True), stdout=log, stderr=log, start_new_session=True
            ) as process,
        ):
            try:
                self._wait(process)
                yield
            finally:
                process.send_signal(signal.SIGQUIT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
                process.kill()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until it answers, however long its changes take: the unit has a limit."""
        while process.poll() is None:
            with contextlib.suppress(PgError), self.session() as client:
                client.query("SELECT 1")
                return
            time.sleep(_LOOK_SECONDS)
        raise ServerError(
            f"The restored server did not start: {'; '.join(fatal_lines(self._log)) or 'it said nothing'}."
        )

    def end(self) -> tuple[float | None, str]:
        """When its last commit was, None where there was none since the backup, and its position. Raises PgError."""
        with self.session() as client:
            row = client.one(_END)
        return row["moment"], row["position"]

    def session(self, database: str = MAINTENANCE) -> contextlib.AbstractContextManager[PgClient]:
        """Raises PgError."""
        return session(self._login(database))

    @property
    def options(self) -> str:
        """What the server is told at the beginning of each session, for programs that have some of their own."""
        return str(self._login(MAINTENANCE).settings["options"])

    def _login(self, database: str) -> Login:
        return _login(self._settings, str(self.socket), PORT, database)


def removing(home: Path) -> Path:
    """The name under which that is removed."""
    return home.with_name(f"{home.name}.removing")


def database_names(server: Server, *, templates: bool = False) -> list[str]:
    """All that sessions can be had of. Raises PgError."""
    with server() as client:
        return [row["name"] for row in client.query(_DATABASES, {"templates": templates})]


def fatal_lines(log: Path) -> list[str]:
    """Why a server ended, by what it has written."""
    found = (_FATAL.search(line) for line in tail(log))
    # what it said to who came too early is none of its reasons
    reasons = [match[1] for match in found if match and not match[1].startswith("the database system is ")]
    return reasons[-_MOST_LINES:]


def timeline_of(settings: Settings) -> int | None:
    """Of the server that is meant to run here, also while it is stopped; None where its files do not tell."""
    found = _TIMELINE.search(_control(settings, Path(settings.data_directory)))
    return int(found[1]) if found else None


def system_of(settings: Settings, data: Path) -> str:
    """The same one for a server and all that is restored of it; empty where its files do not tell."""
    found = _SYSTEM.search(_control(settings, data))
    return found[1] if found else ""


def _control(settings: Settings, data: Path) -> str:
    return quiet_run([str(settings.binaries / "pg_controldata"), "-D", str(data)], _STOP_SECONDS, PLAIN).stdout


def as_owner() -> contextlib.AbstractContextManager[None]:
    """Root looks, writes and connects as the server's user for a moment. Raises KeyError where there is none."""
    return effective_user(Identity.of(OWNER))


def to_running(settings: Settings, database: str = MAINTENANCE) -> contextlib.AbstractContextManager[PgClient]:
    """A session of the running server. Raises PgError."""
    return session(_login(settings, SOCKETS, settings.port, database))


def _login(settings: Settings, socket: str, port: int, database: str) -> Login:
    """As the superuser, by its user, over a socket."""
    options = [_TABLES_ALONE, *([_UNLIMITED] if int(settings.version) >= _TRANSACTION_LIMITS else [])]
    parameters = {"host": socket, "port": port, "user": OWNER, "dbname": database, "connect_timeout": 5}
    return Login({**parameters, "options": " ".join(options)}, application=_APPLICATION, superuser=True)
