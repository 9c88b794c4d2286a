# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module deploy_lease: it knows who deploys, and which runs of its own have died."""

from __future__ import annotations

import os
from typing import Any

from ..plugin_utils._fleet.deployer import controller, deployer, has_died
from ..plugin_utils.actions import Action


class ActionModule(Action):
    """Options are documented in plugins/modules/deploy_lease.py."""

    def outcome(self) -> dict[str, Any]:
        arguments = {
            **self._task.args,
            "deployer": self._task.args.get("deployer") or deployer(os.environ),
            "controller": controller(),
            # tasks run in children of the run's own process
            "process": os.getppid(),
        }
        leased = self.module(arguments)
        if has_died(leased.get("other") or {}):
            return self.module({**arguments, "take_over": True})
        return leased
