# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command of the backups knows, kept in two files, each with a writer of its own, and in the server."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from ..._checks.backup import LastBackup, LastDrill, Record
from ..._host.atomic import save_json
from ..._postgresql.archiving import write_record
from ..._postgresql.client import MAINTENANCE, MissingDriverError, PgError, session
from ..backup_record import to_text
from ..records import load
from .server import SOCKETS, login_of
from .settings import Settings

_T = TypeVar("_T")
_LARGEST = 256 * 1024


class State:
    """What is damaged is as none: the next run writes it again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backup, self._drill = (Path(settings.directory) / name for name in ("backup.json", "drill.json"))

    @property
    def record(self) -> Record:
        settings = self._settings
        backup, drill = _load(LastBackup, self._backup), _load(LastDrill, self._drill)
        return Record(backup, drill, settings.drill_days, settings.wal_limit)

    def keep(self, state: LastBackup | LastDrill) -> None:
        """Raises OSError."""
        save_json(self._backup if isinstance(state, LastBackup) else self._drill, dataclasses.asdict(state))
        self.publish()

    def publish(self) -> None:
        """In the server, for all who ask it; one that does not run has it with the next run of a timer."""
        with (
            contextlib.suppress(PgError, MissingDriverError),
            session(login_of(SOCKETS, self._settings.port, MAINTENANCE)) as client,
        ):
            write_record(client, to_text(self.record))


def _load(kind: type[_T], path: Path) -> Any:
    try:
        return load(kind, path, _LARGEST)
    except (OSError, ValueError):
        return kind()
