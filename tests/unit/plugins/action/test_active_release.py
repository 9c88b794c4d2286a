# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.action.active_release import ActionModule
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.deployer import controller

GONE = 2**22 + 1


@pytest.mark.parametrize(
    ("lease", "ended"),
    [
        ({"run": "one", "controller": controller(), "process": GONE}, True),
        ({"run": "one", "controller": controller(), "process": os.getpid()}, False),
        ({"run": "one", "controller": "another", "process": GONE}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize(("check_mode", "end"), [(True, "would be ended"), (False, "was ended")])
def test_the_lease_of_a_run_that_has_died_is_ended(
    lease: dict[str, Any], ended: bool, check_mode: bool, end: str
) -> None:
    action = ActionModule.__new__(ActionModule)
    action._task, action.variables = SimpleNamespace(args={"directory": "/srv/shop"}, check_mode=check_mode), {}
    calls: list[tuple[str | None, dict[str, Any]]] = []

    def execute(name: str | None, arguments: dict[str, Any], **_more: Any) -> dict[str, Any]:
        calls.append((name, arguments))
        return {"changed": False, "msg": "done", "lease": lease}

    action._execute_module = execute
    said = f"done; the lease of a run that has died {end}" if ended else "done"
    assert action.outcome() == {"changed": ended, "msg": said}
    call = ("workbot.stability.deploy_lease", {"directory": "/srv/shop", "run": "one", "state": "absent"})
    assert calls[1:] == ([call] if ended else [])
