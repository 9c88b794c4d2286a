# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: read all of them by one question, and change only what is not as it should be.

A unit that began to run before one of its files was written runs from what was there before: so a run that was killed
in between is caught up with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from .errors import StabilityError
from .quiet_run import quiet_run

_ACTIVE_SINCE = "ActiveEnterTimestampMonotonic"
_PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", _ACTIVE_SINCE)
_ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


class UnitError(StabilityError):
    """systemd did not do what it was asked; the message has what it said."""


@dataclass(frozen=True)
class Unit:
    """A unit as it should be. ``restart_for`` are paths: one that changes or is newer has a running unit restarted."""

    name: str
    enabled: bool = True
    started: bool = True
    restart_for: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """A unit as it is; ``since`` is when it became active, in seconds of the epoch, infinite where nobody knows."""

    loaded: bool = False
    active: bool = False
    enabled: bool = False
    outdated: bool = False
    since: float = math.inf

    def line(self, name: str) -> str:
        if not self.loaded:
            return f"{name} absent\n"
        return f"{name} {'started' if self.active else 'stopped'}, {'enabled' if self.enabled else 'disabled'}\n"


@dataclass(frozen=True)
class Step:
    """What has to be done to a unit; ``verb`` is start, stop, restart or nothing."""

    unit: Unit
    state: State
    enabling: str = ""
    verb: str = ""

    def diff(self) -> dict[str, str]:
        name = self.unit.name
        after = State(True, self.unit.started, self.unit.enabled).line(name)
        return {
            "before_header": name,
            "after_header": name,
            "before": self.state.line(name),
            "after": after.replace("started", "restarted") if self.verb == "restart" else after,
        }


def states(names: Sequence[str]) -> dict[str, State]:
    """Return the state of each unit. Raises UnitError."""
    if not names:
        return {}
    listing = _systemctl("show", f"--property={','.join(_PROPERTIES)}", "--", *names)
    return dict(zip(names, parse(listing, time.time() - time.monotonic()), strict=True))


def parse(listing: str, booted: float = 0.0) -> list[State]:
    """Return the states in the blocks of `systemctl show`, which come in the order asked for.

    ``booted`` is when the monotonic clock was zero, in seconds of the epoch.
    """
    found = []
    for block in listing.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        found.append(
            State(
                values.get("LoadState") not in ("not-found", None),
                values.get("ActiveState") in ("active", "activating", "reloading"),
                values.get("UnitFileState") in _ENABLED,
                values.get("NeedDaemonReload") == "yes",
                _since(values, booted),
            )
        )
    return found


def _since(values: Mapping[str, str], booted: float) -> float:
    microseconds = int(values.get(_ACTIVE_SINCE) or 0)
    return booted + microseconds / 1e6 if microseconds else math.inf


def written(units: Sequence[Unit]) -> dict[str, float]:
    """Return when the files that units are restarted for were written. A time to come is a clock's fault, and none."""
    now = time.time()
    paths = {path for unit in units for path in unit.restart_for if Path(path).exists()}
    times = {path: Path(path).stat().st_mtime for path in paths}
    return {path: at for path, at in times.items() if at <= now}


def steps(
    units: Sequence[Unit], now: Mapping[str, State], changed: Sequence[str], times: Mapping[str, float]
) -> list[Step]:
    """Return what has to be done, given the paths that change, and when those that do not were written."""
    newer = {unit.name: {path for path, at in times.items() if at > now[unit.name].since} for unit in units}
    found = [_step(unit, now[unit.name], {*changed, *newer[unit.name]}) for unit in units]
    return [step for step in found if step.enabling or step.verb]


def _step(unit: Unit, state: State, new: Set[str]) -> Step:
    enabling = verb = ""
    if unit.enabled != state.enabled and (unit.enabled or state.loaded):
        enabling = "enable" if unit.enabled else "disable"
    if not unit.started:
        verb = "stop" if state.active else ""
    elif not state.active:
        verb = "start"
    elif new & set(unit.restart_for):
        verb = "restart"
    return Step(unit, state, enabling, verb)


def reload_daemon() -> None:
    """Have systemd read its unit files again. Raises UnitError."""
    _systemctl("daemon-reload")


def do(step: Step) -> None:
    """Do one unit's step. Raises UnitError with the end of the unit's journal."""
    name = step.unit.name
    if step.enabling:
        _systemctl(step.enabling, "--", name)
    if step.verb:
        try:
            _systemctl(step.verb, "--", name)
        except UnitError as error:
            raise UnitError(f"{error}\n{_journal(name)}".strip()) from error


def _journal(name: str) -> str:
    argv = ["journalctl", "--no-pager", "--lines=10", "--output=cat", f"--unit={name}"]
    return quiet_run(argv).stdout.strip()


def _systemctl(*arguments: str) -> str:
    done = quiet_run(["systemctl", *arguments])
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise UnitError(f"systemctl {' '.join(word for word in arguments if word != '--')}: {said}")
    return done.stdout
