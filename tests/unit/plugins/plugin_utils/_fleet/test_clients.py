# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose files the repository host keeps."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.clients import clients_of

HOSTS: dict[str, dict[str, t.Any]] = {
    "app1": {"release_shared_directories": ["uploads"]},
    "app2": {"release_shared_files": ["state.json"], "backup_files": "yes", "backup_files_days": "365"},
    "app3": {"release_shared_directories": [], "backup_files": True},
    "app4": {"release_shared_directories": ["uploads"], "backup_files": "no"},
    "db1": {"release_shared_directories": ["uploads"]},
}


def test_each_app_host_that_has_files_is_a_client_by_the_service_s_name_and_its_own() -> None:
    groups = {"app": ["app1", "app2", "app3", "app4"], "database": ["db1"], "backup": ["keeper"]}
    assert clients_of(HOSTS, groups, "shop", "/etc/x", 28) == [
        {"path": f"/etc/x/{name}.json", "vars": {"client": {"name": name, "files_days": days}}}
        for name, days in (("shop.app1", 28), ("shop.app2", 365))
    ]


def test_an_inventory_without_app_hosts_has_none() -> None:
    assert clients_of(HOSTS, {"backup": ["keeper"]}, "shop", "/etc/x", 28) == []
