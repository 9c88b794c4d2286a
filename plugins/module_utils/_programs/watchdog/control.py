# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How operators pause and resume the watchdog: two small files in its state directory.

They work whether it runs or not, and stay in force when it or the host is restarted.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from ..._host.read_json import read_json
from ..._host.state_file import save_json

_MAX_FILE = 4096
# Of a pause that can't be read.
UNKNOWN = "unknown"
# The year 3000: what is said to last longer is no time.
_LATEST = 32503680000.0


@dataclasses.dataclass(frozen=True)
class Pause:
    since: float
    """Seconds since the epoch, as `until`."""
    until: float | None
    """None: until the operator resumes."""
    by: str


class Control:
    def __init__(self, directory: Path) -> None:
        self._pause = directory / "pause.json"
        self._resume = directory / "resume"

    def pause(self, pause: Pause) -> None:
        """Raises OSError."""
        save_json(self._pause, dataclasses.asdict(pause))
        self._resume.unlink(missing_ok=True)

    def resume(self) -> None:
        """Raises OSError."""
        self._resume.touch()
        self._pause.unlink(missing_ok=True)

    def paused(self, wall: float) -> Pause | None:
        """The pause in force. One that can't be read counts: whoever wrote it wanted the watchdog to do nothing."""
        try:
            content = read_json(self._pause, _MAX_FILE)
            until = None if content["until"] is None else _time(content["until"])
            pause = Pause(_time(content["since"]), until, str(content["by"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return Pause(wall, None, UNKNOWN)
        return pause if pause.until is None or wall < pause.until else None

    def take_resume(self) -> bool:
        """Whether the operator has resumed since the last time that this was asked."""
        with contextlib.suppress(OSError):
            self._resume.unlink()
            return True
        return False


def _time(value: object) -> float:
    """Raises ValueError for what is no time since the epoch, TypeError for what is no number."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r:.40} is no number")
    if not 0 <= value <= _LATEST:
        raise ValueError(f"{value} is no time")
    return float(value)
