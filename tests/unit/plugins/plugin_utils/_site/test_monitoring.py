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


def test_the_monitor_asks_every_host() -> None:
    groups = {"app": ["a1"], "monitor": ["eye"]}
    site = Monitoring({"groups": groups, "hostvars": {"a1": {}, "eye": {}}, "inventory_hostname": "eye"}.__getitem__)
    assert {one["labels"]["instance"] for one in site.targets} == {"a1", "eye"}
