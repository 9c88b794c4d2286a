# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module active_release: it knows who deploys, and which runs of its own have died."""

from __future__ import annotations

import os
from typing import Any

from ..plugin_utils._fleet.deployer import deployer, has_died
from ..plugin_utils.actions import Action

_OWN_OPTIONS = ("background", "job")


class ActionModule(Action):
    """Options are documented in plugins/modules/active_release.py."""

    lost = "The connection to the host was lost. If it lives, it goes on by itself, and finishes or puts back"

    def outcome(self) -> dict[str, Any]:
        arguments = self._task.args
        seconds, job = int(arguments.get("background") or 0), arguments.get("job") or ""
        if job:
            done = self.result_of(job, seconds)
        else:
            given = {name: value for name, value in arguments.items() if name not in _OWN_OPTIONS}
            given["deployer"] = arguments.get("deployer") or deployer(os.environ)
            if seconds and not self._task.check_mode:
                return {"changed": False, "job": self.begin(given, seconds)}
            done = self.module(given)
        lease = done.pop("lease", None) or {}
        if has_died(lease):
            # what that run has left on the host is in order now
            ended = {"directory": arguments["directory"], "run": lease["run"], "state": "absent"}
            self.module(ended, "workbot.stability.deploy_lease")
            end = "would be ended" if self._task.check_mode else "was ended"
            done |= {"changed": True, "msg": f"{done['msg']}; the lease of a run that has died {end}"}
        return done
