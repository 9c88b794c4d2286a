# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module active_release: it knows who deploys."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..plugin_utils._fleet.deployer import deployer

_LOST = "The connection to the host was lost. If it lives, it goes on by itself, and finishes or puts back"


class ActionModule(ActionBase):
    """Options are documented in plugins/modules/active_release.py."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {**self._task.args, "deployer": self._task.args.get("deployer") or deployer(os.environ)}
        try:
            done = self._execute_module(
                module_name="workbot.stability.active_release", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            # A failure and not "unreachable", which no playbook can answer: it has to say where the fleet stands.
            done = {"failed": True, "msg": f"{_LOST}: {error}"}
        result.update(done)
        return result
