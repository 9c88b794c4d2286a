# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role nginx takes from the groups of an inventory, on each of its hosts; none of them is reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

FLEET = ROOT / "inventories/fleet/hosts.yml"
NAMES = (
    "nginx_upstream_servers",
    "nginx_trusted_proxies",
    "nginx_rate_limits",
    "nginx_connect_timeout",
    "nginx_drained",
    "nginx_reload_announce",
    "__nginx_maintenance",
    "__nginx_run.probes",
    "service_runs_database",
)
NOTE = {"since": "now", "reason": "", "retry_after": 600, "allow": []}
NOTES = {
    "services/shop/drained.json": '{"app2": "a new kernel", "gone": "the same"}',
    "services/shop/maintenance.json": json.dumps(NOTE),
}
PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"service_name": "shop", "__nginx_host": {"texts": NOTES}},
        "pre_tasks": [
            {
                "ansible.builtin.copy": {
                    "content": "{{ {" + ", ".join(f"'{name}': {name}" for name in NAMES) + "} | to_json }}",
                    "dest": "{{ playbook_dir }}/{{ inventory_hostname }}.json",
                    "mode": "0600",
                },
                "delegate_to": "localhost",
            },
            {"ansible.builtin.meta": "end_play"},
        ],
        "roles": ["workbot.stability.service", "workbot.stability.nginx"],
    }
]
PROXIES = ["10.0.0.21", "10.0.0.22"]
APPS = {"app1": "10.0.0.11", "app2": "10.0.0.12", "app3": "10.0.0.13"}
# A host that is its own proxy, with a proxy and another app host beside it.
BOTH = {
    "app": {
        "hosts": {"both": {"ansible_host": "10.0.0.1"}, "other": {"ansible_host": "10.0.0.2", "nginx_port": 8080}},
        "vars": {"service_database_enabled": True},
    },
    "proxy": {"hosts": {"both": {}, "proxy": {"ansible_host": "10.0.0.3"}}},
}


def variables(directory: Path, inventory: Path | dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of each host, as a play of all of them has them."""
    if isinstance(inventory, dict):
        (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        inventory = directory / "inventory.json"
    (directory / "playbook.json").write_text(json.dumps(PLAYBOOK), encoding="utf-8")
    run = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, directory / "playbook.json"],
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    files = [path for path in directory.glob("*.json") if path.stem not in ("inventory", "playbook")]
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return variables(tmp_path_factory.mktemp("fleet"), FLEET)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return variables(tmp_path_factory.mktemp("both"), BOTH)


def hosts_of(found: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(server["name"], server["host"], server["port"]) for server in found["nginx_upstream_servers"]]


@pytest.mark.parametrize("proxy", ["proxy1", "proxy2"])
def test_a_proxy_passes_requests_on_to_the_app_hosts_and_believes_nobody(
    fleet: dict[str, dict[str, Any]], proxy: str
) -> None:
    found = fleet[proxy]
    assert hosts_of(found) == [(name, address, 80) for name, address in APPS.items()]
    assert (found["nginx_trusted_proxies"], found["nginx_connect_timeout"]) == ([], "2s")
    assert found["nginx_reload_announce"] == 5
    assert found["__nginx_maintenance"] == NOTE
    assert [limit["name"] for limit in found["nginx_rate_limits"]] == ["api"]


@pytest.mark.parametrize("app", APPS)
def test_an_app_host_serves_itself_believes_the_proxies_and_lets_them_count(
    fleet: dict[str, dict[str, Any]], app: str
) -> None:
    assert fleet[app] == {
        "nginx_upstream_servers": [],
        "nginx_trusted_proxies": PROXIES,
        "nginx_rate_limits": [],
        "nginx_connect_timeout": "60s",
        "nginx_drained": {},
        "nginx_reload_announce": 5,
        # where they have had the page themselves, it is the proxies' now
        "__nginx_maintenance": {},
        "__nginx_run.probes": [
            {"port": 80, "host": "shop.invalid", "path": "/.probe", "expect_status": [404]},
            {"port": 80, "host": "shop.invalid", "path": "/health", "if_healthy": True},
            {"port": 80, "tls": False, "host": "shop.invalid", "path": "/ws", "websocket": True, "if_healthy": True},
        ],
        "service_runs_database": False,
    }


def test_a_host_that_has_left_the_inventory_is_out_of_rotation_no_more(fleet: dict[str, dict[str, Any]]) -> None:
    assert fleet["proxy1"]["nginx_drained"] == {"app2": "a new kernel"}


def test_a_proxy_keeps_no_memory_for_a_database_where_each_app_host_has_its_own(
    both: dict[str, dict[str, Any]], fleet: dict[str, dict[str, Any]]
) -> None:
    found = {**both, **fleet}
    assert {name for name in found if found[name]["service_runs_database"]} == {"both", "other", "db1"}


def test_an_app_host_that_is_a_proxy_too_serves_itself(both: dict[str, dict[str, Any]]) -> None:
    assert (both["both"]["nginx_upstream_servers"], both["both"]["nginx_trusted_proxies"]) == ([], ["10.0.0.3"])
    # it passes nothing on to the other one
    assert both["other"]["nginx_trusted_proxies"] == ["10.0.0.3"]
    assert hosts_of(both["proxy"]) == [("both", "10.0.0.1", 80), ("other", "10.0.0.2", 8080)]


def test_app_hosts_that_are_all_the_proxies_there_are_count_for_themselves(tmp_path: Path) -> None:
    hosts = {"shop1": {"ansible_host": "10.0.0.1"}, "shop2": {"ansible_host": "10.0.0.2"}}
    for found in variables(tmp_path, {"app": {"hosts": hosts}, "proxy": {"hosts": {"shop1": {}}}}).values():
        assert found["nginx_trusted_proxies"] == []
        assert [limit["name"] for limit in found["nginx_rate_limits"]] == ["api"]


def test_a_host_alone_is_what_it_was(tmp_path: Path) -> None:
    [found] = variables(tmp_path, {"app": {"hosts": {"shop1": {}}}}).values()
    assert (found["nginx_upstream_servers"], found["nginx_trusted_proxies"]) == ([], [])
    assert (found["nginx_connect_timeout"], found["nginx_reload_announce"]) == ("60s", 5)
    assert [(limit["requests"], limit["window"]) for limit in found["nginx_rate_limits"]] == [(300, 10)]
