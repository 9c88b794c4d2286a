# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is desired and what is there to what is to be done. Nothing here touches a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .._pm2.ecosystem import render
from .._pm2.plan import plan
from .._pm2.process import Pm2Process
from .actual import Actual, replaced_by
from .context import Context
from .model import Activation, ActivationError, Desired

Action = Literal["none", "restart", "activate"]
NEWER_PRELOAD = "a file that is read at a start is newer than the process"


@dataclass(frozen=True)
class Decision:
    """What is to be done. `activation` is what shall serve in the end: the active one unless action is activate."""

    action: Action
    activation: Activation
    reasons: tuple[str, ...]
    dead: tuple[int, ...]
    """PM2's numbers of the processes to restart."""
    leftovers: tuple[str, ...]
    """Activations that are neither active nor desired: what an interrupted deployment left."""
    sockets: tuple[Path, ...]
    """Those of its workers."""
    config: str
    """Its ecosystem file."""
    previous: str
    options: str = ""
    """What is kept of the module's."""
    strangers: tuple[Pm2Process, ...] = ()
    """Processes of the active one's PM2 that nobody has declared."""

    @property
    def release(self) -> str:
        """The id of the release that shall serve."""
        return self.activation.release

    def changes(self, actual: Actual) -> bool:
        """Whether anything of the host differs."""
        return self.action != "none" or bool(self.unsettled(actual))

    def unsettled(self, actual: Actual) -> list[str]:
        """What around the activation is not as it shall be."""
        differs = {
            "the ecosystem file": self.config != actual.config,
            "the options kept for the next activation": self.options != actual.options,
            "the links to the sockets": self.sockets != actual.sockets[: len(self.sockets)],
            "the link `current`": self.release != actual.current,
            "the link `previous`": self.previous != actual.previous,
        }
        return [
            *(f"what is left of {name}" for name in self.leftovers),
            *(f"{described(process)}, which nobody has declared" for process in self.strangers),
            *(what for what in differs if differs[what]),
        ]


def desired_release(desired: Desired, actual: Actual) -> str:
    """The id of the release; "" where none was asked for and none is active. Raises ActivationError."""
    active = actual.active.release if actual.active else ""
    if desired.release == "previous":
        if not (previous := replaced_by(active, actual.current, actual.previous)):
            raise ActivationError("there is no previous release on this host: nothing else was active before")
        return previous
    return desired.release or active


def decide(context: Context, release: str, actual: Actual) -> Decision:
    """Nothing, a restart of dead workers, or a new activation. Raises ActivationError."""
    action, activation, reasons, dead = _choose(context, release, actual)
    # a link to what is gone would have the next rollback fail
    current, previous = (name if name in actual.releases else "" for name in (actual.current, actual.previous))
    sockets = (context.places.socket(activation, number) for number in range(context.desired.instances))
    return Decision(
        action=action,
        activation=activation,
        reasons=reasons,
        dead=dead,
        leftovers=leftovers(actual),
        sockets=tuple(sockets),
        config=render([context.app_of(activation)]),
        options=context.kept,
        previous=replaced_by(release, current, previous),
        strangers=_strangers(context, actual),
    )


def _strangers(context: Context, actual: Actual) -> tuple[Pm2Process, ...]:
    own = context.app_of(actual.active)["name"] if actual.active else ""
    return tuple(process for process in actual.live if process.name != own)


def described(process: Pm2Process) -> str:
    """A process of PM2's, for people; the name is whoever's who started it."""
    return f"process {process.pm_id} of PM2 ({process.name!r})"


def _choose(
    context: Context, release: str, actual: Actual
) -> tuple[Action, Activation, tuple[str, ...], tuple[int, ...]]:
    active = actual.active
    if active is None or active.release != release:
        old = active.release if active else "none"
        return "activate", Activation(release), (f"release {old} -> {release}",), ()
    if actual.broken and not actual.is_coming:
        return "activate", active.next(), actual.broken, ()
    app = context.app_of(active)
    processes = [process for process in actual.live if process.name == app["name"]]
    steps = [] if actual.is_coming else plan([app], processes)
    reasons = [reason for step in steps if step.action != "restart" for reason in step.reasons]
    reasons += _environment_reasons(actual)
    if any(process.started_at < actual.preloaded_at and not process.dead for process in processes):
        reasons.append(NEWER_PRELOAD)
    reasons += actual.pending
    if reasons:
        return "activate", active.next(), tuple(reasons), ()
    if dead := tuple(number for step in steps if step.action == "restart" for number in step.ids):
        return "restart", active, tuple(f"process {number} was given up by PM2" for number in dead), dead
    return "none", active, (), ()


def _environment_reasons(actual: Actual) -> list[str]:
    """Names alone: the values may be secrets."""
    before, after = actual.active_environment, actual.environment
    if before is None:
        return ["the activation has no environment file of its own"]
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return [f"environment file: {', '.join(names)} changed"] if names else []


def leftovers(actual: Actual) -> tuple[str, ...]:
    """Names of all activations but the active one, wherever there is a trace of them."""
    return tuple(name for name in actual.activations if actual.active is None or name != actual.active.name)
