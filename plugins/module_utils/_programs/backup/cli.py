# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `postgresql-backup` command: makes backups, proves that they can be restored, and restores.

Backups and drills are made in units of their own, by a timer or by hand: what ends a unit ends all that it has begun.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..._host.console import answer, complain, run_command
from ..._host.errors import StabilityError
from ..._host.lock import lock
from ..._host.units import UnitError, run_unit, runs
from ..._postgresql.server_state import OWNER
from ..common import attempt, become, load_settings
from ..display import as_time
from ..records import decode
from .beside import Beside
from .jobs import Jobs
from .overview import show_overview
from .remote import pgbackrest_of
from .replacing import Replacing
from .server import as_owner
from .settings import Settings
from .state import UNITS, Demand, State

_READERS = "root"
_WRONG = 2


class Commands:
    """What people ask for, as root; each method returns the exit status."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._settings = settings
        self._options = options
        self._state = State(settings)

    def run(self) -> int:
        """A backup, now."""
        self._in_unit("backup", Demand(self._options.full, self._options.first))
        backup = self._state.record.backup
        if backup.error:
            raise StabilityError(backup.error)
        answer(f"Backup {backup.label} is made.")
        return os.EX_OK

    def drill(self) -> int:
        """A drill, now."""
        before = self._state.record.drill
        self._in_unit("drill", Demand())
        drill = self._state.record.drill
        if drill.problems:
            raise StabilityError("\n".join(drill.problems))
        if drill.proven == before.proven:
            raise StabilityError("The drill was ended before it had found out: the server was replaced meanwhile.")
        answer(f"Backup {drill.label} and all changes since were restored and found good, in {drill.seconds:.0f} s.")
        return os.EX_OK

    def _in_unit(self, name: str, demand: Demand) -> None:
        """Raises StabilityError where it was ended before it had an outcome, which stands in the state.

        One that runs already may have begun before the demand.
        """
        before, unit = self._state.stamp(name), UNITS[name]
        another = "the end of the one that runs already, and then for its own" if runs(unit) else "its end"
        complain(f"{unit} makes a {name}. Waiting for {another}: systemctl status {unit}")
        self._state.demand(name, demand)
        while self._state.is_demanded(name):
            try:
                run_unit("start", unit)
            except UnitError as error:
                # it could not even try
                self._state.take(name)
                if self._state.stamp(name) == before:
                    raise StabilityError(str(error)) from error

    def status(self) -> int:
        """How the backups are, and what to do when they are needed."""
        become(OWNER)
        is_well = show_overview(self._settings, self._state, pgbackrest_of(self._settings))
        return os.EX_OK if is_well else _WRONG

    def restore(self) -> int:
        """A second server beside the running one, as it was at a time, to look at and to take from."""
        with self._alone():
            answer(*Beside(self._settings).restore(self._options.time))
        return os.EX_OK

    def replace(self) -> int:
        """The second server in the place of the running one, for good."""
        replacing = Replacing(self._settings)
        with self._alone():
            answer(*(replacing.predict if self._options.check else replacing.replace)(self._options.databases))
        return os.EX_OK

    def rebuild(self) -> int:
        """On a new host, the server of the repository in the place of the empty one."""
        with self._alone():
            answer(*Replacing(self._settings).rebuild(is_asked=self._options.check))
        return os.EX_OK

    def undo(self) -> int:
        """The server that was replaced, back in its place."""
        with self._alone():
            answer(*Replacing(self._settings).undo())
        return os.EX_OK

    def forget(self) -> int:
        """End the second server, which removes its files; or remove those of one that was replaced."""
        if self._options.replaced:
            with self._alone():
                Replacing(self._settings).forget()
        else:
            # that it ends a restore which still goes on is meant
            Beside(self._settings).forget()
        return os.EX_OK

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Of all that restores, replaces and removes. Raises StabilityError."""
        busy = StabilityError("another postgresql-backup restores or replaces the server: wait for its end")
        with contextlib.ExitStack() as held:
            with as_owner():
                held.enter_context(lock(Path(self._settings.directory) / "restoring.lock", busy))
            yield


def _inner(settings: Settings, options: argparse.Namespace) -> Callable[[], None] | None:
    """What units and the server run, as the server's user or as root; None for what people ask for."""
    jobs = Jobs(settings)
    commands: Mapping[str, Callable[[], None]] = {
        "make_backup": lambda: answer(jobs.backup()),
        "make_drill": lambda: answer(jobs.drill()),
        "end_drill": lambda: jobs.end_drill(os.environ.get("SERVICE_RESULT", "")),
        "pgbackrest_archive": lambda: jobs.archive(options.file),
        "exchange": lambda: Replacing(settings).exchange(),
        "serve": lambda: Beside(settings).serve(options.time),
    }
    return commands.get(options.command)


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit status."""
    options = parse(arguments, config)

    def command() -> int:
        settings = load_settings(Path(options.config), lambda content: decode(Settings, content), _READERS)
        inner = _inner(settings, options)
        if inner is None:
            return int(getattr(Commands(settings, options), options.command)())
        inner()
        return os.EX_OK

    return attempt(command, options.config)


def run(config: str) -> None:
    """The entry point."""
    run_command(lambda: main(config))


def parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Backups of the PostgreSQL server on this host. Run it as root.")
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("status", help="say how the backups are, and what to do when they are needed")
    made = commands.add_parser("run", help="make a backup")
    made.add_argument("--full", action="store_true", help="of everything, whatever the last full one's age is")
    made.add_argument("--first", action="store_true", help="into an empty repository, after there was another one")
    commands.add_parser("drill", help="restore the newest backup beside the server, and look whether it is good")
    restore = commands.add_parser("restore", help="a second server beside the running one, as it was at a time")
    replace = commands.add_parser("replace", help="the second server in the place of the running one")
    replace.add_argument("databases", nargs="*", metavar="DATABASE", help="each that goes back in time: all of them")
    rebuild = commands.add_parser("rebuild", help="on a new host: the repository's server in the empty one's place")
    for replacing in (replace, rebuild):
        replacing.add_argument("--check", action="store_true", help="say what would be done, and change nothing")
    commands.add_parser("undo", help="the server that was replaced, back in its place")
    forget = commands.add_parser("forget", help="end the second server, which removes its files")
    forget.add_argument("--replaced", action="store_true", help="remove the files of a server that was replaced")
    # what units and the server run
    for name in ("make_backup", "make_drill", "end_drill", "exchange"):
        commands.add_parser(name)
    # pgBackRest wants to see its own name in what the server runs
    commands.add_parser("pgbackrest_archive").add_argument("file")
    for restoring in (restore, commands.add_parser("serve")):
        restoring.add_argument(
            "--time",
            type=as_time,
            metavar="TIME",
            help="such as '2026-11-29 14:00:00', in the host's time zone; else the newest",
        )
    return parser.parse_args(arguments)
