# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a fleet, and their addresses."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._fleet import address_of, fleet_of


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
    }
