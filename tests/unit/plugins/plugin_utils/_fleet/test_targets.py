# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor of an inventory asks."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import has_server
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.targets import targets_of

HOSTS: dict[str, dict[str, t.Any]] = {
    "app1": {"ansible_host": "10.0.0.11"},
    "app2": {"ansible_host": "bastion", "service_address": "fd00::12"},
    "proxy1": {"ansible_host": "10.0.0.21"},
    "db1": {"ansible_host": "10.0.0.31"},
    "watch": {"ansible_host": "10.0.0.41"},
    "other": {},
}
GROUPS = {"app": ["app1", "app2"], "proxy": ["proxy1"], "database": ["db1"], "monitor": ["watch"], "spare": ["other"]}


def targets(groups: dict[str, list[str]], monitor: str) -> set[tuple[str, str, str]]:
    """Job, instance and URL of each."""
    found = [
        (one["labels"]["job"], one["labels"]["instance"], f"{one['labels']['__scheme__']}://{address}")
        for one in targets_of(HOSTS, groups, monitor)
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
    assert targets_of(named, GROUPS, "watch") == targets_of(HOSTS, GROUPS, "watch")


@pytest.mark.parametrize(
    ("variables", "groups", "server"),
    [
        ({}, {"app": ["app1"]}, False),
        ({"service_database_enabled": True}, {"app": ["app1"]}, True),
        ({"service_database_enabled": "yes"}, {"app": ["app1"]}, True),
        ({"service_database_enabled": True, "service_database_host": "/run/postgresql"}, {"app": ["app1"]}, True),
        ({"service_database_enabled": True, "service_database_host": "db.example.org"}, {"app": ["app1"]}, False),
        ({"service_database_enabled": True, "service_supervisor": "pm2"}, {"app": ["app1"]}, False),
        # the inventory's database host has it
        ({}, {"app": ["app1"], "database": ["db1"]}, False),
        ({}, {"app": ["app1"], "database": ["app1"]}, True),
        ({"service_database_enabled": False}, {"app": ["app1"], "database": ["app1"]}, False),
        ({"service_database_host": "127.0.0.1"}, {"app": ["app1"], "database": ["db1"]}, True),
        ({"service_database_enabled": True}, {"app": ["db1"], "proxy": ["app1"]}, False),
    ],
)
def test_a_server_is_where_the_roles_run_one(
    variables: dict[str, t.Any], groups: dict[str, list[str]], server: bool
) -> None:
    assert has_server(variables, groups, "app1") is server
