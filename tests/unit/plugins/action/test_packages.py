# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.playbook.task import Task
from ansible_collections.workbot.stability.plugins.action.packages import announce


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
