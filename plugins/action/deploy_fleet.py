# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges on the controller what a deployment over many hosts has found on each of them."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.rollout import (
    HostState,
    batches,
    is_mixed,
    left_out,
    lost_hosts,
    participants,
    require_turn,
    rollback_target,
    standing,
    state_of,
)
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action

from ..module_utils._host.errors import StabilityError

_OPTIONS = {
    "step": {"type": "str", "required": True, "choices": ["begin", "turn", "end", "report"]},
    "registered": {"type": "str", "required": True},
    "registered_before": {"type": "str", "default": ""},
    "serial": {"type": "raw", "default": 1},
    "first_alone": {"type": "bool", "default": False},
    "unreachable": {"type": "str", "default": "fail"},
    "rollback": {"type": "bool", "default": False},
    "release": {"type": "str", "default": ""},
}


class ActionModule(Action):
    """The action ``deploy_fleet``."""

    _requires_connection = False

    def outcome(self) -> dict[str, t.Any]:
        """Return what follows from the hosts' states, or fail with the reason."""
        _spec, options = self.validate_argument_spec(_OPTIONS)
        step: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = getattr(self, f"_{options['step']}")
        try:
            return {"changed": False, **step(options)}
        except StabilityError as error:
            return {"changed": False, "failed": True, "msg": str(error)}

    def _begin(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        turns = batches(options["serial"], options["first_alone"])
        states = self._states(options["registered"])
        taking_part = participants(states, options["unreachable"])
        return {
            "hosts": [host.name for host in taking_part],
            "serial": turns,
            "first_alone": options["first_alone"],
            "mixed": is_mixed(taking_part),
            "release": rollback_target(taking_part, options["release"]) if options["rollback"] else "",
        }

    def _turn(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        """A host that can't be reached any more when its turn comes, or one that was lost in the middle of its own."""
        name = self.variables["inventory_hostname"]
        names = self.variables["ansible_play_hosts_all"]
        *earlier, state = (
            state_of(one, self._registered(one, options["registered"])) for one in names[: names.index(name) + 1]
        )
        first = all(host.unreachable for host in earlier)
        require_turn(
            state,
            may_be_left_out=options["unreachable"] == "skip" and not (first and options["first_alone"]),
            # Ansible goes on without a host that it has lost, where others have their turn with it.
            lost=lost_hosts(earlier, self.variables["ansible_play_hosts"]),
        )
        if state.problem:
            self._display.warning(f"{name} is left out: {state.problem}")
        if state.problem and name == names[-1]:
            self._end(options)
        return {"left_out": bool(state.problem), "first": first}

    def _end(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        """The last host of all says which were left out, before the run or when their turn came."""
        states = self._states(options["registered_before"]) + self._states(options["registered"])
        if text := left_out([host for host in states if host.unreachable]):
            self._display.warning(text, formatted=True)
        return {}

    def _report(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        """All hosts are asked from the one that failed, in one loop, so its results are in their order."""
        names = [host.name for host in self._states(options["registered_before"])]
        found = self._registered(self.variables["inventory_hostname"], options["registered"]) or {}
        after = [state_of(name, one) for name, one in zip(names, found.get("results", []), strict=False)]
        inventory = [str(source) for source in self.variables.get("ansible_inventory_sources", [])]
        stopped = self.variables["inventory_hostname"]
        raise StabilityError(standing(stopped, self._states(options["registered_before"]), after, inventory))

    def _states(self, registered: str) -> list[HostState]:
        """Of the hosts of the play, and of those that an earlier play has left out."""
        names = [*self.variables["ansible_play_hosts_all"], *self.variables["groups"].get("deploy_left_out", [])]
        return [state_of(name, self._registered(name, registered)) for name in names]

    def _registered(self, name: str, variable: str) -> dict[str, t.Any] | None:
        found: dict[str, t.Any] | None = self.variables["hostvars"][name].get(variable)
        return found
