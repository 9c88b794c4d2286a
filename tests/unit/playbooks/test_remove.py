# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who removes is told what who asks is told, and no host loses its database that the run leaves out."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from places import ROOT

PLAY: dict[str, Any] = yaml.safe_load((ROOT / "playbooks/remove.yml").read_text("utf-8"))[1]
TASKS = {task["name"]: task for task in PLAY["pre_tasks"]}


def value(expression: str, **given: Any) -> Any:
    own = {name: trust_as_template(text) for name, text in PLAY["vars"].items()}
    variables = {"inventory_hostname": "db1", **own, **given}
    return Templar(DataLoader(), variables=variables).template(trust_as_template(f"{{{{ {expression} }}}}"))


def test_who_removes_hears_what_who_asks_hears() -> None:
    given = [
        task["workbot.stability.service_removal"] for task in TASKS.values() if "service_removal" in str(task.keys())
    ]
    assert len(given) == 5
    assert {options["data"] for options in given} == {"{{ __remove_data }}"}
    assert "__remove_data | bool" in TASKS["Remove data only with explicit confirmation"]["when"]
    assert value("__remove_data") is False


def test_a_database_is_not_taken_from_hosts_that_the_run_leaves_out() -> None:
    clients = {"app1": "10.0.0.11", "app2": "10.0.0.12"}
    for hosts, left in ((["db1"], ["app1", "app2"]), (["app1", "db1"], ["app2"]), (["app1", "app2", "db1"], [])):
        found = value("__remove_clients", service_database_clients=clients, ansible_play_hosts_all=hosts)
        assert sorted(found) == left
    assert value("__remove_clients", service_database_clients={}, ansible_play_hosts_all=["app1"]) == []
