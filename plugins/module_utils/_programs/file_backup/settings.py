# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command of a service's file backups knows of this host."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from ..._host.errors import StabilityError
from ..._host.lock import lock
from ..backup_record import LOCK


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the role says."""

    service: str
    user: str
    """The service's: it alone reads and writes the files."""
    shared: str
    """Where they are."""
    restored: str
    """Where they come to lie when they are restored: on the same disk."""
    repository: str
    """Where the backups are, in a person's words: what is known of them is of this one alone."""
    options: tuple[str, ...]
    """Of restic, for all of its commands."""
    secrets: str
    """A file with what restic has to be given in its environment, its repository among it."""
    directory: str
    """Where the record is, and what restic remembers of the repository."""
    hour: int
    """Of the day, in the host's time zone: when a backup is made, and looked at where that is due."""
    drill_days: int
    files_days: int
    turns: int
    """How many repositories take turns, each for `files_days`: some where another host removes them, as a whole."""

    @property
    def command(self) -> str:
        return f"{self.service}-file-backup"

    @property
    def cache(self) -> str:
        return str(Path(self.directory) / "cache")

    @property
    def record(self) -> Path:
        return Path(self.directory) / "record.json"

    def unit(self, job: str) -> str:
        return f"{self.command}@{job}.service"

    @contextlib.contextmanager
    def alone(self, seconds: float = 0.0) -> Iterator[None]:
        """One at a time, of all that has to do with the repository. Raises StabilityError after so many seconds."""
        ending = f"wait for its end; a backup or a drill ends by `systemctl stop '{self.unit('*')}'`"
        busy = StabilityError(f"another {self.command} is at work: {ending}")
        with lock(self.record.with_name(LOCK), busy, seconds=seconds):
            yield
