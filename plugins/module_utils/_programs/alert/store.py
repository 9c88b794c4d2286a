# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerting remembers between two runs: problems, messages on their way, and when the watchdog was last seen.

It is written before an event is deleted and after each message that was delivered. On a full disk it is written to the
second directory, which is in memory: a full disk is just what must be reported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._host.atomic import save_json
from ..._host.console import complain
from ..records import decode
from .heartbeat import Sight
from .outbox import Outbox
from .problems import Ledger

_VERSION = 1
_NAME = "state.json"


@dataclasses.dataclass
class State:
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    outbox: Outbox = dataclasses.field(default_factory=Outbox)
    sight: Sight = dataclasses.field(default_factory=Sight)
    seen: list[str] = dataclasses.field(default_factory=list)
    """Names of the events of the last run: one that could not be deleted is not taken in again."""
    pinged: float = 0.0
    """When the heartbeat URL was last requested, in seconds since boot."""
    ran: float = 0.0
    source: str = ""
    """Whose problems these are: Alertmanager's, by its address, or the watchdog's."""
    revision: int = 0


class Store:
    """The state in the first of these directories, or, as long as that can't be written, in the next."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories

    def load(self) -> State:
        """The newest state there is; a damaged one is put aside, and said in the journal."""
        found = [state for state in map(self._read, self._directories) if state]
        return max(found, key=lambda state: state.revision, default=State())

    def clean(self) -> None:
        """Remove what a run that was killed while it wrote has left. Only while the lock is held."""
        for directory in self._directories:
            for path in directory.glob(f".{_NAME}.*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def save(self, state: State) -> None:
        """Raises OSError when no directory can be written; then what was there still is."""
        state.revision += 1
        for number, directory in enumerate(self._directories):
            try:
                save_json(directory / _NAME, {"version": _VERSION, **dataclasses.asdict(state)})
            except OSError as error:
                complain(f"{directory / _NAME}: {error.strerror}")
                if number == len(self._directories) - 1:
                    raise
            else:
                for other in self._directories[number + 1 :]:
                    with contextlib.suppress(OSError):
                        (other / _NAME).unlink(missing_ok=True)
                return

    def _read(self, directory: Path) -> State | None:
        path = directory / _NAME
        try:
            return _parse(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, OSError) as error:
            complain(f"{path} is damaged and put aside as {path.name}.damaged: {error}")
            with contextlib.suppress(OSError):
                path.replace(path.with_name(f"{path.name}.damaged"))
            return None


def _parse(content: Any) -> State:
    """Raises ValueError."""
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise ValueError(f"it is not of version {_VERSION}")
    return decode(State, content)
