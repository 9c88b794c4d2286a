# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets the module `packages` look, and ansible.builtin.apt install what it misses."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

# Long enough that the roles of one run fetch the package lists once.
_LISTS_ARE_CURRENT_FOR = 3600
# The packages that check mode has announced for the host so far.
_ANNOUNCED = "workbot_stability_announced_packages"


def announce(missing: list[str], facts: dict[str, Any], run: str) -> dict[str, Any]:
    """What a run would install here: what earlier tasks of this check announced would be there by then.

    A cache of facts may bring what an earlier check announced; `run` is what all tasks of this one have in common.
    """
    before = facts.get(_ANNOUNCED, {})
    announced = before["names"] if before.get("run") == run else []
    names = [name for name in missing if name not in announced]
    return {
        "changed": bool(names),
        "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)},
        "ansible_facts": {_ANNOUNCED: {"run": run, "names": [*announced, *names]}},
    }


class ActionModule(ActionBase):
    """See plugins/modules/packages.py."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        looked = self._execute_module(module_name="workbot.stability.packages", task_vars=task_vars)
        result.update(looked)
        if not result.get("missing") or result.get("failed"):
            return result
        if self._task.check_mode:
            facts = (task_vars or {}).get("ansible_facts", {})
            result.update(announce(looked["missing"], facts, self._task._uuid.rpartition("-")[0]))
        else:
            result.update(self._install(looked["missing"], task_vars), missing=looked["missing"], diff=looked["diff"])
        return result

    def _install(self, names: list[str], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = {
            "name": names,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": _LISTS_ARE_CURRENT_FOR,
        }
        installed: dict[str, Any] = self._execute_module(
            module_name="ansible.builtin.apt", module_args=arguments, task_vars=task_vars
        )
        return installed
