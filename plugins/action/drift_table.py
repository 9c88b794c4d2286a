# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..plugin_utils._compare.table import DIFFERS, SAME, drift_of, table, verdict_of
from ..plugin_utils._hosts import FAILED, UNREACHABLE
from ..plugin_utils.actions import Action

_COLOURS = {SAME: "green", DIFFERS: "yellow", UNREACHABLE: "bright red", FAILED: "red", "": "white"}


class ActionModule(Action):
    """Options are documented in plugins/modules/drift_table.py."""

    _requires_connection = False

    def outcome(self) -> dict[str, Any]:
        options = {
            "registered": {"type": "str", "required": True},
            "file": {"type": "str", "default": ""},
        }
        _spec, arguments = self.validate_argument_spec(options)
        hostvars = self.variables["hostvars"]
        hosts = self.variables["ansible_play_hosts_all"]
        drifts = [drift_of(name, hostvars[name].get(arguments["registered"])) for name in hosts]
        self.show(table(drifts), _COLOURS)
        if arguments["file"]:
            found = {drift.name: drift.as_dict() for drift in drifts}
            Path(arguments["file"]).write_text(json.dumps({"hosts": found}, indent=2) + "\n", encoding="utf-8")
        wrong = verdict_of(drifts)
        return {"changed": False, "failed": bool(wrong), "msg": wrong or "all are as declared"}
