# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: read all of them by one question, and change only what is not as it should be.

A unit that began to run before one of its files was written runs from what was there before: so a run that was killed
in between is caught up with.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from .command import PLAIN, quiet_run
from .errors import StabilityError

_ACTIVE_SINCE = "ActiveEnterTimestampMonotonic"
# Also when it was reloaded.
_SAME_SINCE = "StateChangeTimestampMonotonic"
_OF_STATE = ("Id", "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", _ACTIVE_SINCE, _SAME_SINCE)
# In microseconds since boot: when the unit last left `active`, entered it, began to start; the end of its process.
_TIMES = tuple(f"{name}TimestampMonotonic" for name in ("ActiveExit", "ActiveEnter", "InactiveExit", "ExecMainExit"))
_OF_PROCESS = ("Id", "LoadState", "ActiveState", "SubState", "MainPID", "NRestarts", "Result", "Job", *_TIMES)
# Of a process that still runs systemd makes an end by itself for these; nobody has asked for it.
_ENDED_BY_SYSTEMD = frozenset({"watchdog", "oom-kill"})
# On a busy host systemd needs seconds for an answer. What is being changed there waits for it; who only looks, and will
# look again, asks for LOOK_SECONDS.
_ANSWER_SECONDS = 60.0
LOOK_SECONDS = 5.0
_POLL_SECONDS = 0.2
# What a unit has logged may be hundreds of MB a message (journald's native protocol): what is read of it is bounded,
# and so are the time for it and the memory in which journalctl unpacks a message.
_JOURNAL_SECONDS = 10.0
_JOURNAL_LINE = 1000
_JOURNAL = """timeout --signal=KILL "$2" prlimit --data=134217728 \\
journalctl --no-pager --lines=10 --output=cat --unit="$1" | head -c 65536"""
_ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


class UnitError(StabilityError):
    """systemd did not do what it was asked; the message has what it said."""


@dataclass(frozen=True)
class Unit:
    """A unit as it should be. ``restart_for`` are paths: one that changes or is newer has a running unit restarted.

    Those in ``reload_for`` have it reloaded.
    """

    name: str
    enabled: bool = True
    started: bool = True
    restart_for: Sequence[str] = ()
    reload_for: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """A unit as it is; ``since`` is when it became active, ``read`` when it last read its files, also by a reload.

    Both in seconds of the epoch, infinite where nobody knows.
    """

    loaded: bool = False
    active: bool = False
    enabled: bool = False
    outdated: bool = False
    since: float = math.inf
    read: float = math.inf
    starting: bool = False
    """It is active in so far as systemd tries to start it, perhaps again and again."""

    def line(self, name: str) -> str:
        if not self.loaded:
            return f"{name} absent\n"
        return f"{name} {'started' if self.active else 'stopped'}, {'enabled' if self.enabled else 'disabled'}\n"


@dataclass(frozen=True)
class Step:
    """What has to be done to a unit; ``verb`` is start, stop, restart, reload or nothing."""

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
            "after": after.replace("started", f"{self.verb}ed") if self.verb.startswith("re") else after,
        }


def states(names: Sequence[str]) -> dict[str, State]:
    """Return the state of each unit. Raises UnitError."""
    if not names:
        return {}
    listing = _systemctl("show", f"--property={','.join(_OF_STATE)}", "--", *names)
    return dict(zip(names, parse(listing, time.time() - time.monotonic()), strict=True))


def parse(listing: str, booted: float = 0.0) -> list[State]:
    """Return the states in the blocks of `systemctl show`, which come in the order asked for.

    ``booted`` is when the monotonic clock was zero, in seconds of the epoch.
    """
    return [
        State(
            values.get("LoadState") not in ("not-found", None),
            values.get("ActiveState") in ("active", "activating", "reloading"),
            values.get("UnitFileState") in _ENABLED,
            values.get("NeedDaemonReload") == "yes",
            _since(values, booted, _ACTIVE_SINCE),
            _since(values, booted, _SAME_SINCE),
            values.get("ActiveState") == "activating",
        )
        for values in _blocks(listing)
    ]


def _blocks(listing: str) -> list[dict[str, str]]:
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in listing.strip().split("\n\n")
    ]


def _since(values: Mapping[str, str], booted: float, name: str) -> float:
    microseconds = int(values.get(name) or 0)
    return booted + microseconds / 1e6 if microseconds else math.inf


def unit_states(units: Iterable[str], seconds: float = _ANSWER_SECONDS) -> dict[str, dict[str, str]]:
    """What systemd says within ``seconds`` of each unit, by its full name; a pattern (postgresql@*) gives the loaded
    units it matches.

    Raises UnitError.
    """
    names = list(units)
    if any(name.startswith("-") for name in names):
        raise UnitError(f"{names} holds a name that is no unit's")
    return parse_units(_ask("show", f"--property={','.join(_OF_PROCESS)}", "--", *names, seconds=seconds))


def parse_units(listing: str) -> dict[str, dict[str, str]]:
    """The blocks that `systemctl show` prints, by unit."""
    return {block["Id"]: block for block in _blocks(listing) if "Id" in block}


def failed_units() -> list[str]:
    """The units that systemd counts as failed. Raises UnitError."""
    # a description may have line breaks
    listed = _ask("list-units", "--state=failed", "--output=json", "--no-pager", seconds=LOOK_SECONDS)
    return [str(unit["unit"]) for unit in json.loads(listed)]


