# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory with a host for each service of one machine: what they plan in the same run must fit together."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.together import planned_together

RECORD = {
    "about": "Part of service mill (workbot.stability).",
    "service": "mill",
    "memory_mb": 1000,
    "database_memory_mb": 0,
    "connections": 0,
}


def host(
    service: str, machine: str = "m1", local: dict[str, t.Any] | None = None, **desired: t.Any
) -> dict[str, t.Any]:
    made = plan(Desired(**{"cores": 2, "memory_mb": 24576, "service": service, "database": False, **desired}))
    facts = {"machine_id": "4d2", "nodename": machine, "ansible_local": local or {}}
    return {"ansible_facts": facts, "checked": {"plan": made.as_dict()}}


def problems(**hosts: dict[str, t.Any]) -> list[str]:
    return planned_together(hosts, list(hosts), "checked")


def test_three_services_that_each_take_all_are_refused() -> None:
    (problem,) = problems(a=host("registry"), b=host("flows"), c=host("pages"))
    assert "a, b, c are one machine" in problem
    assert "registry 10248M, flows 10248M, pages 10248M = 30744M, of 23552M (24576 - 1024 system)" in problem
    assert "Set service_memory_restart_limit or service_instances of them, or let one after the other" in problem


def test_what_fits_is_nobodys_problem() -> None:
    small = {"instances": 1, "memory_restart_mb": 384, "heap_limit_mb": 256}
    assert problems(a=host("registry", **small), b=host("flows", **small)) == []


def test_other_machines_the_same_service_and_hosts_without_a_plan_are_left_out() -> None:
    assert problems(a=host("registry"), b=host("flows", "m2")) == []
    assert problems(**{name: host("registry") for name in "abc"}) == []
    failed = {"ansible_facts": {"machine_id": "4d2", "nodename": "m1"}, "checked": {"failed": True}}
    assert problems(a=host("registry"), b=failed, c={}) == []
    assert problems(a=host("registry"), b=host(""), c=host("")) == []


def test_records_of_services_that_are_not_in_the_run_count_once() -> None:
    local = {"mill-plan": RECORD, "flows-plan": {**RECORD, "about": RECORD["about"].replace("mill", "flows")}}
    tight = {"instances": 1, "memory_restart_mb": 5800, "heap_limit_mb": 2048, "local": local}
    (problem,) = problems(a=host("registry", **tight), b=host("flows", **tight))
    assert "mill 1000M" in problem


def test_a_name_on_a_port_is_one_services() -> None:
    small = {"instances": 1, "memory_restart_mb": 384, "heap_limit_mb": 256}
    hosts = {name: host(name, **small) for name in ("registry", "flows", "pages")}
    for name, serves in {"registry": ["_ on port 80"], "flows": ["_ on port 80", "_ on port 443"]}.items():
        hosts[name]["checked"]["serves"] = serves
    (problem,) = problems(**hosts)
    assert problem.startswith(
        "registry, flows are one machine, and each is to serve _ on port 80. Set nginx_server_names of each."
    )


def test_connections_of_one_server_are_added_up() -> None:
    small = {"instances": 1, "memory_restart_mb": 384, "heap_limit_mb": 256, "database": True, "pool_max": 25}
    (problem,) = problems(a=host("registry", **small), b=host("flows", **small))
    assert "registry 50, flows 50 = 100, of 92 (max_connections 100 - 3 superuser - 5 other)" in problem
