# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module canary_analysis: a release that was not watched to the end has not proved itself."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Options are documented in plugins/modules/canary_analysis.py."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            watched = self._execute_module(
                module_name="workbot.stability.canary_analysis", module_args=self._task.args, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            # A failure and not "unreachable", which no playbook can answer: the canary has to be put back.
            watched = {"failed": True, "msg": f"The connection to the canary was lost while it was watched: {error}"}
        result.update(watched)
        return result
