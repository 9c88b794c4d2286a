# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module active_release: it knows who deploys."""

from __future__ import annotations

import os
from typing import Any

from ..plugin_utils._fleet.deployer import deployer
from ..plugin_utils.actions import Action


class ActionModule(Action):
    """Options are documented in plugins/modules/active_release.py."""

    lost = "The connection to the host was lost. If it lives, it goes on by itself, and finishes or puts back"

    def outcome(self) -> dict[str, Any]:
        return self.module({**self._task.args, "deployer": self._task.args.get("deployer") or deployer(os.environ)})
