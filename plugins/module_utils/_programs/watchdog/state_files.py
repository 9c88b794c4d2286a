# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog knows from one start to the next, in its state directory.

Its own state file; a damaged one is put aside, never trusted. And two small files by which operators pause and resume
it: they work whether it runs or not, and stay in force when it or the host is restarted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from ..._host.atomic import save_json
from ..._host.errors import StabilityError
from ..._host.small_file import read_json
from ..records import decode
from ..records import load as load_record
from .model import TARGETS
from .state_machine import Open, State, TargetState

_MAX_FILE = 1024 * 1024
_LONGEST_GRACE = 86400.0
_MAX_PAUSE = 4096
# Of a pause that can't be read.
UNKNOWN = "unknown"
# The year 3000: what is said to last longer is no time.
_LATEST = 32503680000.0


def save(path: Path, state: State, boot: str) -> None:
    """Raises OSError; then what was there still is."""
    save_json(path, {"boot": boot, **dataclasses.asdict(state)})


def load(path: Path, boot: str, moment: float) -> State:
    """The state of the last start; where there is none, one that begins at this moment.

    Of an earlier boot only the open problems count, so that their end is reported, and how many steps there ever were:
    all processes are others. Raises StabilityError after moving a damaged file aside, OSError when it can't be read.
    """
    try:
        content = read_json(path, _MAX_FILE)
        state, same_boot = decode(State, content), content["boot"] == boot
    except FileNotFoundError:
        return State(targets=targets_since(moment))
    except (ValueError, KeyError, RecursionError) as error:
        raise StabilityError(f"{path} is damaged ({type(error).__name__}){_put_aside(path)}") from error
    past = max(state.restarts, default=0.0) <= moment and all(_is_past(item, moment) for item in state.targets.values())
    if same_boot and past:
        return state
    problems = {key: Open(item.problem, min(item.since, moment)) for key, item in state.problems.items()}
    return State(targets=targets_since(moment), problems=problems, actions_total=state.actions_total)


def _is_past(target: TargetState, moment: float) -> bool:
    """What is still to come was written by another boot, or by nobody; but for a grace, which is a day at most."""
    times = (target.since, target.unhealthy_since, target.acted_at, target.inhibition_since, *target.actions)
    return max(times) <= moment and target.grace_until <= moment + _LONGEST_GRACE


def targets_since(moment: float) -> dict[str, TargetState]:
    """Nothing is known of the targets from before the first probe."""
    return {target: TargetState(since=moment) for target in TARGETS}


def actions_of_log(lines: list[str], boot: str, moment: float, window: float) -> dict[str, tuple[float, ...]]:
    """When steps were begun for each target, from recovery.log: a lost state file must not make forget the budget."""
    found: dict[str, list[float]] = {target: [] for target in TARGETS}
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            entry = json.loads(line)
            begun = float(entry["boottime"])
            if entry["boot"] != boot or not 0 <= moment - begun < window:
                continue
            if entry["kind"] == "resume":
                found = {target: [] for target in TARGETS}
            elif entry["kind"] == "action":
                found[str(entry["key"]).partition(".")[0]].append(begun)
    return {target: tuple(times) for target, times in found.items()}


def with_actions(state: State, logged: Mapping[str, tuple[float, ...]]) -> State:
    """A state that could not be written is an old one: what its steps were, the log knows."""
    targets = {
        name: dataclasses.replace(target, actions=tuple(sorted({*target.actions, *logged[name]})))
        for name, target in state.targets.items()
    }
    return dataclasses.replace(state, targets=targets)


def _put_aside(path: Path) -> str:
    """What is in the way of one name, a file or a directory, may not be in that of the other."""
    message = ""
    for name in (f"{path.name}.corrupt", f"{path.name}.corrupt-directory"):
        aside = path.with_name(name)
        try:
            path.replace(aside)
        except OSError as error:
            message = f" and can't be put aside: {error.strerror}"
        else:
            return f" and was put aside as {aside}"
    return message


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
        unknown = Pause(wall, None, UNKNOWN)
        try:
            pause = load_record(Pause, self._pause, _MAX_PAUSE)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return unknown
        if not all(0 <= time <= _LATEST for time in (pause.since, pause.until or 0)):
            return unknown
        return pause if pause.until is None or wall < pause.until else None

    def take_resume(self) -> bool:
        """Whether the operator has resumed since the last time that this was asked."""
        with contextlib.suppress(OSError):
            self._resume.unlink()
            return True
        return False
