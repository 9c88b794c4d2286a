# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the module `packages` look, and ansible.builtin.apt install what it misses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..plugin_utils.actions import Action

# Long enough that the roles of one run fetch the package lists once.
_LISTS_ARE_CURRENT_FOR = 3600
# Another apt on the host, one of Debian's timers for example, takes minutes. The module waits for dpkg's lock alone.
_LONGEST_WAIT = 600
_PAUSE = 5
_BUSY = ("Could not get lock", "Unable to lock", "Unable to acquire")
# A host lost its power, or dpkg was killed, while it set packages up: until that is finished, no apt does anything.
_HALF_DONE = "dpkg was interrupted"
_FINISH = ["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]
_APT = "ansible.builtin.apt"
# The packages that check mode has announced for the host so far.
_ANNOUNCED = "workbot_stability_announced_packages"
# What role service has registered: an answer for all roles of the play, of this very run.
_ASKED_BEFORE = "__service_asked_packages"


class ActionModule(Action):
    """See plugins/modules/packages.py."""

    def outcome(self) -> dict[str, Any]:
        names = self._names("name")
        if (known := answer(names, self.variables.get(_ASKED_BEFORE))) is not None:
            return known
        arguments = {"name": names + self._names("look_for")}
        if not arguments["name"]:
            return {**_change([]), "missing": [], "present": []}
        looked = self.module(arguments)
        if looked.get("failed"):
            return looked
        due = [name for name in looked["missing"] if name in names]
        found = {
            "missing": looked["missing"],
            "present": [name for name in arguments["name"] if name in names or name not in looked["missing"]],
        }
        if self._task.check_mode:
            facts = self.variables.get("ansible_facts") or {}
            return {**found, **announce(due, facts, self._task._uuid.rpartition("-")[0])}
        installed = self._install(due) if due else {}
        return {**installed, **found, **_change(due)}

    def _names(self, option: str) -> list[str]:
        given = self._task.args.get(option) or []
        return [given] if isinstance(given, str) else list(given)

    def _install(self, names: list[str]) -> dict[str, Any]:
        arguments = {
            "name": names,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": _LISTS_ARE_CURRENT_FOR,
        }
        deadline = time.monotonic() + _LONGEST_WAIT
        installed = self.module(arguments, _APT)
        while installed.get("failed") and is_busy(str(installed.get("msg"))) and time.monotonic() < deadline:
            host = self.variables.get("inventory_hostname")
            self._display.display(f"{host}: another apt is at work there; waiting for it, {_LONGEST_WAIT} s at most")
            time.sleep(_PAUSE)
            installed = self.module(arguments, _APT)
        if installed.get("failed") and _HALF_DONE in f"{installed.get('msg')}{installed.get('stderr')}":
            self.module({"argv": _FINISH}, "ansible.builtin.command")
            installed = self.module(arguments, _APT)
        # On a bare host it installs python3-apt for itself, and under mitogen can't begin anew with it at once.
        if installed.get("failed") and "python3-apt" in str(installed.get("msg")):
            installed = self.module(arguments, _APT)
        return installed


def is_busy(message: str) -> bool:
    """Return whether apt failed because another one was at work."""
    return any(text in message for text in _BUSY)


def answer(names: list[str], asked: Any) -> dict[str, Any] | None:
    """Return the result for packages that an earlier task asked for, None where the host has to be asked."""
    if not isinstance(asked, Mapping) or "present" not in asked or not set(names) <= set(asked["present"]):
        return None
    missing = [name for name in asked.get("missing") or () if name in names]
    return {**_change([]), "missing": missing, "present": list(asked["present"])}


def announce(due: list[str], facts: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return what a run would install here: what earlier tasks of this check announced would be there by then.

    A cache of facts may bring what an earlier check announced; `run` is what all tasks of this one have in common.
    """
    before = facts.get(_ANNOUNCED) or {}
    announced = before["names"] if before.get("run") == run else []
    names = [name for name in due if name not in announced]
    if not names:
        return _change(names)
    return {**_change(names), "ansible_facts": {_ANNOUNCED: {"run": run, "names": [*announced, *names]}}}


def _change(names: list[str]) -> dict[str, Any]:
    return {"changed": bool(names), "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)}}
