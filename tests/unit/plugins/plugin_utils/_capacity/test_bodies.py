# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bodies may arrive at a time, and what they take of the disk."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.bodies import bodies_mb, body_limits
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import size_mb
from hypothesis import given
from hypothesis import strategies as st

GB = 1024**3


def mount(path: str, gb: int) -> dict[str, t.Any]:
    return {"mount": path, "size_total": gb * GB}


@pytest.mark.parametrize(
    ("mounts", "space"),
    [
        ([mount("/", 20)], 2048),
        ([mount("/", 20), mount("/var", 10), mount("/var/log", 5)], 1024),
        ([mount("/", 1000)], 4096),
        ([mount("/etc/hosts", 250), {"mount": "/"}], 1024),
    ],
)
def test_a_tenth_of_the_disk_that_nginx_writes_to(mounts: list[dict[str, t.Any]], space: int) -> None:
    assert bodies_mb(mounts) == space


@pytest.mark.parametrize(
    ("space", "limit", "numbers"),
    [
        (2048, "10M", [5120, 128, 512, 25, 102]),
        (1024, "10M", [2560, 64, 256, 12, 51]),
        (4096, "500M", [10240, 256, 1024, 8, 16]),
        (100, "100K", [250, 8, 25, 12, 50]),
    ],
)
def test_the_numbers_that_nginx_gets(space: int, limit: str, numbers: list[int]) -> None:
    assert [number["connections"] for number in body_limits(space, limit)] == numbers


@given(st.integers(1, 4096), st.integers(1, 4000).map("{}M".format))
def test_all_bodies_fit_their_space_where_the_least_of_each_kind_does(space: int, limit: str) -> None:
    longest = {"small": 0.1, "medium": 1, "large": size_mb(limit)}
    numbers = {found["name"]: found for found in body_limits(space, limit)}
    totals = [(found["connections"], longest[found["kind"]]) for name, found in numbers.items() if "bodies" in name]
    assert sum(total * size for total, size in totals if total > 16) <= space
    assert all(8 <= found["connections"] <= 65535 for found in numbers.values())
    assert numbers["large_senders"]["connections"] <= numbers["large_bodies"]["connections"] / 2
