# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server that was replaced, which is kept beside the running one, and which of the two is which.

A note beside it has the inodes of the data directories that have served: they stay the same when the names change.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..._host.atomic import save_json
from ..._host.errors import StabilityError
from ..display import stamp
from ..records import load
from .server import as_owner
from .settings import Settings

_LARGEST = 4096


@dataclasses.dataclass(frozen=True)
class Known:
    """One of the two. Seconds since the epoch."""

    inode: int
    as_of: float = 0.0
    """The time it was restored to; 0 of the one that was there first."""
    until: float = 0.0
    """When it was put away last."""

    @property
    def name(self) -> str:
        return f"the one as of {stamp(self.as_of)}" if self.as_of else "the original one"


@dataclasses.dataclass(frozen=True)
class Note:
    """Those that have served; and as of when the one is that is about to."""

    servers: tuple[Known, ...]
    as_of: float


class Kept:
    """As the server's user, but for what reads. Each method that writes raises OSError."""

    def __init__(self, settings: Settings) -> None:
        self._main = Path(settings.data_directory)
        self._home = settings.replaced
        self.data = settings.replaced / "data"
        self._note = settings.replaced / "kept.json"

    def begin(self, as_of: float) -> None:
        """The running server is about to be replaced for the first time, by one as of that time."""
        self._write(Note((Known(_inode(self._main)),), as_of))

    def leave(self, ended: float) -> None:
        """The running server is about to go."""
        inode, note = _inode(self._main), self._read()
        known = {each.inode: each for each in note.servers}
        known[inode] = dataclasses.replace(known.get(inode, Known(inode, note.as_of)), until=ended)
        self._write(dataclasses.replace(note, servers=tuple(known.values())))

    def forget(self) -> None:
        """What is left is none that could be put back."""
        self._note.unlink(missing_ok=True)

    def is_there(self) -> bool:
        """Whether one that has served is kept; a directory that is only on its way to that is none."""
        return self._known(self.data) is not None

    def as_of(self) -> float:
        """The time as of which the one is that is about to come: where it has served, when that ended."""
        known = self._known(self.data)
        return known.until if known else self._read().as_of

    def active(self) -> str:
        """Which one runs."""
        known = self._known(self._main) or (self._known(self.data) and Known(0, self._read().as_of))
        return known.name if known else "the original one"

    def lines(self) -> list[str]:
        """What is kept, and what to do with it."""
        known = self._known(self.data)
        if not known:
            left = f"{self._home} has the leftovers of an interrupted replacement."
            return [left, "To remove them:        postgresql-backup forget --replaced"]
        return [
            f"{self.data} has {known.name}, which was replaced.",
            "To put it back:        postgresql-backup undo",
            "To remove it:          postgresql-backup forget --replaced",
        ]

    def _known(self, data: Path) -> Known | None:
        with as_owner():
            try:
                inode = _inode(data)
                return next((each for each in self._read().servers if each.inode == inode), None)
            except (OSError, StabilityError):
                return None

    def _read(self) -> Note:
        with as_owner():
            try:
                return load(Note, self._note, _LARGEST)
            except ValueError as error:
                raise StabilityError(f"{self._note} is damaged ({error})") from error

    def _write(self, note: Note) -> None:
        save_json(self._note, dataclasses.asdict(note), durable=True)


def _inode(data: Path) -> int:
    return data.stat().st_ino
