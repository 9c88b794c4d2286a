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


NO_BINDINGS = {"failed": True, "msg": "Could not import the python3-apt module using /usr/bin/python3.13"}
BUSY = {"failed": True, "msg": "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4681 (apt-get)"}
# after the minute that the module itself waits for dpkg's
BUSY_FOR_LONG = {
    "failed": True,
    "msg": "'/usr/bin/apt-get -y install npm' failed: E: Unable to acquire the dpkg frontend lock"
    " (/var/lib/dpkg/lock-frontend), is another process using it?",
}
HALF_DONE = {
    "failed": True,
    "msg": "'/usr/bin/apt-get -y install cron' failed: E: dpkg was interrupted, you must manually run"
    " 'dpkg --configure -a' to correct the problem.",
}


@pytest.mark.parametrize(
    ("answers", "asked", "failed"),
    [
        ([{"changed": True}], ["apt"], False),
        ([BUSY, BUSY, {"changed": True}], ["apt", "apt", "apt"], False),
        ([BUSY_FOR_LONG, {"changed": True}], ["apt", "apt"], False),
        ([BUSY, NO_BINDINGS, {"changed": True}], ["apt", "apt", "apt"], False),
        ([NO_BINDINGS, {"changed": True}], ["apt", "apt"], False),
        ([HALF_DONE, {"rc": 0}, {"changed": True}], ["apt", "command", "apt"], False),
        ([HALF_DONE, {"failed": True}, HALF_DONE], ["apt", "command", "apt"], True),
        ([NO_BINDINGS, NO_BINDINGS], ["apt", "apt"], True),
        ([{"failed": True, "msg": "No package matching 'nope' is available"}], ["apt"], True),
    ],
)
def test_apt_begins_anew_after_another_one_what_was_interrupted_and_the_bindings_that_it_has_installed(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], asked: list[str], failed: bool
) -> None:
    action, calls = ActionModule.__new__(ActionModule), iter(answers)
    seen: list[str] = []

    def execute(module_name: str, *_rest: Any, **_options: Any) -> dict[str, Any]:
        seen.append(module_name.removeprefix("ansible.builtin."))
        return next(calls)

    monkeypatch.setattr(action, "_execute_module", execute)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    action.variables, action._display = {}, Display()
    assert action._install(["cron"]).get("failed", False) is failed
    assert seen == asked
