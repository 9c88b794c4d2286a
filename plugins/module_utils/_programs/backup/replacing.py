# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second server in the place of the running one, and that one back: their data directories change names.

That is one moment, in a unit of its own: whatever ends it, the host has a server, which is the one or the other. The
one that was replaced is kept until a person removes it. Each that comes back begins another timeline: pgBackRest
removes what is older by the timelines' numbers, and a restore follows the highest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..._checks.findings import ago
from ..._host.atomic import save
from ..._host.command import PLAIN, call, quiet_run
from ..._host.errors import StabilityError
from ..._host.exchange import exchange
from ..._host.units import is_running, run_unit, runs, stop_unit, unit_states
from ..._postgresql.archiving import archive_now, commit
from ..._postgresql.client import MAINTENANCE, PgClient, PgError
from ..display import stamp
from .beside import SOCKET, Beside
from .beside import UNIT as BESIDE
from .kept import Kept
from .past import Past, Replacement
from .server import Restored, Server, as_owner, database_names, system_of, timeline_of, to_running
from .settings import Settings
from .state import UNITS, State

_UNIT = "postgresql-replacement.service"
# What must not be asked of a server that goes away.
_BUSY = (*UNITS.values(), _UNIT)
_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 60
_MIB = 1024 * 1024
# What begins another timeline without the archive, and what a restore by pgBackRest has put into postgresql.auto.conf.
_ANOTHER = {
    "restore_command": "/bin/false",
    "recovery_target_timeline": "current",
    "recovery_target_time": "",
    # a standby would need as many connections as it had before
    "hot_standby": "off",
}
_OF_RECOVERY = (*_ANOTHER, "recovery_target_action")
_OWN_TIMELINE = "SELECT timeline_id AS timeline FROM pg_control_checkpoint()"
_SINCE = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %(position)s::pg_lsn) AS bytes"
# Each goes back, also one that lets nobody in; but for PostgreSQL's own.
_DATABASES = f"""
SELECT datname::text AS name FROM pg_database WHERE datname NOT IN ('{MAINTENANCE}', 'template0', 'template1')
"""
# A table in which there never was a row has no page.
_FILLED = """
SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND pg_relation_size(c.oid) > 0
ORDER BY 1 LIMIT 1
"""
_TABLESPACES = "SELECT spcname::text AS name FROM pg_tablespace WHERE spcname NOT LIKE 'pg\\_%%' ORDER BY 1"


