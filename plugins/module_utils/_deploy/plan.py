# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is wanted and what is there to what is to be done. Nothing here touches a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .._pm2.ecosystem import declaration, render
from .._pm2.plan import plan
from .model import Activation, ActivationError, Places, Wanted
from .state import State

Action = Literal["none", "restart", "activate"]
NEWER_PRELOAD = "a file that is loaded before the program is newer than the process"


@dataclass(frozen=True)
class Decision:
    """What is to be done. `activation` is what shall serve in the end: the active one unless action is activate."""

    action: Action
    activation: Activation
    reasons: tuple[str, ...]
    dead: tuple[int, ...]
    """PM2's numbers of the processes to restart."""
    leftovers: tuple[str, ...]
    """Activations that are neither active nor wanted: what an interrupted deployment left."""
    config: str
    """The ecosystem file in the end: the activation and the apps that are none of this service's."""
    current: str
    previous: str

    def changes(self, state: State) -> bool:
        """Whether anything of the host differs, the saved process list apart."""
        settled = (self.config, self.current, self.previous) == (state.config, state.current, state.previous)
        return self.action != "none" or bool(self.leftovers) or not settled


def wanted_release(asked: str, state: State) -> str:
    """The id that was asked for by name, as "previous" or as "" for the active one. Raises ActivationError."""
    if asked == "previous":
        if not state.previous:
            raise ActivationError("there is no previous release on this host: nothing else was active before")
        return state.previous
    if asked or state.active is None:
        return asked
    return state.active.release


def decide(wanted: Wanted, places: Places, state: State, environment: Mapping[str, str]) -> Decision:
    """Nothing, a restart of dead workers, or a new activation. `environment` is what PM2 itself hands to each app."""
    action, activation, reasons, dead = _choose(wanted, places, state, environment)
    app = declaration(wanted.app_of(activation, places), environment)
    replaced = state.current not in ("", activation.release)
    return Decision(
        action=action,
        activation=activation,
        reasons=reasons,
        dead=dead,
        leftovers=leftovers(places, state),
        config=render([*others(places, state), app]),
        current=activation.release,
        previous=state.current if replaced else state.previous,
    )


def _choose(
    wanted: Wanted, places: Places, state: State, environment: Mapping[str, str]
) -> tuple[Action, Activation, tuple[str, ...], tuple[int, ...]]:
    active = state.active
    if active is None or active.release != wanted.release:
        old = active.release if active else "none"
        return "activate", Activation(wanted.release), (f"release {old} -> {wanted.release}",), ()
    reasons, dead = _differences(active, wanted, places, state, environment)
    if reasons:
        return "activate", active.next(), reasons, ()
    if dead:
        return "restart", active, tuple(f"process {number} was given up by PM2" for number in dead), dead
    return "none", active, (), ()


def _differences(
    active: Activation, wanted: Wanted, places: Places, state: State, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """How what runs differs from what is wanted, and which of its processes are dead but right."""
    app = declaration(wanted.app_of(active, places), environment)
    processes = state.processes(app["name"])
    steps = plan([app], processes)
    reasons = [reason for step in steps if step.action != "restart" for reason in step.reasons]
    reasons += _environment_reasons(state)
    if any(process.started_at < state.preloaded_at and not process.dead for process in processes):
        reasons.append(NEWER_PRELOAD)
    reasons += state.pending
    dead = tuple(number for step in steps if step.action == "restart" for number in step.ids)
    return tuple(reasons), dead


def _environment_reasons(state: State) -> list[str]:
    """Names alone: the values may be secrets."""
    before = state.active_environment
    if before is None:
        return ["the activation has no environment file of its own"]
    after = state.environment
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return [f"environment file: {', '.join(names)} changed"] if names else []


def leftovers(places: Places, state: State) -> tuple[str, ...]:
    """Names of all activations but the active one, wherever there is a trace of them."""
    apps = {str(app["name"]) for app in state.declared} | {process.name for process in state.live}
    found = {activation.name for name in apps if (activation := places.activation_of(name))}
    # a program may have further sockets of its own beside the one that it was given
    found |= {name for name in state.sockets if name.partition("+")[0] in state.releases}
    found |= set(state.snapshots)
    return tuple(sorted(found - {state.active.name if state.active else ""}))


def others(places: Places, state: State) -> list[Mapping[str, object]]:
    """Apps of the ecosystem file that are none of this service's activations."""
    return [app for app in state.declared if places.activation_of(str(app["name"])) is None]
