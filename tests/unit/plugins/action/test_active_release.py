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


def test_what_is_begun_in_the_background_is_waited_for_as_if_it_had_been_waited_for_at_once() -> None:
    action = ActionModule.__new__(ActionModule)
    own = {"directory": "/srv/shop", "deployer": "me"}
    action._task, action.variables = SimpleNamespace(args={**own, "background": 60}, check_mode=False), {}
    calls: list[tuple[dict[str, Any], bool]] = []
    done = {"changed": True, "msg": "active", "action": "activate"}
    answers = iter([{"results_file": "/jobs/j1.2"}, {**done, "lease": {}, "started": True, "finished": True}, {}])

    def execute(_name: str | None, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
        calls.append((arguments, more.get("wrap_async", False)))
        return next(answers)

    action._execute_module = execute
    begun = action.outcome()
    assert begun == {"changed": False, "job": "/jobs/j1.2"}
    assert calls == [(own, True)]
    action._task.args["job"] = begun["job"]
    assert action.outcome() == done
    assert [arguments["mode"] for arguments, _in_background in calls[1:]] == ["status", "cleanup"]


def test_check_mode_predicts_what_would_go_on_in_the_background() -> None:
    action = ActionModule.__new__(ActionModule)
    arguments = {"directory": "/srv/shop", "background": 60}
    action._task, action.variables = SimpleNamespace(args=arguments, check_mode=True), {}
    action._execute_module = lambda *_given, **_more: {"changed": True, "msg": "would be"}
    assert action.outcome() == {"changed": True, "msg": "would be"}