class Replacing:
    """What a person asks for, as root. Raises StabilityError and OSError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = State(settings)
        self._restored = Restored(settings, settings.restored, SOCKET)
        self._main = Path(settings.data_directory)
        self._kept = Kept(settings)
        self._running = functools.partial(to_running, settings)

    def predict(self, names: Sequence[str]) -> list[str]:
        """What would be lost; `names` are the databases that somebody has named."""
        self._require_possible()
        self._require_calm()
        with as_owner():
            restored, running = self._names()
            found = restored | running
            line = f"All changes since {self._loss()} are lost, in: {', '.join(sorted(found))}."
        if gone := sorted(running - restored):
            line += f" Of these {', '.join(gone)} did not exist then, and would be gone altogether."
        if set(names) != found:
            missing = f"postgresql-backup replace {' '.join(sorted(found))}"
            raise StabilityError(f"{line}\nNothing was changed. To confirm that, name them all: {missing}")
        return [line, "The server stops for some seconds, and with it what needs it. It is kept."]

    def replace(self, names: Sequence[str]) -> list[str]:
        """Put the second server into the running one's place."""
        lost = self.predict(names)[0]
        exchanged = self._take_place(self._archive())
        return [lost, *exchanged, "Roles, passwords and indexes are as of then, too: apply site.yml."]

    def rebuild(self, *, is_asked: bool) -> list[str]:
        """On a new host, put the server of the repository into the place of the empty one, which goes.

        Where it `is_asked` whether that could be done, nothing is changed.
        """
        # also after a run that was ended when the server had come
        if self._state.record.backup.label or self._state.past.replacements:
            return ["This host has backups of its own, or its server back: there is nothing to do."]
        self._require_empty()
        if is_asked:
            return ["The server is empty: the one of the repository can take its place."]
        beside = Beside(self._settings)
        # of a run that was ended before
        beside.forget()
        self.forget()
        until = beside.begin(is_new=True)
        self._require_possible()
        self._take_place(is_archived=True)
        with as_owner():
            names = _databases(self._running)
        self.forget()
        return [f"The server is the one of the repository, as it was at {until}: {', '.join(sorted(names))}."]

    def _require_empty(self) -> None:
        with as_owner():
            for name in database_names(self._running):
                with self._running(name) as client:
                    filled = client.query(_FILLED)
                if filled:
                    raise StabilityError(
                        f"the running server is not empty: database {name} has rows in {filled[0]['name']}; expected"
                        " that of a new host. Nothing was restored. To give them up: `postgresql-backup restore`, then"
                        " `postgresql-backup replace --check`"
                    )

    def _take_place(self, is_archived: bool) -> list[str]:
        """Have the second server and the running one change places."""
        with as_owner():
            with self._restored.session() as client:
                _forget_recovery(client)
                client.execute("CHECKPOINT")
            self._restored.stays.touch()
        stop_unit(BESIDE)
        with as_owner():
            as_of = self._restored.as_of
            self._settings.restored.rename(self._settings.replaced)
            self._kept.begin(as_of)
        return self._exchange(is_archived)

    def undo(self) -> list[str]:
        """Put the server back that was replaced; the other one is kept in its place."""
        if not self._kept.is_there():
            raise StabilityError("no replaced server is kept")
        self._require_calm()
        if self._settings.restored.exists():
            # it has the number of the timeline that would be begun
            raise StabilityError("there is a restored server: first `postgresql-backup forget`")
        return self._exchange(self._archive())

    def forget(self) -> None:
        """Remove the server that was replaced."""
        _require_ended(_UNIT)
        with as_owner(), contextlib.suppress(FileNotFoundError):
            self._kept.forget()
            shutil.rmtree(self._settings.replaced)

    def exchange(self) -> None:
        """In the unit, which starts the server whatever happens."""
        past, is_return = self._state.past, self._kept.is_there()
        # a restore to a time needs a commit after it
        ended = time.time()
        with contextlib.suppress(PgError), as_owner(), self._running() as client:
            commit(client)
        stop_unit(self._settings.unit)
        with as_owner():
            coming = self._kept.data.stat().st_ino
            # the timelines of another server, as of the empty one of a new host, say nothing of this one's
            is_own = system_of(self._settings, self._main) == system_of(self._settings, self._kept.data)
            timeline = (timeline_of(self._settings) or 0) if is_own else 0
            gone = Replacement(ended, timeline, self._kept.as_of(), coming)
            self._state.keep_past(Past((*past.replacements, gone)))
            self._kept.leave(ended)
            if is_return:
                _begin_timeline(self._kept.data, self._main)
            exchange(self._main, self._kept.data)
        try:
            run_unit("start", self._settings.unit)
            self._wait()
        except StabilityError as error:
            stop_unit(self._settings.unit)
            with as_owner():
                exchange(self._main, self._kept.data)
            raise StabilityError(f"the other server did not start; the one before is put back: {error}") from error
        # for the way back, while there is room for it; one that never served has left no timeline to skip
        with as_owner(), contextlib.suppress(OSError):
            _begin_timeline(self._kept.data, self._main)
        # the inode says as well that it has come
        with as_owner(), contextlib.suppress(OSError):
            self._state.keep_past(Past((*past.replacements, dataclasses.replace(gone, coming=0))))

    def _archive(self) -> bool:
        """All that the running server has done so far, and have little left to do for its stop."""
        with contextlib.suppress(PgError), as_owner(), self._running() as client:
            _position, is_archived = archive_now(client)
            client.execute("CHECKPOINT")
            return is_archived
        return False

    def _exchange(self, is_archived: bool) -> list[str]:
        """In a unit of its own, so that it comes to its end whoever hangs up."""
        _require_ended(_UNIT)
        # what a timer has begun meanwhile comes again, what was restored does not; a drill has found nothing out then
        with as_owner():
            self._state.keep(dataclasses.replace(self._state.record.drill, begun=0.0))
        for name in UNITS.values():
            stop_unit(name)
        began = time.monotonic()
        start = f"--property=ExecStopPost=/usr/bin/systemctl start {self._settings.unit}"
        options = (f"--unit={_UNIT}", "--collect", "--quiet", "--wait", "--pipe", start)
        done = quiet_run(["systemd-run", *options, sys.argv[0], "exchange"], environment=PLAIN)
        if done.returncode:
            ended = f"{_UNIT} was ended: `postgresql-backup status` shows which server is active"
            raise StabilityError(done.stderr.strip() or ended)
        lines = [f"The server is now {self._kept.active()}; it was away for {time.monotonic() - began:.0f} s."]
        if not is_archived:
            lines.append("The last changes of the one before did not come into the archive: only its files have them.")
        with as_owner():
            self._state.publish()
        # due, since the last one leads to the other server
        call("systemctl", "start", "--no-block", UNITS["backup"])
        return [*lines, *self._kept.lines()]

    def _wait(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            with contextlib.suppress(PgError), as_owner(), self._running() as client:
                _forget_recovery(client)
                return
            if time.monotonic() > deadline:
                raise StabilityError(f"it did not answer within {_ANSWER_SECONDS} s")
            time.sleep(_LOOK_SECONDS)

    def _require_possible(self) -> None:
        if not (runs(BESIDE) and self._settings.restored.exists()):
            raise StabilityError("there is no restored server: first `postgresql-backup restore --time ...`")
        if self._settings.replaced.exists():
            raise StabilityError(f"{self._kept.lines()[0]} First: postgresql-backup forget --replaced")
        if self._main.is_mount():
            raise StabilityError(
                f"{self._main} is a mount, whose name can't be changed: take the databases with pg_dump"
            )
        if (self._main / "pg_wal").is_symlink():
            raise StabilityError(
                f"{self._main}/pg_wal is a link, which a restore does not make: take the databases with pg_dump"
            )
        with as_owner(), self._restored.session() as client:
            spaces = [row["name"] for row in client.query(_TABLESPACES)]
            timeline = client.one(_OWN_TIMELINE)["timeline"]
        if timeline <= (timeline_of(self._settings) or 0):
            # the running server has begun one since, or the archive does not know of that one
            raise StabilityError("the restored server is outdated: `postgresql-backup forget`, and restore it again")
        if spaces:
            raise StabilityError(f"the server has tablespaces ({', '.join(spaces)}): take the databases with pg_dump")

    def _names(self) -> tuple[set[str], set[str]]:
        """The databases of services: of the restored server and of the running one."""
        # one that does not run may be the reason for all this
        return _databases(self._restored.session), _databases(self._running) if runs(self._settings.unit) else set()

    def _loss(self) -> str:
        """Since when, and how much the running server has done."""
        as_of = self._restored.as_of
        parted = self._state.past.parted(as_of, math.inf)
        since = f"{stamp(parted)} ({ago(time.time() - parted)}"
        if parted == as_of:
            _moment, position = self._restored.end()
            with contextlib.suppress(PgError), self._running() as client:
                size = client.one(_SINCE, {"position": position})["bytes"]
                return f"{since}, {float(size) / _MIB:.0f} MB)"
        return f"{since})"

    def _require_calm(self) -> None:
        _require_ended(*_BUSY)
        if not runs(self._settings.unit):
            with as_owner():
                ask = [str(self._settings.binaries / "pg_ctl"), "-D", str(self._main), "status"]
                if quiet_run(ask, _ANSWER_SECONDS, PLAIN).returncode == 0:
                    raise StabilityError(f"the server runs outside of {self._settings.unit}: restart it by systemctl")


def _databases(server: Server) -> set[str]:
    with server() as client:
        return {row["name"] for row in client.query(_DATABASES)}


def _require_ended(*units: str) -> None:
    busy = [name for name, state in unit_states(units).items() if is_running(state)]
    if busy:
        raise StabilityError(f"{busy[0]} still runs: wait for its end, or `systemctl stop {busy[0]}`")


def _forget_recovery(client: PgClient) -> None:
    """What counts at a restore alone; it does no harm, should the disk have no room for the file without it."""
    with contextlib.suppress(PgError):
        for name in _OF_RECOVERY:
            client.execute(f"ALTER SYSTEM RESET {name}")


def _begin_timeline(data: Path, other: Path) -> None:
    """Have a server that is stopped begin another timeline than its own and those of the other one. Raises OSError."""
    for history in (other / "pg_wal").glob("*.history"):
        if not (data / "pg_wal" / history.name).exists():
            shutil.copyfile(history, data / "pg_wal" / history.name)
    if not (data / "recovery.signal").exists():
        settings = data / "postgresql.auto.conf"
        lines = "".join(f"{name} = '{value}'\n" for name, value in _ANOTHER.items())
        save(settings, settings.read_bytes() + lines.encode(), durable=True)
        save(data / "recovery.signal", b"", durable=True)
