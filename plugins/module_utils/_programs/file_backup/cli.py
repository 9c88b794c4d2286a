# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-file-backup` command: makes backups of the files that outlive a release, proves them, and restores.

Backups and drills are made in units of their own, by a timer or by hand.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..._checks.backup import judge_files
from ..._checks.findings import CRITICAL, OK, Finding, ago, worst_of
from ..._host.command import PLAIN, quiet_run
from ..._host.console import answer, run_command
from ..._host.errors import StabilityError
from ..._host.units import UnitError, run_unit, stop_unit
from ..backup_record import begun_at, load_record
from ..common import attempt, load_settings, read_settings
from ..common import stamp as stamp_of
from ..display import as_time, show_findings, stamp
from ..records import decode
from .jobs import Jobs
from .repositories import Repositories
from .restic import sentence
from .restoring import rebuild, require_empty, restore
from .settings import Settings

_READERS = "root"
_FAILED = 1
_WRONG = 2
_MOST_SHOWN = 14
_SOON_SECONDS = 120.0


class Commands:
    """As root; each method returns the exit status."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._settings = settings
        self._options = options
        self._repositories = Repositories(settings, read_settings(Path(settings.secrets)))

    def make(self) -> int:
        """What the unit runs."""
        answer(getattr(Jobs(self._settings, self._repositories), self._options.job)())
        return os.EX_OK

    def run(self) -> int:
        """A backup, now."""
        self._in_unit("first" if self._options.first else "backup")
        answer(f"Backup {load_record(self._settings.record).backup.label} is made.")
        return os.EX_OK

    def drill(self) -> int:
        """A drill, now."""
        self._in_unit("drill")
        drill = load_record(self._settings.record).drill
        answer(f"Backup {drill.label} was read and compared with the files, in {drill.seconds:.0f} s.")
        return os.EX_OK

    def _in_unit(self, job: str) -> None:
        before, unit = stamp_of(self._settings.record), self._settings.unit(job)
        try:
            run_unit("start", unit)
        except UnitError as error:
            # who has asked for it hears of it: it is no failed unit of the host
            stop_unit(unit)
            record = load_record(self._settings.record)
            # what it has found stands in the record, unless it could not even begin
            said = "\n".join(record.drill.problems) if job == "drill" else record.backup.error
            is_found = said and stamp_of(self._settings.record) != before
            raise StabilityError(said if is_found else str(error)) from error

    def status(self) -> int:
        """How the backups are, and what to do when they are needed."""
        now, settings = time.time(), self._settings
        record = load_record(settings.record, settings.repository)
        findings = list(judge_files(record, begun_at(settings.record), now, settings.command))
        snapshots, problems = self._repositories.snapshots()
        findings += [Finding("repository", CRITICAL, problem) for problem in problems]
        answer(f"Backups of {settings.shared}", "")
        show_findings(findings)
        if snapshots:
            left, shown = len(snapshots) - _MOST_SHOWN, snapshots[-_MOST_SHOWN:]
            answer("", *([f"  ({left} older ones)"] if left > 0 else []))
            answer(*(f"  {each.label}  {stamp(each.begun)}  {ago(now - each.begun):>11} old" for each in shown))
            answer("", f"The files as they were at one of these times, in {settings.restored}:")
            answer(f"  {settings.command} restore --time '{stamp(snapshots[-1].begun)}'")
        if Path(settings.restored).exists():
            answer("", f"{settings.restored} has restored files. To remove them: {settings.command} forget")
        return os.EX_OK if worst_of(findings) == OK else _WRONG

    def restore(self) -> int:
        """The files of a backup, beside those of the service."""
        _end_with_this()
        with self._settings.alone():
            answer(*restore(self._settings, self._repositories, self._options.time, self._options.path))
        return os.EX_OK

    def rebuild(self) -> int:
        """On a new host, the files of the newest backup in the place of none."""
        settings = self._settings
        if load_record(settings.record, settings.repository).backup.label:
            answer("This host has backups of its own, or its files back: there is nothing to do.")
            return os.EX_OK
        require_empty(settings)
        if self._options.check:
            answer(f"{settings.shared} is empty: the files of the newest backup can take its place.")
            return os.EX_OK
        _end_with_this()
        # the timer's job finds that the repository has backups of another host, which is over soon
        with settings.alone(_SOON_SECONDS):
            # of a run that was ended before
            self._remove()
            found = rebuild(settings, self._repositories)
            Jobs(settings, self._repositories).take_over(found)
        stop_unit(settings.unit("due"))
        answer(f"{settings.shared} has the files as they were at {stamp(found.begun)}.")
        return os.EX_OK

    def restic(self) -> int:
        """restic's own commands, with all that it has to be given."""
        with self._settings.alone():
            return self._repositories.current(time.time()).by_hand(self._options.words)

    def forget(self) -> int:
        """Remove what was restored."""
        with self._settings.alone():
            self._remove()
        return os.EX_OK

    def _remove(self) -> None:
        # as deep as the service has made it, too
        done = quiet_run(["rm", "--recursive", "--force", "--", self._settings.restored], environment=PLAIN)
        if done.returncode:
            raise StabilityError(sentence(done.stderr))


def _end_with_this() -> None:
    """What this program runs ends with it."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _leave)


def _leave(*_signal: object) -> NoReturn:
    raise SystemExit(_FAILED)


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit status."""
    options = parse(arguments, config)

    def command() -> int:
        settings = load_settings(Path(options.config), lambda content: decode(Settings, content), _READERS)
        return int(getattr(Commands(settings, options), options.command)())

    return attempt(command, options.config)


def run(config: str) -> None:
    """The entry point."""
    run_command(lambda: main(config))


def parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Backups of the service's files on this host. Run it as root.")
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("status", help="say how the backups are, and what to do when they are needed")
    made = commands.add_parser("run", help="make a backup")
    made.add_argument("--first", action="store_true", help="into a repository that is another one than before")
    commands.add_parser("drill", help="read the newest backup, and compare it with the files")
    restore = commands.add_parser("restore", help="unpack the files of a backup beside those of the service")
    restore.add_argument("--time", type=as_time, metavar="TIME", help="the last one before that; else the newest")
    restore.add_argument("path", nargs="?", default="", help="a file or a directory; else all")
    rebuilt = commands.add_parser("rebuild", help="on a new host: the files of the newest backup in the place of none")
    rebuilt.add_argument("--check", action="store_true", help="say whether that can be done, and change nothing")
    commands.add_parser("forget", help="remove what was restored")
    # all that follows is its own, what begins with dashes as well
    own = commands.add_parser("restic", help="restic itself", add_help=False, prefix_chars="\0")
    own.add_argument("words", nargs="*", metavar="...")
    # what the unit runs
    commands.add_parser("make").add_argument("job", choices=("due", "backup", "first", "drill"))
    return parser.parse_args(arguments)
