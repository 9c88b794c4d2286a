# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host of role service, on tables of inventories."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._site.base import UnknownError
from ansible_collections.workbot.stability.plugins.plugin_utils._site.service import Service
from ansible_collections.workbot.stability.plugins.plugin_utils._site.service_fleet import ServiceFleet

HOSTS: dict[str, dict[str, Any]] = {
    "app1": {"service_address": "10.0.0.11"},
    "app2": {"ansible_host": "app2.test"},
    "db": {"service_address": "10.0.0.31"},
    "edge": {},
    "eye": {},
}
FLEET = {"app": ["app1", "app2"], "database": ["db"], "proxy": ["edge"], "monitor": ["eye"]}
OWN_SERVERS = {"app": ["app1", "app2"], "database": ["app1", "app2"]}
PLAIN: dict[str, Any] = {
    "ansible_play_hosts_all": ["app1", "app2", "db"],
    "hostvars": HOSTS,
    "inventory_hostname": "app1",
    "service_ca_file": "",
    "service_database_ca_file": "",
    "service_database_enabled": True,
    "service_database_host": "127.0.0.1",
    "service_database_is_local": True,
    "service_database_name": "shop",
    "service_database_port": "5432",
    "service_database_server": "",
    "service_database_tls": "",
    "service_directory": "/srv/shop",
    "service_external_pm2_bin": "/usr/bin",
    "service_external_pm2_home": "/home/app/.pm2",
    "service_is_external": False,
    "service_name": "shop",
    "service_runs_here": True,
    "service_supervisor": "collection",
}


def fleet(host: str, groups: dict[str, list[str]]) -> ServiceFleet:
    return ServiceFleet({"hostvars": HOSTS, "groups": groups, "inventory_hostname": host}.__getitem__)


def service(**variables: Any) -> Service:
    return Service({**PLAIN, "groups": {}, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("host", "groups", "runs_here", "database", "monitor"),
    [
        ("app1", {}, True, "", ""),
        ("app1", FLEET, True, "10.0.0.31", "eye"),
        ("db", FLEET, False, "", "eye"),
        ("edge", FLEET, False, "10.0.0.31", "eye"),
        ("eye", FLEET, False, "10.0.0.31", "eye"),
        ("app2", OWN_SERVERS, True, "", ""),
        ("edge", {"app": ["edge"], "proxy": ["edge"]}, True, "", ""),
        # in no group at all
        ("edge", {"database": ["db"]}, True, "10.0.0.31", ""),
    ],
)
def test_the_groups_say_what_a_host_is(
    host: str, groups: dict[str, list[str]], runs_here: bool, database: str, monitor: str
) -> None:
    found = fleet(host, groups)
    assert (found.runs_here, found.database, found.monitor) == (runs_here, database, monitor)
    assert found.has_others is (groups != {} and set(groups) != {"app"})


@pytest.mark.parametrize(
    ("variables", "clients", "runs", "sharing"),
    [
        ({}, {}, True, 1),
        ({"groups": FLEET, "service_database_is_local": False}, {}, False, 2),
        (
            {"groups": FLEET, "inventory_hostname": "db", "service_runs_here": False},
            {"app1": "10.0.0.11", "app2": "app2.test"},
            True,
            3,
        ),
        # a proxy would look for a server at home where every app host has its own
        ({"groups": FLEET, "inventory_hostname": "edge", "service_runs_here": False}, {}, False, 1),
    ],
)
def test_who_uses_the_server_of_a_host(
    variables: dict[str, Any], clients: dict[str, str], runs: bool, sharing: int
) -> None:
    found = service(**variables)
    assert (found.database_clients, found.runs_database) == (clients, runs)
    assert found._sharing_hosts == sharing


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, "127.0.0.1:5432/shop"),
        ({"service_database_host": "::1"}, "[::1]:5432/shop"),
        ({"service_database_host": "/run/postgresql"}, "%2Frun%2Fpostgresql:5432/shop"),
        ({"service_database_tls": "require"}, "127.0.0.1:5432/shop?sslmode=require"),
        (
            {"service_database_tls": "verify-full", "service_database_server": "db"},
            "127.0.0.1:5432/shop?sslmode=verify-full&sslrootcert=/srv/shop/config/database-ca.pem",
        ),
        (
            {"service_database_tls": "verify-full"},
            "127.0.0.1:5432/shop?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
        ),
    ],
)
def test_where_the_service_finds_its_database(variables: dict[str, Any], place: str) -> None:
    assert service(**variables).database_place == place


@pytest.mark.parametrize(
    ("run", "skipped", "whole"),
    [
        (["all"], [], True),
        (["all"], ["molecule-notest", "notest"], True),
        (["all"], ["long_term"], False),
        (["immediate"], [], False),
    ],
)
def test_a_run_of_chosen_tags_is_no_whole_play(run: list[str], skipped: list[str], whole: bool) -> None:
    assert service(ansible_run_tags=run, ansible_skip_tags=skipped).is_whole_play is whole


def test_packages_are_those_of_the_play_s_own_roles() -> None:
    roles = ["workbot.stability.service", "workbot.stability.postgresql", "geerlingguy.ntp"]
    assert service(ansible_play_role_names=roles).roles_with_packages == ["__service", "__postgresql"]
    found = service(ansible_play_role_names=roles, service_database_enabled=False)
    assert found.roles_with_packages == ["__service"]


def test_an_existing_service_keeps_its_user_its_sockets_and_its_pm2() -> None:
    ours = {"service_group": "shop", "service_log_directory": "/var/log/shop", "service_user": "shop"}
    found = service(service_is_external=True, **ours)
    assert found.accounts == []
    assert [place["path"] for place in found.directories] == ["/srv/shop", "/srv/shop/config", "/var/log/shop"]
    assert found.paths["pm2_home"] == "/home/app/.pm2"
    assert service().paths["pm2_home"] == "/srv/shop/active/pm2"


def test_one_that_is_ours_exists_nowhere_else() -> None:
    assert service().existing == {}
    with pytest.raises(UnknownError):
        service(service_is_external=True).existing  # noqa: B018 - a property
