# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `file-backup-repository` program: whom a repository host lets in with the backups of their services' files, and
how long it keeps these.

An app host can only add to what is there, and this host never looks into it: a directory goes when nothing has come to
it for as long as backups are kept, by this host's clock.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..._host.atomic import remove_tree, save
from ..._host.console import answer, run_command
from ..._host.errors import StabilityError
from ..._host.service_tree import entries, open_directory
from ..common import attempt, load_settings
from ..records import decode

_SUFFIX = ".json"
# In a repository of restic's: a file for each backup, which comes when all else of it is there.
_BACKUPS = "snapshots"
_READERS = "the user restic"
_DAY_SECONDS = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class Client:
    """A service on an app host, as the role says."""

    access: str
    """The password by which it is let in."""
    files_days: int


class Clients:
    """Each has a file with its settings, and a directory of its name for its repositories."""

    def __init__(self, directory: Path, files: Path) -> None:
        self._directory = directory
        self._files = files

    def access(self) -> str:
        """Whom rclone lets in, each with its password's hash: no person has chosen it, so it can't be guessed.

        Raises StabilityError.
        """
        return "".join(f"{name}:{{SHA}}{_hash(self._client(name).access)}\n" for name in self._names())

    def discard(self, now: float) -> Iterator[str]:
        """What was removed. Raises StabilityError, after all others, for those where that failed."""
        problems = []
        for name in self._names():
            try:
                for place in old_ones(self._directory / name, now - self._client(name).files_days * _DAY_SECONDS):
                    remove_tree(place)
                    yield f"{place} is removed."
            except (StabilityError, OSError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise StabilityError("\n".join(problems))

    def _names(self) -> list[str]:
        return sorted(path.stem for path in self._files.glob(f"*{_SUFFIX}"))

    def _client(self, name: str) -> Client:
        return load_settings(self._files / f"{name}{_SUFFIX}", lambda content: decode(Client, content), _READERS)


def old_ones(directory: Path, before: float) -> list[Path]:
    """The repositories there to which nothing has come since, but never the last one, nor the last that holds a backup.

    What comes to one may never become a whole backup. Raises OSError.
    """
    if not directory.is_dir():
        return []
    came = sorted((_newest(place), place) for place in directory.iterdir() if place.is_dir() and not place.is_symlink())
    whole = [place for _moment, place in came if any((place / _BACKUPS).glob("*"))]
    return [place for moment, place in came[:-1] if moment < before and place not in whole[-1:]]


def _newest(place: Path) -> float:
    """When the last file came to it; a directory changes by what is removed as well."""
    with open_directory(place) as top:
        moments = (entry.found.st_mtime for entry in entries(top, "", whole=False) if not entry.is_directory)
        return max(moments, default=os.fstat(top).st_mtime)


def _hash(password: str) -> str:
    """As htpasswd has it."""
    return base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()


def main(repository: str, clients: str, arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; returns the exit status."""
    options = parse(arguments)
    known = Clients(Path(repository), Path(clients))

    def command() -> int:
        if options.command == "access":
            save(Path(options.file), known.access().encode())
        else:
            for said in known.discard(time.time()):
                answer(said)
        return os.EX_OK

    return attempt(command, repository)


def run(repository: str, clients: str) -> None:
    """The entry point."""
    run_command(lambda: main(repository, clients))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Takes the backups of services' files from other hosts. Its units run it, as the user restic."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    access = commands.add_parser("access", help="write whom rclone lets in")
    access.add_argument("file", metavar="FILE")
    commands.add_parser("discard", help="remove what is old")
    return parser.parse_args(arguments)