def instances_of(template: str) -> str:
    """The pattern of the units that a template has; any other name stays as it is."""
    return template.replace("@.", "@*.")


def is_running(state: Mapping[str, str]) -> bool:
    """Whether the unit of which systemd says this runs, or is about to, or not yet ended."""
    return state.get("ActiveState") not in ("inactive", "failed")


def runs(name: str) -> bool:
    """Whether systemd says so of the unit of this full name. Raises UnitError."""
    return is_running(unit_states([name]).get(name, {}))


def was_stopped(state: Mapping[str, str]) -> bool:
    """Whether somebody has stopped the unit of which systemd says this, or is stopping it.

    One that was never started, or that ended by itself and was content, looks the same. A stop may well fail: by an
    exit code (`npm start` ends with 143), a signal or a time limit. What tells it from a crash is the order: systemd
    leaves `active` before the main process of a unit that it stops ends, and after that of one that crashed.
    """
    if state.get("LoadState") not in ("loaded", "masked"):
        return False
    active = state.get("ActiveState")
    if active == "deactivating":
        # a stop, or a restart, is a job; what a crash leaves is cleared away without one
        return int(state.get("Job") or 0) > 0
    return active == "inactive" or (active == "failed" and _stop_failed(state))


def _stop_failed(state: Mapping[str, str]) -> bool:
    """Whether a unit that failed did so while it was being stopped."""
    if state.get("Result") in _ENDED_BY_SYSTEMD:
        return False
    left, entered, began, ended = (int(state.get(name) or 0) for name in _TIMES)
    # otherwise it is the last start that failed, after a stop
    was_active = began <= entered <= left
    return was_active and ended > left > 0


def written(units: Sequence[Unit]) -> dict[str, float]:
    """Return when the files that units read were written. A time to come is a clock's fault, and none."""
    now = time.time()
    paths = {path for unit in units for path in (*unit.restart_for, *unit.reload_for) if Path(path).exists()}
    times = {path: Path(path).stat().st_mtime for path in paths}
    return {path: at for path, at in times.items() if at <= now}


def steps(
    units: Sequence[Unit], now: Mapping[str, State], changed: Sequence[str], times: Mapping[str, float]
) -> list[Step]:
    """Return what has to be done, given the paths that change, and when those that do not were written."""
    found = [_step(unit, now[unit.name], {*changed}, times) for unit in units]
    return [step for step in found if step.enabling or step.verb]


def _step(unit: Unit, state: State, changed: Set[str], times: Mapping[str, float]) -> Step:
    enabling = verb = ""
    if unit.enabled != state.enabled and (unit.enabled or state.loaded):
        enabling = "enable" if unit.enabled else "disable"
    if not unit.started:
        verb = "stop" if state.active else ""
    elif not state.active:
        verb = "start"
    elif any(path in changed or times.get(path, 0) > state.since for path in unit.restart_for):
        verb = "restart"
    elif any(path in changed or times.get(path, 0) > state.read for path in unit.reload_for):
        verb = "restart" if state.starting else "reload"
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
        run_unit(step.verb, name)


def run_unit(verb: str, name: str, seconds: float | None = None) -> None:
    """Start, stop, reload or restart a unit.

    Raises UnitError with the end of its journal, and TimeoutExpired: then systemd goes on with it all the same.
    """
    try:
        _systemctl(verb, "--", name, seconds=seconds)
    except UnitError as error:
        raise UnitError(f"{error}\n{_journal(name)}".strip()) from error


def start_unit(name: str, seconds: float, meanwhile: Callable[[], object]) -> None:
    """Start a unit, and call `meanwhile` again and again until systemd has, or the time is over: it goes on then.

    Raises UnitError with the end of its journal, and whatever `meanwhile` raises.
    """
    try:
        _systemctl("start", "--no-block", "--", name)
        _await_start(name, time.monotonic() + seconds, meanwhile)
    except UnitError as error:
        raise UnitError(f"{error}\n{_journal(name)}".strip()) from error


def _await_start(name: str, deadline: float, meanwhile: Callable[[], object]) -> None:
    while int((state := unit_states([name]).get(name, {})).get("Job") or 0) and time.monotonic() < deadline:
        meanwhile()
        time.sleep(_POLL_SECONDS)
    if state.get("ActiveState") == "failed" or state.get("SubState") == "auto-restart":
        raise UnitError(f"{name} does not start")


def stop_unit(name: str) -> None:
    """Stop a unit, and forget that it failed, as it may by that very stop. Raises UnitError."""
    if runs(name):
        _systemctl("stop", "--", name)
    if unit_states([name]).get(name, {}).get("ActiveState") == "failed":
        _systemctl("reset-failed", "--", name)


def _journal(name: str) -> str:
    argv = ["sh", "-c", _JOURNAL, "sh", name, str(_JOURNAL_SECONDS)]
    lines = quiet_run(argv, environment=PLAIN).stdout.strip().splitlines()
    return "\n".join(line[:_JOURNAL_LINE] for line in lines)


def _ask(*arguments: str, seconds: float) -> str:
    """What systemd answers within its time, as on a host in trouble it may not."""
    try:
        return _systemctl(*arguments, seconds=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnitError(f"systemctl can't be asked: {error}") from error


def _systemctl(*arguments: str, seconds: float | None = None) -> str:
    done = quiet_run(["systemctl", *arguments], seconds, PLAIN)
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise UnitError(f"systemctl {' '.join(word for word in arguments if not word.startswith('--'))}: {said}")
    return done.stdout
