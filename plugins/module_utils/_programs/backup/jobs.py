# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What units and the server run: a backup and a drill, where one is due or demanded, and a file for the archive."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..._checks.backup import LastBackup, LastDrill, Record, is_backup_due, is_drill_due, is_full_due
from ..._host.errors import StabilityError
from ..._postgresql.pgbackrest import Backup, BackupError
from .drill import Drill
from .remote import pgbackrest_of
from .settings import Settings
from .state import Demand, State

_EMPTY = (
    "the repository is empty, though backup {} was made: is its disk mounted? If it is to be a new one:"
    " `postgresql-backup run --first`."
)


class Jobs:
    """Each says what was done. Raises StabilityError, which is in the state as well, and OSError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = State(settings)
        self._pgbackrest = pgbackrest_of(settings)

    def backup(self) -> str:
        self._state.forget_another()
        demand, before = self._state.take("backup"), self._state.record
        lost = before.backup.lost
        try:
            backups = self._pgbackrest.backups()
            lost = before.backup.missing(backups[-1].label) if backups else lost
            made = self._newest_backup(backups, demand, before)
        except BackupError as error:
            self._state.keep(dataclasses.replace(before.backup, error=str(error), lost=lost))
            raise
        # who demands one knows of the loss
        self._state.keep(LastBackup(made.ended, made.label, lost="" if demand else lost, begun=before.backup.begun))
        return f"Backup {made.label} is the newest one."

    def _newest_backup(self, backups: Sequence[Backup], demand: Demand | None, before: Record) -> Backup:
        """A new one, where that is due or demanded; the first that is known here is new, whatever others there are."""
        known = before.backup.label
        if known and not backups and not (demand and demand.first):
            raise BackupError(_EMPTY.format(known))
        now = time.time()
        own = [backup for backup in backups if backup.current]
        is_known = known and own and own[-1].label >= known
        since = max(before.given_up, before.replaced)
        if not demand and is_known and not is_backup_due(own[-1].ended, since, self._settings.hour, now):
            return own[-1]
        full = max((backup.ended for backup in own if backup.full), default=0.0)
        is_full = is_full_due(full, self._settings.full_days, now) or (demand is not None and demand.full)
        self._pgbackrest.backup(is_full)
        self._archive_history()
        return self._pgbackrest.backups()[-1]

    def _archive_history(self) -> None:
        """Of the timelines, which a restore needs: the server did that once, maybe into another repository."""
        for file in sorted(Path(self._settings.data_directory).glob("pg_wal/*.history")):
            self._pgbackrest.archive(str(file))

    def drill(self) -> str:
        demand, before = self._state.take("drill"), self._state.record
        now = time.time()
        if demand is None and not is_drill_due(before, self._settings.drill_hour, now):
            return "No drill is due."
        drilling = dataclasses.replace(before.drill, begun=now, tried=now)
        self._state.keep(drilling)
        drill = Drill(self._settings, before.backup)
        drill.run()
        if drill.problems:
            self._state.keep(dataclasses.replace(drilling, begun=0.0, problems=tuple(drill.problems)))
            raise StabilityError("\n".join(drill.problems))
        ended = time.time()
        self._state.keep(LastDrill(ended, drill.label, ended - now, tried=now))
        return f"Backup {drill.label} and all changes since were restored and found good."

    def end_drill(self, result: str) -> None:
        """After it, however it ended; `result` is systemd's word for that."""
        Drill(self._settings, LastBackup()).remove()
        drill = self._state.record.drill
        if drill.begun:
            problem = f"The drill was ended before it had found out ({result}): see the journal of its unit."
            self._state.keep(dataclasses.replace(drill, begun=0.0, problems=(problem,)))

    def archive(self, file: str) -> None:
        """As the server's archive_command. What is given up, since too much waits, the server takes for archived."""
        said = self._pgbackrest.archive(file)
        sys.stderr.write(said.text)
        if said.is_given_up:
            self._state.give_up()
