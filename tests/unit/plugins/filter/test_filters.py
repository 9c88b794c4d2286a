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
    proxy_capacity,
    rate_limits,
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


PROXY = {
    "workers": "2", "worker_connections": "768", "keepalive": 64, "websockets_of_processes": 200, "websockets": "auto",
    "worker_rlimit_nofile": "auto", "body_limit": "10M", "mounts": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "websockets", "files"),
    [
        ({}, 200, 4096),
        ({"websockets_of_processes": 1000}, 576, 4096),
        ({"websockets": "0", "worker_rlimit_nofile": "0"}, 0, 0),
        ({"websockets": 5000, "worker_connections": 8192}, 5000, 16384),
    ],
)
def test_a_proxys_limits_fit_its_connections(change: dict[str, t.Any], websockets: int, files: int) -> None:
    capacity = proxy_capacity({**PROXY, **change})
    assert (capacity["websockets"], capacity["worker_rlimit_nofile"]) == (websockets, files)
    assert capacity["bodies"][-1] == {"name": "large_bodies", "kind": "large", "connections": 51}


def test_a_proxy_that_is_not_described_is_a_filter_error() -> None:
    with pytest.raises(AnsibleFilterError, match="can't use"):
        proxy_capacity({**PROXY, "workers": "many"})


@pytest.mark.parametrize(
    ("requests", "window", "rate", "pause"),
    [(10, 10, 60, 1), ("3", "100", 1, 34), (1, 61, 0, 61), (100, 7, 857, 1), (60, 60, 60, 1)],
)
def test_a_limit_has_its_rate_and_the_pause_until_the_next_request(
    requests: t.Any, window: t.Any, rate: int, pause: int
) -> None:
    [limit] = rate_limits([{"name": "api", "requests": requests, "window": window}])
    assert limit == {"name": "api", "requests": requests, "window": window, "rate": rate, "pause": pause}


@pytest.mark.parametrize("change", [{"requests": 0}, {"window": "x"}, {"window": None}])
def test_a_limit_that_is_none_is_a_filter_error(change: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="can't use"):
        rate_limits([{"requests": 1, "window": 1, **change}])


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
