# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the diagnoses of all hosts of the play as one table, on the controller."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, UNKNOWN, WARNING
from ansible_collections.workbot.stability.plugins.plugin_utils._diagnosis_table import (
    result_of,
    table,
    verdict_of,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._hosts import FAILED, UNREACHABLE
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action

_COLOURS = {
    OK: "green",
    WARNING: "yellow",
    UNKNOWN: "purple",
    CRITICAL: "red",
    UNREACHABLE: "bright red",
    FAILED: "red",
    "": "white",
}


class ActionModule(Action):
    """The action ``diagnosis_table``."""

    _requires_connection = False

    def outcome(self) -> dict[str, t.Any]:
        """Print the table, or fail when a host is bad."""
        options = {
            "registered": {"type": "list", "elements": "str", "required": True},
            "require": {"type": "bool", "default": False},
        }
        _spec, arguments = self.validate_argument_spec(options)
        hostvars = self.variables["hostvars"]
        found = [
            result_of(name, *(hostvars[name].get(registered) for registered in arguments["registered"]))
            for name in self.variables["ansible_play_hosts_all"]
        ]
        wrong = verdict_of(found)
        if not arguments["require"]:
            self.show(table(found), _COLOURS)
        return {
            "changed": False,
            "failed": bool(wrong) and arguments["require"],
            "msg": wrong or "all are well",
        }
