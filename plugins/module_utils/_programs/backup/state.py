# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command of the backups knows, kept in files with a writer each, and in the server."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path

from ..._checks.backup import LastBackup, LastDrill, Record, is_of_another, of_repository
from ..._host.atomic import save_json
from ..._postgresql.archiving import write_record
from ..._postgresql.client import MissingDriverError, PgError
from ..backup_record import to_text
from ..common import stamp
from ..records import load_or_new
from .past import Past
from .server import as_owner, timeline_of, to_running
from .settings import Settings

_LARGEST = 256 * 1024
# What makes each that can be demanded.
UNITS = {"backup": "postgresql-backup.service", "drill": "postgresql-backup-drill.service"}


@dataclasses.dataclass(frozen=True)
class Demand:
    """What somebody wants to have now, whether it is due or not."""

    full: bool = False
    first: bool = False


class State:
    """What is damaged is as none: the next run writes it again. Each method raises OSError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = Path(settings.directory)
        self._backup, self._drill = self._directory / "backup.json", self._directory / "drill.json"
        self._given_up = self._directory / "given-up"

    @property
    def record(self) -> Record:
        settings = self._settings
        backup = load_or_new(LastBackup, self._backup, _LARGEST)
        drill = load_or_new(LastDrill, self._drill, _LARGEST)
        given_up = self._given_up.stat().st_mtime if self._given_up.exists() else 0.0
        record = Record(backup, drill, settings.drill_days, settings.wal_limit, given_up, self.past.last)
        return of_repository(record, settings.repository, time.time())

    def keep(self, state: LastBackup | LastDrill) -> None:
        state = dataclasses.replace(state, repository=self._settings.repository)
        save_json(self._backup if isinstance(state, LastBackup) else self._drill, dataclasses.asdict(state))
        self.publish()

    def forget_another(self) -> None:
        """Say no more what is known of another repository: the first backup into this one may take hours."""
        if is_of_another(load_or_new(LastBackup, self._backup, _LARGEST), self._settings.repository):
            self.keep(self.record.backup)

    @property
    def past(self) -> Past:
        """Without a replacement that was ended before it came about."""
        past = load_or_new(Past, self._settings.past, _LARGEST)
        with contextlib.suppress(OSError):
            now = Path(self._settings.data_directory).stat().st_ino
            come = [each for each in past.replacements if each.coming in (0, now)]
            return Past(tuple(dataclasses.replace(each, coming=0) for each in come))
        return past

    def keep_past(self, past: Past) -> None:
        """On the disk, whatever happens to the host then."""
        save_json(self._settings.past, dataclasses.asdict(past), durable=True)

    def timeline(self, when: float) -> list[str]:
        """pgBackRest's option for a restore to that time: it takes what was begun last, whoever has."""
        past = self.past
        found = (past.timeline(when) or timeline_of(self._settings)) if past.replacements else None
        return [f"--target-timeline={found}"] if found else []

    def give_up(self) -> None:
        """Note that now changes are given up."""
        self._given_up.touch()
        self.publish()

    def publish(self) -> None:
        """In the server, for all who ask it; one that does not run has it with the next run of a timer."""
        with (
            contextlib.suppress(PgError, MissingDriverError),
            to_running(self._settings) as client,
        ):
            write_record(client, to_text(self.record))

    def demand(self, name: str, demand: Demand) -> None:
        """As root, of the unit that makes it, which runs as the server's user."""
        with as_owner():
            save_json(self._demand(name), dataclasses.asdict(demand))

    def stamp(self, name: str) -> tuple[int, int] | None:
        """Another one as soon as the outcome of a backup or a drill is written."""
        return stamp({"backup": self._backup, "drill": self._drill}[name])

    def is_demanded(self, name: str) -> bool:
        return self._demand(name).exists()

    def take(self, name: str) -> Demand | None:
        """What is demanded, which is then no more."""
        if not self.is_demanded(name):
            return None
        demand = load_or_new(Demand, self._demand(name), _LARGEST)
        self._demand(name).unlink()
        return demand

    def _demand(self, name: str) -> Path:
        return self._directory / f"demand-{name}.json"
