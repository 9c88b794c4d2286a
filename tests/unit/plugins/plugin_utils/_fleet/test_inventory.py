# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a fleet, and their addresses."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import (
    Fleet,
    address_of,
    fleet_of,
    fleet_problems,
    has_server,
    upstream_servers,
)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "app1"),
        ({"ansible_host": "10.0.0.1"}, "10.0.0.1"),
        ({"ansible_host": "bastion", "service_address": "10.0.0.2"}, "10.0.0.2"),
        ({"ansible_host": "10.0.0.1", "service_address": ""}, "10.0.0.1"),
    ],
)
def test_a_hosts_address_is_what_its_variables_say_else_its_name(variables: dict[str, t.Any], address: str) -> None:
    assert address_of("app1", variables) == address


def test_each_group_has_its_hosts_and_one_that_is_not_there_is_empty() -> None:
    hostvars = {"app1": {"ansible_host": "10.0.0.1"}, "app2": {}, "proxy1": {"service_address": "fd00::1"}, "other": {}}
    groups = {"app": ["app1", "app2"], "proxy": ["proxy1", "app1"], "monitoring": ["other"]}
    assert fleet_of(hostvars, groups) == {
        "app": {"app1": "10.0.0.1", "app2": "app2"},
        "proxy": {"proxy1": "fd00::1", "app1": "10.0.0.1"},
        "database": {},
        "monitor": {},
        "backup": {},
    }


def test_a_proxy_passes_requests_on_to_each_app_hosts_own_port() -> None:
    servers = upstream_servers({"app1": "10.0.0.1", "app2": "fd00::2"}, {"app1": {}, "app2": {"nginx_port": "8080"}})
    assert [(server["name"], server["host"], server["port"]) for server in servers] == [
        ("app1", "10.0.0.1", 80),
        ("app2", "fd00::2", 8080),
    ]


GOOD: Fleet = {
    "app": {"a1": "10.0.0.1", "a2": "web2.test"},
    "proxy": {"p1": "10.0.0.3"},
    "database": {"d1": "db.test"},
    "monitor": {"m1": "10.0.0.4"},
    "backup": {"b1": "10.0.0.5"},
}


@pytest.mark.parametrize("host", ["a1", "a2", "p1", "d1", "another"])
def test_a_fleet_that_is_well(host: str) -> None:
    assert fleet_problems(GOOD, host) == []


@pytest.mark.parametrize(
    ("change", "host", "place", "words"),
    [
        ({"app": {}}, "p1", "groups.app", "has no host, but b1, d1, m1, p1 serve app hosts"),
        ({"database": {"d1": "10.0.0.8", "d2": "10.0.0.9"}}, "a1", "groups.database", "d1, d2; the app hosts share"),
        ({"monitor": {"m1": "10.0.0.8", "m2": "10.0.0.9"}}, "a1", "groups.monitor", "m1, m2; one host watches all"),
        ({"backup": {"b1": "10.0.0.8", "b2": "10.0.0.9"}}, "d1", "groups.backup", "b1, b2; one host has all backups"),
        ({"backup": {"d1": "db.test"}}, "d1", "groups.backup", "has d1, and would keep the backups of its own server"),
        ({"monitor": {"m1": "localhost"}}, "m1", "service_address", "is localhost, where"),
        ({"app": {"a1": "127.0.0.1"}}, "a1", "service_address", "is 127.0.0.1, where the other hosts reach themselves"),
        ({"database": {"d1": "localhost"}}, "d1", "service_address", "is localhost, where"),
        ({"proxy": {"p1": "::1"}}, "p1", "service_address", "is ::1, where"),
        ({"proxy": {"p1": "10.0.0.1"}}, "p1", "service_address", "and so is that of a1; each host has its own"),
        ({"proxy": {"p1": "proxy.test"}}, "p1", "service_address", "a proxy's must be an IP address"),
    ],
)
def test_what_a_fleet_can_not_be(change: Fleet, host: str, place: str, words: str) -> None:
    [(found, text)] = fleet_problems({**GOOD, **change}, host)
    assert found == place
    assert words in text


def test_hosts_that_are_all_of_it_need_not_reach_each_other() -> None:
    everything = {"a1": "127.0.0.1", "a2": "127.0.0.1"}
    for servers in ({}, everything):
        assert (
            fleet_problems(
                {"app": everything, "proxy": everything, "database": servers, "monitor": {}, "backup": {}}, "a1"
            )
            == []
        )


def test_a_monitor_has_to_reach_the_other_hosts_also_where_it_is_one_of_them() -> None:
    fleet: Fleet = {
        "app": {"a1": "127.0.0.1", "a2": "10.0.0.2"},
        "proxy": {},
        "database": {},
        "monitor": {"a1": "127.0.0.1"},
        "backup": {},
    }
    assert [place for place, _text in fleet_problems(fleet, "a1")] == ["service_address"]
    assert fleet_problems({**fleet, "app": {"a1": "127.0.0.1"}}, "a1") == []


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
