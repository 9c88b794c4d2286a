# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns of hosts in deploy.yml, by its own tasks; a ping stands for what is done in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from playbooks import run_playbook

LOST = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
PLAY = {
    "hosts": "app",
    "gather_facts": False,
    "max_fail_percentage": 0,
    "vars": {
        "__deploy_run": "run",
        "__deploy_seconds": 60,
        "deploy_unreachable": "skip",
        "__deploy_lease": {"active": "a", "previous": "", "releases": []},
    },
    "tasks": [
        {
            "block": [
                {"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/deploy_turn.yml")},
                {"ansible.builtin.set_fact": LOST, "when": "dies | default(false)"},
                {"ansible.builtin.ping": None, "when": "not by_a_role | default(false)"},
                {"workbot.stability.host_files": {}, "when": "by_a_role | default(false)"},
                {
                    "ansible.builtin.debug": {
                        "msg": "{{ inventory_hostname }} is deployed to, first: {{ __deploy_decided.first }}"
                    }
                },
            ],
            "rescue": [{"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/deploy_stopped.yml")}],
        },
    ],
}


def run(directory: Path, serial: list[int], hosts: dict[str, dict[str, Any]], **variables: Any) -> tuple[int, str]:
    for name in hosts:
        (directory / name / "releases").mkdir(parents=True)
    inventory = {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "hosts": {name: {"service_directory": str(directory / name), **own} for name, own in hosts.items()},
    }
    (directory / "inventory.json").write_text(json.dumps({"app": inventory}))
    (directory / "playbook.json").write_text(json.dumps([{**PLAY, "serial": serial}]))
    return run_playbook(str(directory / "playbook.json"), directory / "inventory.json", f"-e{json.dumps(variables)}")


def test_a_host_that_is_lost_in_its_turn_ends_the_run_after_those_that_go_with_it(tmp_path: Path) -> None:
    code, output = run(tmp_path, [2], {"one": {"dies": True}, "two": {}, "three": {}})
    assert code == 2
    assert "two is deployed to" in output
    assert "three keeps what it has: the connection to one was lost in its turn." in output
    assert "three is deployed to" not in output
    assert "Stopped at three. What serves now:" in output
    assert "not known: one:" in output
    assert list(tmp_path.glob("t*/.deploy.lease")) == []


def test_a_host_that_is_lost_while_a_role_is_at_work_ends_the_run_at_once(tmp_path: Path) -> None:
    """What takes time in a turn is the collection's own; else nobody would say where the fleet stands."""
    hosts: dict[str, dict[str, Any]] = {"one": {"dies": True}, "two": {}}
    code, output = run(tmp_path, [1], hosts, by_a_role=True)
    assert code == 2
    assert "The connection to the host was lost" in output
    assert "Stopped at one. What serves now:" in output
    assert "not known: one:" in output
    assert "two is deployed to" not in output


def test_the_next_host_is_the_first_where_one_is_left_out(tmp_path: Path) -> None:
    code, output = run(tmp_path, [1], {"one": LOST, "two": {}, "three": {}})
    assert code == 0
    assert "one is left out:" in output
    assert "two is deployed to, first: True" in output
    assert "three is deployed to, first: False" in output


def test_a_last_host_that_is_left_out_is_named_as_well(tmp_path: Path) -> None:
    code, output = run(tmp_path, [1], {"one": {}, "two": LOST})
    assert code == 0
    assert "Left out, because they can't be reached (the next run brings them up to date): two:" in output


@pytest.mark.parametrize("alone", [True, False])
def test_a_host_that_goes_first_and_alone_is_never_left_out(tmp_path: Path, alone: bool) -> None:
    code, output = run(tmp_path, [1, 2], {"one": LOST, "two": {}, "three": {}}, __deploy={"first_alone": alone})
    assert code == (2 if alone else 0)
    assert ("one can't take its turn:" in output) is alone
    assert ("two is deployed to" in output) is not alone
