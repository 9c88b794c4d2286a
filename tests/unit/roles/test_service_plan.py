# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service leaves on its host for the plans of others, and what its own plan reads of theirs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from playbooks import run_playbook

SHOP = {
    "about": "Part of service shop (workbot.stability).",
    "connections": 40,
    "database_memory_mb": 128,
    "memory_mb": 400,
    "service": "shop",
}
SHARED = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "service_database_enabled": True,
    "service_database_password": "p4ss-W0rd/of:the@db",
    "service_database_memory": "128M",
    "service_instances": 1,
    "service_memory_restart_limit": "198M",
}
HOSTS = {
    "again": {"service_name": "shop", "service_pool_max": 20},
    "next": {"service_name": "kiosk", "service_pool_max": 20},
    "greedy": {"service_name": "mill", "service_pool_max": 30},
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("plan")
    (directory / "shop-plan.fact").write_text(json.dumps(SHOP), encoding="utf-8")
    facts = {"gather_subset": ["!all", "min", "hardware"], "fact_path": str(directory)}
    tasks = [
        {"ansible.builtin.setup": facts},
        {
            "workbot.stability.validate_variables": {"overcommit": True},
            "register": "deployed",
        },
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} deploys with {{ deployed.plan.pool_max }}"}},
        {"workbot.stability.validate_variables": {}, "register": "checked"},
        {
            "ansible.builtin.debug": {
                "msg": "{{ inventory_hostname }} writes {{ record.path }} {{ record.content }} END"
            }
        },
        {
            "ansible.builtin.debug": {"msg": "{{ hostvars | workbot.stability.planned_together(hosts, 'checked') }}"},
            "vars": {"hosts": "{{ ansible_play_hosts }}"},
            "run_once": True,
        },
        {"ansible.builtin.meta": "end_play"},
    ]
    play = {
        "hosts": "app",
        "gather_facts": False,
        "vars": {"record": "{{ __service_files | first }}"},
        "pre_tasks": tasks,
        "roles": ["workbot.stability.service", "workbot.stability.postgresql"],
    }
    inventory, playbook = directory / "inventory.json", directory / "play.json"
    inventory.write_text(json.dumps({"app": {"vars": SHARED, "hosts": HOSTS}}), encoding="utf-8")
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    _code, output = run_playbook(str(playbook), Path(inventory))
    return output


def test_a_service_does_not_count_itself_and_writes_what_it_planned(output: str) -> None:
    path, _space, record = output.partition("again writes ")[2].partition(" END")[0].partition(" ")
    assert path == "/etc/ansible/facts.d/shop-plan.fact"
    assert json.loads(record) == SHOP


def test_another_one_counts_it(output: str) -> None:
    assert "next writes /etc/ansible/facts.d/kiosk-plan.fact" in output
    assert "greedy writes" not in output
    assert "= 60, of 52 (max_connections 100 - 3 superuser - 5 other - 40 of other services (shop 40))" in output


def test_a_deployment_is_warned_and_goes_on(output: str) -> None:
    assert "greedy deploys with 30" in output
    said = " ".join(output.split())
    assert "Until then its plan counts no other service, and site.yml refuses it." in said
    assert said.count("Until then") == 1


def test_those_of_one_run_fit_together(output: str) -> None:
    assert "are one machine" not in output
