# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose backups the repository host makes."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.stanzas import stanzas_of

HOSTS: dict[str, dict[str, t.Any]] = {
    "app1": {"ansible_host": "10.0.0.11", "service_database_enabled": True},
    "app2": {"service_address": "fd00::12", "service_database_enabled": True, "service_database_port": "5433"},
    "app3": {"service_database_enabled": True, "service_database_host": "db.provider.test"},
    "db1": {"ansible_host": "10.0.0.31"},
    "keeper": {},
}


def stanzas(groups: dict[str, list[str]]) -> dict[str, dict[str, t.Any]]:
    return {one["path"]: one["vars"]["stanza"] for one in stanzas_of(HOSTS, groups, "/etc/x")}


def test_of_a_fleet_it_is_the_database_host() -> None:
    groups = {"app": ["app1", "app2"], "database": ["db1"], "backup": ["keeper"]}
    assert stanzas(groups) == {"/etc/x/db1.conf": {"name": "db1", "address": "10.0.0.31", "port": 5432}}


def test_without_one_each_app_host_that_has_a_server() -> None:
    assert stanzas({"app": ["app1", "app2", "app3"], "backup": ["keeper"]}) == {
        "/etc/x/app1.conf": {"name": "app1", "address": "10.0.0.11", "port": 5432},
        "/etc/x/app2.conf": {"name": "app2", "address": "fd00::12", "port": 5433},
    }
