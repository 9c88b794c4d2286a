# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second server in the place of the running one, and that one back: their data directories change names.

That is one moment, in a unit of its own: whatever ends it, the host has a server, which is the one or the other. The
one that was replaced is kept until a person removes it.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..._checks.backup import ago
from ..._host.atomic import save_json
from ..._host.command import PLAIN, call, quiet_run
from ..._host.errors import StabilityError
from ..._host.exchange import exchange
from ..._host.small_file import read_json
from ..._host.units import is_running, unit_states
from ..._postgresql.archiving import archive_now
from ..._postgresql.client import MAINTENANCE, PgError
from .beside import SOCKET
from .beside import UNIT as BESIDE
from .drill import DATABASES, Server
from .server import Restored, as_owner, fatal_lines, stamp, to_running
from .settings import Settings
from .state import Demand, State

_UNIT = "postgresql-replacement.service"
_BACKUP = "postgresql-backup.service"
# What must not be asked of a server that goes away.
_BUSY = (_BACKUP, "postgresql-backup-drill.service", _UNIT)
# A server's stop waits for its last checkpoint, its start for a look at what was written since.
_SECONDS = 1800
_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 60
_MIB = 1024 * 1024
_LARGEST = 4096
# What pgBackRest has put into postgresql.auto.conf.
_OF_RECOVERY = ("restore_command", *(f"recovery_target{each}" for each in ("_time", "_action", "_timeline")))
_SINCE = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %(position)s::pg_lsn) AS bytes"
_TABLESPACES = "SELECT spcname::text AS name FROM pg_tablespace WHERE spcname NOT LIKE 'pg\\_%%' ORDER BY 1"


