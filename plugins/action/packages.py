# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module packages: it knows what earlier tasks found and began, and waits for another apt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..plugin_utils._ansible import run_of
from ..plugin_utils.actions import Action

# Another apt on the host, one of Debian's timers for example, takes minutes. The module waits for dpkg's lock alone.
_LONGEST_WAIT = 600
_PAUSE = 5
# Seconds for what is installed in the background.
_LONGEST_JOB = 3600
# The packages that check mode has announced for the host so far.
_ANNOUNCED = "workbot_stability_announced_packages"
# What role service has registered: an answer for all roles of the play, of this very run.
_ASKED_BEFORE = "__service_asked_packages"


class ActionModule(Action):
    """See plugins/modules/packages.py."""

    def outcome(self) -> dict[str, Any]:
        names, look_for = self._names("name"), self._names("look_for")
        before = self.variables.get(_ASKED_BEFORE) or {}
        if (known := answer(names, before)) is not None:
            return known
        asked = names + look_for
        if not asked:
            return {**_change([]), "missing": [], "present": []}
        if job := before.get("job"):
            # what it could not do is tried again, and said, below
            self.result_of(job, _LONGEST_JOB)
        ahead = bool(self._task.args.get("background")) and not self._task.check_mode
        done = self._done({"name": [] if ahead else names, "look_for": asked if ahead else look_for})
        if done.get("failed"):
            return done
        due = [name for name in done["missing"] if name in names]
        there = [name for name in asked if name not in done["missing"]]
        if ahead and due:
            job = self.begin({"name": names}, _LONGEST_JOB)
            return {**_change(due), "missing": done["missing"], "present": there, "job": job}
        found = {"missing": done["missing"], "present": [name for name in asked if name in names or name in there]}
        if self._task.check_mode:
            facts = self.variables.get("ansible_facts") or {}
            return {**found, **announce(due, facts, run_of(self._task))}
        return {**found, **_change(due)}

    def _names(self, option: str) -> list[str]:
        given = self._task.args.get(option) or []
        return [given] if isinstance(given, str) else list(given)

    def _done(self, arguments: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + _LONGEST_WAIT
        done = self.module(arguments)
        while done.get("busy") and time.monotonic() < deadline:
            host = self.variables.get("inventory_hostname")
            self._display.display(f"{host}: another apt is at work there; waiting for it, {_LONGEST_WAIT} s at most")
            time.sleep(_PAUSE)
            done = self.module(arguments)
        return done


def answer(names: list[str], asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result for packages that an earlier task asked for, None where the host has to be asked."""
    if "present" not in asked or not set(names) <= set(asked["present"]):
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
