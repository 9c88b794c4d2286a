# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `postgresql-backup` command: makes backups, proves that they can be restored, and restores."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import os
import time
from collections.abc import Sequence
from pathlib import Path

from ..._checks.backup import LastBackup, LastDrill
from ..._host.console import answer, complain
from ..._host.errors import StabilityError
from ..._host.lock import lock
from ..._postgresql.pgbackrest import Backup, BackupError, PgBackRest
from ..._postgresql.server import OWNER
from ..common import become, end, load_settings
from ..records import decode
from .beside import Beside
from .drill import Drill
from .overview import overview
from .settings import Settings
from .state import State

_READERS = "root"
_FAILED = 1
_WRONG = 2
_DAY = 86400
_EMPTY = (
    "the repository is empty, though backup {} was made: is its disk mounted? If it is to be a new one:"
    " `postgresql-backup run --first`."
)
# A timer that missed its time comes at boot, and one that is new at once: what is younger is good enough for both.
_YOUNG_BACKUP = _DAY / 2
# A timer is not exact, and comes each day.
_ABOUT = _DAY / 2


class Commands:
    """What the command can be asked for; each method returns the exit status."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._settings = settings
        self._options = options
        self._state = State(settings)
        self._pgbackrest = PgBackRest(settings.stanza)

    def run(self) -> int:
        """Make a backup, a full one when that is due."""
        become(OWNER)
        with self._alone("backup"):
            before = self._state.record.backup
            try:
                made = self._made(before.label)
            except BackupError as error:
                self._state.keep(dataclasses.replace(before, error=str(error)))
                raise
            self._state.keep(LastBackup(made.ended, made.label))
        size = f"{_megabytes(made.size)}, {_megabytes(made.stored)} more in the repository"
        answer(f"Backup {made.label} is there: {size}.")
        return os.EX_OK

    def _made(self, before: str) -> Backup:
        """The newest backup, which is a new one unless it is young enough. Raises BackupError."""
        backups = self._pgbackrest.backups()
        if before and not backups and not self._options.first:
            raise BackupError(_EMPTY.format(before))
        if self._options.if_due and backups and time.time() - backups[-1].ended < _YOUNG_BACKUP:
            return backups[-1]
        self._pgbackrest.create_stanza()
        self._pgbackrest.backup(self._options.full or self.is_full_due(backups))
        return self._pgbackrest.backups()[-1]

    def is_full_due(self, backups: Sequence[Backup]) -> bool:
        full = max((backup.ended for backup in backups if backup.full), default=0.0)
        return time.time() - full > self._settings.full_days * _DAY - _ABOUT

    def drill(self) -> int:
        """Restore the newest backup beside the server and look at it."""
        become(OWNER)
        with self._alone("drill"):
            before = self._state.record.drill
            if self._options.if_due and not self.is_drill_due(self._state.record.backup, before):
                answer("No drill is due.")
                return os.EX_OK
            drill, begun = Drill(self._settings, self._state.record.backup.label), time.time()
            drill.run()
            took = time.time() - begun
            if drill.problems:
                self._state.keep(dataclasses.replace(before, problems=tuple(drill.problems)))
                raise StabilityError("\n".join(drill.problems))
            self._state.keep(LastDrill(time.time(), drill.label, took))
        answer(f"Backup {drill.label} and all changes since were restored and found good, in {took:.0f} s.")
        return os.EX_OK

    def is_drill_due(self, backup: LastBackup, drill: LastDrill) -> bool:
        """Not before there is a backup: that there is none is told otherwise. One that failed is due each day."""
        is_young = time.time() - drill.proven < self._settings.drill_days * _DAY - _ABOUT
        return bool(backup.made) and (bool(drill.problems) or not is_young)

    def status(self) -> int:
        """How the backups are, and what to do when they are needed."""
        become(OWNER)
        lines, is_well = overview(self._settings, self._state, self._pgbackrest)
        answer(*lines)
        return os.EX_OK if is_well else _WRONG

    def restore(self) -> int:
        """A second server beside the running one, as it was at a time, to look at and to take from."""
        beside = Beside(self._settings)
        with self._alone("restore"):
            answer(*beside.restore(self._options.time))
        return os.EX_OK

    def serve(self) -> int:
        """What the unit of the second server runs."""
        Beside(self._settings).serve(self._options.time)
        return _FAILED

    def forget(self) -> int:
        """End the second server and remove its files."""
        with self._alone("restore"):
            Beside(self._settings).forget()
        return os.EX_OK

    def _alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        busy = StabilityError(f"another `postgresql-backup {name}` runs; see `systemctl status 'postgresql-backup*'`")
        return lock(Path(self._settings.directory) / f".{name}.lock", busy)


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit status."""
    options = parse(arguments, config)
    try:
        settings = load_settings(Path(options.config), lambda content: decode(Settings, content), _READERS)
        return int(getattr(Commands(settings, options), options.command)())
    except StabilityError as error:
        complain(error)
    except OSError as error:
        complain(f"{error.filename or options.config}: {error.strerror}")
    return _FAILED


def run(config: str) -> None:
    """The entry point."""
    end(main(config))


def parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Backups of the PostgreSQL server on this host. Run it as root.")
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = commands.add_parser("run", help="make a backup")
    made.add_argument("--full", action="store_true", help="of everything, whatever the last full one's age is")
    made.add_argument("--first", action="store_true", help="into an empty repository, after there was another one")
    drill = commands.add_parser(
        "drill", help="restore the newest backup beside the server, and look whether it is good"
    )
    for timed in (made, drill):
        timed.add_argument("--if-due", action="store_true", help="as the timer: not where the last one is young enough")
    commands.add_parser("status", help="say how the backups are, and what to do when they are needed")
    restore = commands.add_parser("restore", help="a second server beside the running one, as it was at a time")
    for restoring in (restore, commands.add_parser("serve")):
        restoring.add_argument(
            "--time",
            type=_time,
            metavar="TIME",
            help="such as '2026-11-29 14:00:00', in the host's time zone; else the newest",
        )
    commands.add_parser("forget", help="end the second server, and remove its files")
    return parser.parse_args(arguments)


def _time(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no date and time, such as 2026-11-29 14:00:00") from error


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