class Replacing:
    """What a person asks for, as root. Raises StabilityError and OSError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = State(settings)
        self._restored = Restored(settings, settings.restored, SOCKET)
        self._main = Path(settings.data_directory)
        self._other = settings.replaced / "data"
        self._note = settings.replaced / "kept.json"
        self._running = functools.partial(to_running, settings)

    def predict(self, names: Sequence[str]) -> list[str]:
        """What would be lost; `names` are the databases that somebody has named."""
        self._require_possible()
        with as_owner():
            found = _names(self._restored.session) | _names(self._running)
            lines = [f"Everything is given up that was done {self._loss()}, in: {', '.join(sorted(found))}."]
        if set(names) != found:
            missing = f"postgresql-backup replace {' '.join(sorted(found))}"
            raise StabilityError(f"{lines[0]}\nNothing was changed. If that is meant, name them all: {missing}")
        return [*lines, "The server stops for some seconds, and with it what needs it; it is kept as it is until then."]

    def replace(self, names: Sequence[str]) -> list[str]:
        """Put the second server into the running one's place."""
        lines = self.predict(names)
        with as_owner():
            with self._restored.session() as client:
                for name in _OF_RECOVERY:
                    client.execute(f"ALTER SYSTEM RESET {name}")
                client.execute("CHECKPOINT")
            # what it has done can be restored as well
            with contextlib.suppress(PgError), self._running() as client:
                archive_now(client)
                client.execute("CHECKPOINT")
            _discard(self._settings.replaced)
            # from here on the end of its unit finds nothing to remove
            self._settings.restored.rename(self._settings.replaced)
        call("systemctl", "stop", BESIDE)
        seconds = self._exchange()
        return [
            f"{lines[0]} The server was away for {seconds:.0f} s.",
            "Roles, passwords and indexes are as of then, too: apply site.yml.",
            f"The server that was replaced is kept in {self._other}.",
            "To have it back:       postgresql-backup undo",
            "To be rid of it:       postgresql-backup forget --replaced",
        ]

    def undo(self) -> list[str]:
        """Put the server back that was replaced; the other one is kept in its place."""
        if not self.is_kept():
            raise StabilityError("no server is kept that was replaced")
        self._require_calm()
        seconds = self._exchange()
        return [f"The server is the one that was replaced. It was away for {seconds:.0f} s; the other one is kept."]

    def forget(self) -> None:
        """Remove the server that was replaced."""
        with as_owner():
            _discard(self._settings.replaced)

    def is_kept(self) -> bool:
        """A directory that is only on its way to the running one's place is none."""
        with as_owner():
            try:
                return bool(read_json(self._note, _LARGEST)["inode"] == self._other.stat().st_ino)
            except (OSError, ValueError, LookupError, TypeError):
                return False

    def exchange(self) -> None:
        """In the unit, which starts the server whatever happens."""
        is_return = self.is_kept()
        call("systemctl", "stop", self._settings.unit, seconds=_SECONDS)
        self._change_names()
        try:
            call("systemctl", "start", self._settings.unit, seconds=_SECONDS)
            self._wait()
        except StabilityError as error:
            log = Path(f"/var/log/postgresql/postgresql-{self._settings.version}-main.log")
            # those before it are of sessions that the stop has ended
            reason = "".join(fatal_lines(log)[-1:]) or str(error)
            call("systemctl", "stop", self._settings.unit, seconds=_SECONDS)
            self._change_names()
            if not is_return:
                # what failed is nothing to go back to
                with as_owner():
                    self._note.unlink()
            raise StabilityError(f"the other server did not start; the one before is back: {reason}") from error

    def _change_names(self) -> None:
        with as_owner():
            save_json(self._note, {"inode": self._main.stat().st_ino})
            exchange(self._main, self._other)

    def _exchange(self) -> float:
        """In a unit of its own, so that it comes to its end whoever hangs up; how long the server was away."""
        with as_owner():
            self._state.replaced_now()
        began = time.monotonic()
        start = f"--property=ExecStopPost=/usr/bin/systemctl start {self._settings.unit}"
        options = (f"--unit={_UNIT}", "--collect", "--quiet", "--wait", "--pipe", start)
        done = quiet_run(["systemd-run", *options, sys.argv[0], "exchange"], _SECONDS, PLAIN)
        if done.returncode:
            ended = f"{_UNIT} was ended: which server there is now tells `postgresql-backup status`"
            raise StabilityError(done.stderr.strip() or ended)
        seconds = time.monotonic() - began
        with as_owner():
            self._state.publish()
        # each restore begins with a backup, and those there are lead to the other server
        self._state.demand("backup", Demand())
        call("systemctl", "start", "--no-block", _BACKUP)
        return seconds

    def _wait(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            with contextlib.suppress(PgError), as_owner(), self._running() as client:
                client.query("SELECT 1")
                return
            if time.monotonic() > deadline:
                raise StabilityError(f"it did not answer within {_ANSWER_SECONDS} s")
            time.sleep(_LOOK_SECONDS)

    def _require_possible(self) -> None:
        if not is_running(unit_states([BESIDE])[BESIDE]):
            raise StabilityError("there is no restored server: first `postgresql-backup restore --time ...`")
        if self.is_kept():
            raise StabilityError(
                f"the server that was replaced before is still kept in {self._other}:"
                " `postgresql-backup forget --replaced` removes it"
            )
        self._require_calm()
        if self._main.is_mount():
            raise StabilityError(f"{self._main} is a mount, whose name can't be changed: take the databases by pg_dump")
        if (self._main / "pg_wal").is_symlink():
            raise StabilityError(
                f"{self._main}/pg_wal is a link, which a restore does not make: take the databases by pg_dump"
            )
        with as_owner(), self._restored.session() as client:
            spaces = [row["name"] for row in client.query(_TABLESPACES)]
        if spaces:
            raise StabilityError(f"the server has tablespaces ({', '.join(spaces)}): take the databases by pg_dump")

    def _require_calm(self) -> None:
        busy = [name for name, state in unit_states(_BUSY).items() if is_running(state)]
        if busy:
            raise StabilityError(f"{busy[0]} still runs: wait for its end, or `systemctl stop {busy[0]}`")

    def _loss(self) -> str:
        """What the running server has done since the time as of which the other one is."""
        moment, position = self._restored.end()
        if not moment:
            return "since the backup"
        since = f"since {stamp(moment)} ({ago(time.time() - moment)}"
        with contextlib.suppress(PgError), self._running() as client:
            size = client.one(_SINCE, {"position": position})["bytes"]
            return f"{since}, {float(size) / _MIB:.0f} MB of changes)"
        return f"{since})"


def _names(server: Server) -> set[str]:
    """The databases of services. None of a server that does not run: it may be the reason for all this."""
    with contextlib.suppress(PgError), server() as client:
        return {row["name"] for row in client.query(DATABASES)} - {MAINTENANCE}
    return set()


def _discard(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
