# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command of the backups knows of this host."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the role says. Bytes and days."""

    stanza: str
    version: str
    """Of PostgreSQL, as in its paths."""
    port: int
    data_directory: str
    """The running server's."""
    restored_directory: str
    """Where the second server is: on the disk of the running one, whose place it may take."""
    directory: str
    """Where the state is, and what a drill restores."""
    hour: int
    """Of the day, in the host's time zone: when a backup is made. The drill has its own."""
    drill_hour: int
    full_days: int
    drill_days: int
    wal_limit: int
    repository: str = ""
    """Where the backups are, in a person's words: what is known of them is of this one alone."""
    repository_host: str = ""
    """The one that has the repository and makes the backups; empty where this one does."""

    @property
    def unit(self) -> str:
        """The running server's."""
        return f"postgresql@{self.version}-main.service"

    @property
    def restored(self) -> Path:
        return Path(self.restored_directory)

    @property
    def replaced(self) -> Path:
        """Where a server is that another one has replaced."""
        return self.restored.with_name("replaced")

    @property
    def past(self) -> Path:
        """Which server was the running one at which time; it goes where the data go."""
        return Path(self.data_directory).with_name("past.json")

    @property
    def binaries(self) -> Path:
        return Path(f"/usr/lib/postgresql/{self.version}/bin")
