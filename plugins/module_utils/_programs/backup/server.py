# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second server beside the running one, on files that were restored: on a socket alone, archiving nothing, small.

Its data directory is the restored one, whatever Debian's clusters are; so nothing starts it at boot, and what it runs
in ends it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ..._host.errors import StabilityError
from ..._host.small_file import tail
from ..._postgresql.client import Login, PgClient, PgError, session
from ..._postgresql.server import OWNER
from .settings import Settings

APPLICATION = "postgresql-backup"
SOCKETS = "/run/postgresql"
"""Where the running server's is."""

# The socket's; nothing listens on a port.
PORT = 5432
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 60
_MOST_LINES = 3
# No standby, which would need as many connections as the running server has: it answers when it is at the end.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "hot_standby": "off",
    "archive_mode": "off",
    "shared_preload_libraries": "",
    "shared_buffers": "64MB",
    "max_connections": "20",
    "max_wal_senders": "0",
    "max_worker_processes": "8",
    "ssl": "off",
    "cluster_name": "restored",
    "log_destination": "stderr",
    "logging_collector": "off",
    "unix_socket_permissions": "0700",
}
# Nobody keeps what it writes.
_FLEETING = {"fsync": "off", "autovacuum": "off"}


class ServerError(StabilityError):
    """The second server did not start, or did not come to the end of its changes."""


class Restored:
    """What is restored below `home`, and the server on it. All of `home` goes with it."""

    def __init__(self, settings: Settings, home: Path, socket: Path | None = None) -> None:
        """`socket`: the directory of the socket, which is `home` where none is given."""
        self._settings = settings
        self.home = home
        self.data = home / "data"
        self.socket = socket or home
        self._access = home / "pg_hba.conf"
        self._identities = home / "pg_ident.conf"
        self._settings_file = home / "postgresql.conf"
        self._log = home / "server.log"

    def prepare(self) -> None:
        """An empty home. Raises OSError."""
        self.remove()
        self.home.mkdir(mode=0o700)
        # over the socket, which only its user reaches
        self._access.write_text(f"local all {OWNER} peer\n", encoding="utf-8")
        self._identities.touch()
        self._settings_file.touch()

    def remove(self) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.home)

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
        raise ServerError(f"The restored server did not start: {' '.join(fatal_lines(self._log)) or 'it said nothing'}")

    def session(self, database: str = "postgres") -> contextlib.AbstractContextManager[PgClient]:
        """Raises PgError."""
        return session(login_of(str(self.socket), PORT, database))


def fatal_lines(log: Path) -> list[str]:
    """Why a server ended, by what it has written."""
    return [text for line in tail(log) for _before, mark, text in [line.partition("FATAL:  ")] if mark][-_MOST_LINES:]


def login_of(socket: str, port: int, database: str) -> Login:
    """As the superuser, by its user, over a socket."""
    parameters = {"host": socket, "port": port, "user": OWNER, "dbname": database, "connect_timeout": 5}
    return Login(parameters, application=APPLICATION)
