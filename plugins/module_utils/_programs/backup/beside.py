# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second server beside the running one, as the server was at a time: to look at, and to take from what was lost.

It is a unit of the moment, whose end removes its files. The running server is not touched, and archives as before.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import sys
import time
from pathlib import Path

from ..._host.command import call
from ..._host.errors import StabilityError
from ..._host.units import runs, stop_unit
from ..._postgresql.archiving import archive_now
from ..._postgresql.client import PgError
from ..._postgresql.server_state import OWNER
from ..display import stamp
from .remote import pgbackrest_of
from .server import Restored, as_owner, to_running
from .settings import Settings
from .state import State

UNIT = "postgresql-restored.service"
SOCKET = Path("/run/postgresql-restored")
_LOOK_SECONDS = 1.0
_PROPERTIES = (
    f"User={OWNER}",
    f"RuntimeDirectory={SOCKET.name}",
    "RuntimeDirectoryMode=0700",
    "UMask=0077",
    # the running server and the service come first
    "CPUWeight=20",
    "IOWeight=20",
    "MemoryMax=1G",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=full",
    # the repository may be there
    "ProtectHome=read-only",
    # at once, whoever still looks at it
    "KillSignal=SIGINT",
    "KillMode=mixed",
)


class Beside:
    """The second server; there is one at most."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._restored = Restored(settings, settings.restored, SOCKET)
        self._reason = Path(settings.directory) / "restore-failed"

    def restore(self, when: datetime.datetime | None) -> list[str]:
        """As root: have it restored and started, and wait for it; what to say. Raises StabilityError."""
        until = self.begin(when)
        return [
            f"Beside the running server there is another one, as it was at {until}.",
            f"To look at it:         sudo -u {OWNER} psql -h {SOCKET} -U ROLE DATABASE",
            "                       as a role of the service's, never as the superuser: docs/backup.md",
            f"To take a table:       sudo -u {OWNER} pg_dump -h {SOCKET} --no-owner --no-privileges -t TABLE DATABASE",
            "                       into psql as the service's role, never as the superuser: docs/backup.md",
            "To have it instead of  postgresql-backup replace --check",
            "the running one:       says what is lost by that",
            "To remove it:          postgresql-backup forget",
        ]

    def begin(self, when: datetime.datetime | None = None, *, is_new: bool = False) -> str:
        """As root; up to when it has the changes. The repository knows nothing of a server on a new host.

        Raises StabilityError.
        """
        if runs(UNIT):
            raise StabilityError("there is a restored server already; `postgresql-backup forget` ends it")
        if when and when > datetime.datetime.now(tz=datetime.UTC):
            raise StabilityError(f"{when.isoformat(' ')} is still to come")
        if not is_new:
            self._archive_now()
        given = [f"--time={when.isoformat(' ')}"] if when else []
        # whatever ends it: its files go with it (as by Restored.remove), unless it is to take the running one's place
        home, removing = self._restored.home, self._restored.removing
        removal = f"test -e {self._restored.stays} || test ! -e {home} || mv -T {home} {removing}"
        ending = f'ExecStopPost=/bin/sh -c "rm -rf {removing}; {removal}; rm -rf {removing}"'
        properties = [f"--property={each}" for each in (*_PROPERTIES, ending)]
        # collected even where it fails, so that its name is free again
        call("systemd-run", f"--unit={UNIT}", "--collect", "--quiet", *properties, sys.argv[0], "serve", *given)
        return self._wait()

    def serve(self, when: datetime.datetime | None) -> None:
        """As the server's user, in the unit: restore, and become the server. Raises StabilityError and OSError."""
        self._reason.unlink(missing_ok=True)
        try:
            self._fetch(when)
        except StabilityError as error:
            # for the person who waits
            self._reason.write_text(str(error), encoding="utf-8")
            raise
        argv = self._restored.command(fleeting=False)
        os.execv(argv[0], argv)

    def _fetch(self, when: datetime.datetime | None) -> None:
        pgbackrest = pgbackrest_of(self._settings)
        state, moment = State(self._settings), when.timestamp() if when else math.inf
        known = pgbackrest.backups()
        backups = state.past.usable(known, moment)
        if when and known and not backups:
            since = stamp(known[0].ended + 1)
            raise StabilityError(
                f"{stamp(moment)} is before the first backup; the server can be had as it was at any time since {since}"
            )
        if not backups:
            raise StabilityError("the repository holds no backup")
        label, version = backups[-1].label, backups[-1].version
        if version != self._settings.version:
            here = f"PostgreSQL {version}, and this host has {self._settings.version}"
            raise StabilityError(f"backup {label} is of {here}: it takes a host of the Debian release with {version}")
        options = [f"--set={label}", *state.timeline(moment)]
        if when:
            options += ["--type=time", f"--target={when.isoformat(' ')}", "--target-action=promote"]
        self._restored.prepare(backups[-1].size, min(moment, time.time()))
        pgbackrest.restore(str(self._restored.data), options)

    def forget(self) -> None:
        """As root. Raises StabilityError and OSError."""
        stop_unit(UNIT)
        with as_owner():
            self._restored.remove()

    def _archive_now(self) -> None:
        """Where the server still runs, so that all it has done can be restored."""
        with contextlib.suppress(PgError), as_owner(), to_running(self._settings) as client:
            archive_now(client)

    def _wait(self) -> str:
        """Until it answers; up to when it has the changes."""
        while runs(UNIT):
            with contextlib.suppress(PgError), as_owner():
                moment, _position = self._restored.end()
                return stamp(moment) if moment else "the end of the backup"
            time.sleep(_LOOK_SECONDS)
        with as_owner(), contextlib.suppress(FileNotFoundError):
            raise StabilityError(self._reason.read_text(encoding="utf-8"))
        raise StabilityError(f"the restored server did not start: see `journalctl -u {UNIT}`")
