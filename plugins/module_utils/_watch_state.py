# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog knows from one start to the next: its state file. A damaged one is put aside, never trusted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._state_file import save_json
from ._watch_machine import Open, Phase, State, TargetState
from ._watch_model import TARGETS, Problem

_MAX_FILE = 1024 * 1024


class CorruptStateError(Exception):
    """The file is no state; the message says where it was put."""


def save(path: Path, state: State, boot: str) -> None:
    """Raises OSError; then what was there still is."""
    targets = {
        name: {**dataclasses.asdict(target), "phase": target.phase.value} for name, target in state.targets.items()
    }
    problems = {key: dataclasses.asdict(item) for key, item in state.problems.items()}
    content = {"boot": boot, "targets": targets, "actions": state.actions, "problems": problems}
    save_json(path, {**content, "actions_total": state.actions_total})


def load(path: Path, boot: str, moment: float) -> State:
    """The state of the last start; where there is none, one that begins at this moment.

    Of an earlier boot only the open problems count, so that their end is told, and how many steps there ever were: all
    processes are others. Raises CorruptStateError after moving a damaged file aside, OSError when it can't be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(_MAX_FILE))
        state = _state(content)
        same_boot = content["boot"] == boot
    except FileNotFoundError:
        return State(targets=targets_since(moment))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptStateError(f"{path} is damaged ({type(error).__name__}){_put_aside(path)}") from error
    if same_boot and all(begun <= moment for begun in state.actions):
        return state
    problems = {key: Open(item.problem, min(item.since, moment)) for key, item in state.problems.items()}
    return State(targets=targets_since(moment), problems=problems, actions_total=state.actions_total)


def targets_since(moment: float) -> dict[str, TargetState]:
    """Nothing is known of the targets from before the watchdog looked."""
    return {target: TargetState(since=moment) for target in TARGETS}


def actions_of_log(lines: list[str], boot: str, moment: float, window: float) -> tuple[float, ...]:
    """When steps were begun, from recovery.log: what a lost state file must not make forget is the budget."""
    found: list[float] = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            entry = json.loads(line)
            begun = float(entry["boottime"])
            if entry["boot"] != boot or not 0 <= moment - begun < window:
                continue
            if entry["kind"] == "resume":
                found.clear()
            elif entry["kind"] == "action":
                found.append(begun)
    return tuple(found)


def _put_aside(path: Path) -> str:
    aside = path.with_name(f"{path.name}.corrupt")
    try:
        path.replace(aside)
    except OSError as error:
        return f" and can't be put aside: {error.strerror}"
    return f" and was put aside as {aside}"


def _state(content: Mapping[str, Any]) -> State:
    return State(
        {name: _target(content["targets"][name]) for name in TARGETS},
        tuple(float(begun) for begun in content["actions"]),
        int(content.get("actions_total", 0)),
        {str(key): _open(item) for key, item in content["problems"].items()},
    )


def _target(content: Mapping[str, Any]) -> TargetState:
    """Raises KeyError where a field is missing: it was written by another version, or by nobody."""
    return TargetState(
        phase=Phase(content["phase"]),
        since=float(content["since"]),
        failures=int(content["failures"]),
        code=str(content["code"]),
        severity=str(content["severity"]),
        workers=tuple(int(number) for number in content["workers"]),
        ill_since=float(content["ill_since"]),
        rung=int(content["rung"]),
        steps=int(content["steps"]),
        attempts=int(content["attempts"]),
        acted_at=float(content["acted_at"]),
        grace_until=float(content["grace_until"]),
        held=bool(content["held"]),
        hold=str(content["hold"]),
        hold_since=float(content["hold_since"]),
    )


def _open(content: Mapping[str, Any]) -> Open:
    problem = content["problem"]
    return Open(
        Problem(
            str(problem["key"]),
            str(problem["code"]),
            str(problem["severity"]),
            str(problem["message"]),
            dict(problem["values"]),
        ),
        float(content["since"]),
    )
