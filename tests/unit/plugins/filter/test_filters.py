# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters, as Jinja calls them."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.workbot.stability.plugins.filter.filters import (
    FilterModule,
    capacity_plan,
    dotenv,
)

# As role variables come: numbers are text when they were given with -e.
HOST = {
    "cores": "4", "memory_mb": 8192, "hosts": 1, "mode": "production", "instances": "max", "heap_limit": "auto",
    "memory_restart_limit": "auto", "database": True, "database_is_local": True, "max_connections": "100",
    "pool_max": "auto", "pool_min": "auto",
}  # fmt: skip


def test_auto_and_max_are_chosen() -> None:
    made = capacity_plan(HOST)
    assert made["instances"] == 4
    assert made["heap_limit_mb"] == 512


def test_settings_are_honoured() -> None:
    made = capacity_plan(
        {**HOST, "instances": "2", "heap_limit": "512M", "memory_restart_limit": "1G", "pool_max": "7"}
    )
    assert (made["instances"], made["heap_limit_mb"], made["memory_restart_mb"], made["pool_max"]) == (2, 512, 1024, 7)


@pytest.mark.parametrize(
    ("change", "words"), [({"pool_max": 20}, "not enough database connections"), ({"heap_limit": "1.5G"}, "can't use")]
)
def test_refusals_are_filter_errors(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        capacity_plan({**HOST, **change})


def test_other_services_count_in_the_plan_of_a_service_and_not_in_one_that_is_advice_alone() -> None:
    shop = {"about": "Part of service shop (workbot.stability).", **capacity_plan({**HOST, "service": "shop"})["claim"]}
    values = {**HOST, "pool_max": 1, "instances": 1, "local_facts": {"shop-plan": {**shop, "memory_mb": 1000}}}
    left = [capacity_plan({**values, "service": name})["memory_available_mb"] for name in ("kiosk", "shop", "")]
    assert left == [4120, 5120, 5120]


def test_an_environment_is_written_sorted() -> None:
    assert dotenv({"B": True, "A": 1, "C": "two words"}) == "A=1\nB=true\nC='two words'\n"


@pytest.mark.parametrize("value", [["hidden-value"], None, "hidden-value '`\""])
def test_what_can_not_be_written_is_named_and_not_shown(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="TOKEN") as error:
        dotenv({"TOKEN": value})
    assert "hidden-value" not in str(error.value)


def test_a_fleet_is_asked_for_by_a_filter() -> None:
    fleet = FilterModule().filters()["fleet"]
    assert fleet({"web": {"ansible_host": "10.0.0.1"}}, {"app": ["web"]})["app"] == {"web": "10.0.0.1"}
