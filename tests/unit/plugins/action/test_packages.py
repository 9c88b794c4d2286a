# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.playbook.task import Task
from ansible.utils.display import Display
from ansible_collections.workbot.stability.plugins.action.packages import ActionModule, announce, answer


def test_check_mode_announces_a_package_once() -> None:
    first = announce(["acl", "cron"], {}, "run")
    assert first["changed"]
    assert first["diff"]["after"] == "acl\ncron\n"
    second = announce(["cron", "nginx"], first["ansible_facts"], "run")
    assert second["diff"]["after"] == "nginx\n"
    third = announce(["acl", "nginx"], second["ansible_facts"], "run")
    assert not third["changed"]


def test_what_an_earlier_check_announced_does_not_count() -> None:
    """Facts can be kept from one run to the next, in a cache of files for example."""
    cached = announce(["acl"], {}, "yesterday")["ansible_facts"]
    assert announce(["acl"], cached, "today")["changed"]


def test_the_tasks_of_a_run_have_that_in_common() -> None:
    first, second = Task(), Task()
    assert first._uuid != second._uuid
    assert first._uuid.rpartition("-")[0] == second._uuid.rpartition("-")[0]


ASKED = {"present": ["nginx", "cron"], "missing": ["cron", "apprise"]}


def test_what_an_earlier_task_found_answers() -> None:
    found = answer(["cron"], ASKED)
    assert found is not None
    assert (found["changed"], found["missing"], found["present"]) == (False, ["cron"], ["nginx", "cron"])


def test_what_nobody_asked_for_has_to_be_asked() -> None:
    assert answer(["apprise"], ASKED) is None
    assert answer(["nginx"], None) is None
    # a task that was skipped has registered no answer
    assert answer(["nginx"], {"skipped": True}) is None
    assert answer([], {"skipped": True}) is None


BUSY = {"failed": True, "busy": True, "msg": "Another apt is at work: E: Could not get lock /var/lib/apt/lists/lock."}
INSTALLED = {"changed": True, "missing": ["cron"]}


@pytest.mark.parametrize(
    ("answers", "failed"),
    [
        ([INSTALLED], False),
        ([BUSY, BUSY, INSTALLED], False),
        # the other one has installed it
        ([BUSY, {"changed": False, "missing": []}], False),
        ([{"failed": True, "msg": "apt-get can't install cron: E: Unable to locate package cron"}], True),
    ],
)
def test_it_waits_for_another_apt_and_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], failed: bool
) -> None:
    action, waiting = ActionModule.__new__(ActionModule), iter(answers)
    monkeypatch.setattr(action, "_execute_module", lambda *_given, **_options: next(waiting))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    action._task, action._display = Task(), Display()
    action._task.args = {"name": ["cron"]}
    action.variables = {}
    outcome = action.outcome()
    assert outcome.get("failed", False) is failed
    assert failed or outcome["changed"] is bool(answers[-1]["missing"])
    assert next(waiting, None) is None
