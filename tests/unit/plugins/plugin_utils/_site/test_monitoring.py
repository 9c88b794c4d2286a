# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the monitor of an inventory, on tables of inventories."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._site.monitoring import Exporters, Monitoring

PLAIN: dict[str, Any] = {
    "service_is_monitor": False,
    "service_monitor": "eye",
    "service_runs_database": False,
}
ALONE = {"service_monitor": ""}
MONITOR = {"service_is_monitor": True}
SERVER = {"service_runs_database": True}
NODE, POSTGRESQL = "prometheus-node-exporter", "prometheus-postgres-exporter"


def exporters(**variables: Any) -> Exporters:
    return Exporters({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("variables", "packages", "own"),
    [
        (ALONE, [], []),
        ({}, ["python3-cryptography"], [NODE]),
        (SERVER, ["python3-cryptography"], [NODE, POSTGRESQL]),
        ({**MONITOR, **SERVER}, [], [NODE, POSTGRESQL]),
    ],
    ids=["no monitor", "watched", "watched server", "monitor with a server"],
)
def test_what_is_installed(variables: dict[str, Any], packages: list[str], own: list[str]) -> None:
    site = exporters(**variables)
    assert (site.packages, site.own_packages) == (packages, own)


def test_others_are_asked_with_tls_by_whoever_has_a_certificate() -> None:
    site = exporters(**SERVER)
    web = " --web.config.file=/etc/prometheus/exporter-tls/web.yml"
    assert site.options == {
        "node": f"--web.listen-address=:9100{web}",
        "postgresql": f"--web.listen-address=:9187{web}",
    }
    assert [file["template"] for file in site.files] == ["node.conf.j2", "postgresql.conf.j2", "web.yml.j2"]
    assert {"path": "/etc/prometheus/exporter-tls"} in site.directories


def test_the_monitor_asks_its_own_over_loopback() -> None:
    site = exporters(**MONITOR)
    assert site.options == {"node": "--web.listen-address=127.0.0.1:9100 "}
    assert [file["template"] for file in site.files] == ["node.conf.j2"]
    assert [directory["path"] for directory in site.directories] == [f"/etc/systemd/system/{NODE}.service.d"]


def test_a_unit_is_restarted_for_what_it_starts_with() -> None:
    site = exporters(**SERVER)
    written = {file["path"] for file in site.files}
    assert [unit["name"] for unit in site.units] == [f"{NODE}.service", f"{POSTGRESQL}.service"]
    assert {path for unit in site.units for path in unit["restart_for"]} == written


HOSTS: dict[str, dict[str, Any]] = {
    "app1": {"ansible_host": "10.0.0.11"},
    "app2": {"ansible_host": "bastion", "service_address": "fd00::12"},
    "proxy1": {"ansible_host": "10.0.0.21"},
    "db1": {"ansible_host": "10.0.0.31"},
    "watch": {"ansible_host": "10.0.0.41"},
    "other": {},
}
GROUPS = {"app": ["app1", "app2"], "proxy": ["proxy1"], "database": ["db1"], "monitor": ["watch"], "spare": ["other"]}


def monitoring(hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]], monitor: str) -> Monitoring:
    return Monitoring({"groups": groups, "hostvars": hosts, "inventory_hostname": monitor}.__getitem__)


def targets(groups: dict[str, list[str]], monitor: str) -> set[tuple[str, str, str]]:
    """Job, instance and URL of each."""
    found = [
        (one["labels"]["job"], one["labels"]["instance"], f"{one['labels']['__scheme__']}://{address}")
        for one in monitoring(HOSTS, groups, monitor).targets
        for address in one["targets"]
    ]
    assert len(set(found)) == len(found)
    return set(found)


def test_each_host_is_asked_once_and_the_monitor_without_leaving_it() -> None:
    assert targets(GROUPS, "watch") == {
        ("node", "app1", "https://10.0.0.11:9100"),
        ("node", "app2", "https://[fd00::12]:9100"),
        ("node", "proxy1", "https://10.0.0.21:9100"),
        ("node", "db1", "https://10.0.0.31:9100"),
        ("postgresql", "db1", "https://10.0.0.31:9187"),
        ("node", "watch", "http://127.0.0.1:9100"),
        ("prometheus", "watch", "http://127.0.0.1:9090"),
        ("alertmanager", "watch", "http://127.0.0.1:9093"),
    }


def test_a_monitor_that_is_also_the_database_host() -> None:
    found = targets({**GROUPS, "monitor": ["db1"]}, "db1")
    assert {one for one in found if one[1] == "db1"} == {
        ("node", "db1", "http://127.0.0.1:9100"),
        ("postgresql", "db1", "http://127.0.0.1:9187"),
        ("prometheus", "db1", "http://127.0.0.1:9090"),
        ("alertmanager", "db1", "http://127.0.0.1:9093"),
    }


def test_nothing_of_the_service_is_in_them() -> None:
    """Two services of one monitor give the same targets, which Prometheus takes once."""
    named = {name: {**variables, "service_name": "shop"} for name, variables in HOSTS.items()}
    assert monitoring(named, GROUPS, "watch").targets == monitoring(HOSTS, GROUPS, "watch").targets
