# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible.utils.display import Display
from ansible_collections.workbot.stability.plugins.action.packages import ActionModule, announce, answer
from ansible_collections.workbot.stability.plugins.plugin_utils._compare.questions import Unanswered


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
    assert answer(["nginx"], {}) is None
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


class Host:
    """What stands for it: the answers of its modules, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> None:
        self.action, self.asked, waiting = ActionModule.__new__(ActionModule), [], iter(answers)
        self.action._task, self.action._display, self.action.variables = Task(), Display(), {}

        def execute(name: str | None = None, arguments: Any = None, **options: Any) -> dict[str, Any]:
            self.asked.append((name, arguments, options.get("wrap_async", False)))
            return next(waiting)

        monkeypatch.setattr(self.action, "_execute_module", execute)
        monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def outcome(self, **arguments: Any) -> dict[str, Any]:
        self.action._task.args = {"name": ["nginx", "cron"], **arguments}
        return self.action.outcome()


LOOKED = {"changed": False, "missing": ["cron"]}
BEGUN = {"changed": True, "started": True, "results_file": "/root/.ansible_async/j1.2"}
GOES_ON, HAS_ENDED = {"finished": False}, {"finished": True, "changed": True, "missing": ["cron"]}


def test_what_goes_on_in_the_background_is_announced_as_in_check_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, LOOKED, BEGUN)
    begun = host.outcome(background=True, look_for=["acl"])
    assert (begun["changed"], begun["diff"]["after"], begun["job"]) == (True, "cron\n", BEGUN["results_file"])
    assert begun["present"] == ["nginx", "acl"]
    looked, installs = host.asked
    assert looked == (None, {"name": [], "look_for": ["nginx", "cron", "acl"]}, False)
    assert installs == (None, {"name": ["nginx", "cron"]}, True)
    assert host.action._task.async_val == 0


def test_nothing_begins_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Host(monkeypatch, {"changed": False, "missing": []}).outcome(background=True)
    assert (done["changed"], done["present"]) == (False, ["nginx", "cron"])


def test_whoever_needs_a_package_waits_for_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, GOES_ON, HAS_ENDED, {"erased": True}, {"changed": False, "missing": []})
    host.action.variables = {
        "__service_asked_packages": {"present": ["nginx"], "missing": ["cron"], "job": "/jobs/j1.2"}
    }
    done = host.outcome()
    assert (done["changed"], done["present"]) == (False, ["nginx", "cron"])
    assert [arguments.get("mode") for _name, arguments, _in_background in host.asked] == [
        "status",
        "status",
        "cleanup",
        None,
    ]
    assert host.asked[0][1] == {"jid": "j1.2", "_async_dir": "/jobs", "mode": "status"}


def test_what_has_failed_in_the_background_is_tried_by_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"finished": True, "failed": True, "msg": "apt-get can't install cron: E: no network"}
    host = Host(monkeypatch, failed, {"erased": True}, INSTALLED)
    host.action.variables = {
        "__service_asked_packages": {"present": ["nginx"], "missing": ["cron"], "job": "/jobs/j1.2"}
    }
    assert host.outcome()["changed"]


def test_what_can_t_begin_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, LOOKED, {"failed": True, "msg": "no room"})
    with pytest.raises(AnsibleActionFail, match="no room"):
        host.outcome(background=True)


def test_what_is_there_need_not_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    host.action.variables = {
        "__service_asked_packages": {"present": ["nginx", "cron"], "missing": ["acl"], "job": "/jobs/j1.2"}
    }
    assert not host.outcome()["changed"]
    assert host.asked == []


def test_a_comparison_that_has_asked_for_them_already_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is to come, and the task is put off until it is there."""
    looks: list[str] = []
    host = Host(monkeypatch, LOOKED)
    host.action.variables = {"__service_asked_packages": Unanswered(lambda: looks.append("looked"))}
    with pytest.raises(TypeError):
        host.outcome()
    assert (looks, host.asked) == (["looked"], [])
