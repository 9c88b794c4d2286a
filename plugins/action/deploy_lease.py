# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module deploy_lease: it knows who deploys, and which runs of its own have died."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils._fleet.deployer import controller, deployer, lives


class ActionModule(ActionBase):
    """Options are documented in plugins/modules/deploy_lease.py."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {
            **self._task.args,
            "deployer": self._task.args.get("deployer") or deployer(os.environ),
            "controller": controller(),
            # tasks run in children of the run's own process
            "process": os.getppid(),
        }
        leased = self._lease(arguments, task_vars)
        other = leased.get("other") or {}
        if other.get("controller") == controller() and not lives(int(other["process"])):
            leased = self._lease({**arguments, "take_over": True}, task_vars)
        result.update(leased)
        return result

    def _lease(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        outcome: dict[str, Any] = self._execute_module(
            module_name="workbot.stability.deploy_lease", module_args=arguments, task_vars=task_vars
        )
        return outcome
