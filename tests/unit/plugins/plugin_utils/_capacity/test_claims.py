# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of one host: each gets what the others leave, and goes on with the same when another one comes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.claims import (
    Claim,
    claims_of,
    connections_before,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import CapacityError, Plan, plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.host import host_plan
from capacity_settings import capacity_settings
from hypothesis import given
from hypothesis import strategies as st

MEMORY = st.integers(1024, 64 * 1024)
SERVICES = st.builds(
    Desired,
    cores=st.just(4),
    memory_mb=st.just(0),
    instances=st.none() | st.integers(1, 8),
    heap_limit_mb=st.none() | st.integers(64, 2048),
    memory_restart_mb=st.none() | st.integers(192, 4096),
    database=st.booleans(),
    database_is_local=st.booleans(),
    pool_max=st.none() | st.integers(1, 20),
    reserved_mb=st.just(0) | st.integers(0, 8192),
    database_mb=st.none() | st.integers(128, 4096),
)


def record(name: str, **values: int) -> dict[str, t.Any]:
    return {
        "about": f"Part of service {name} (workbot.stability).",
        **dataclasses.asdict(Claim(name, **{"memory_mb": 0, **values})),
    }


def test_records_of_others_are_told_from_the_own_one_and_from_foreign_facts() -> None:
    facts = {
        "shop-plan": record("shop", memory_mb=2560, database_memory_mb=1024, connections=80),
        "kiosk-plan": record("kiosk", memory_mb=512),
        "own-plan": record("own", memory_mb=9),
        "site": {"service": "site", "memory_mb": 1},
        "copied": {**record("shop", memory_mb=1), "about": "Part of service other (workbot.stability)."},
        "broken": "error loading fact - please check content",
    }
    assert claims_of(facts, "own") == (Claim("kiosk", 512), Claim("shop", 2560, 1024, 80))


@pytest.mark.parametrize("damage", [{"memory_mb": "much"}, {"connections": None}])
def test_a_damaged_record_is_told_with_its_file(damage: dict[str, t.Any]) -> None:
    facts = {"shop-plan": {**record("shop"), **damage}}
    with pytest.raises(StabilityError, match=r"^/etc/ansible/facts\.d/shop-plan\.fact is no record of what shop"):
        claims_of(facts, "kiosk")
    assert claims_of(facts, "shop") == ()
    assert connections_before(facts, "shop") == 0
    assert connections_before({"shop-plan": record("shop", connections=80)}, "shop") == 80


def planned(desired: Desired, memory_mb: int, name: str, others: tuple[Claim, ...] = ()) -> Plan:
    return plan(dataclasses.replace(desired, memory_mb=memory_mb, service=name, others=others))


@given(MEMORY, st.lists(SERVICES, min_size=3, max_size=6))
def test_the_next_ones_get_what_is_left_and_a_second_run_plans_the_same(
    memory_mb: int, services: list[Desired]
) -> None:
    claims: tuple[Claim, ...] = ()
    fitting: list[tuple[Desired, Plan]] = []
    for number, desired in enumerate(services):
        with contextlib.suppress(CapacityError):
            made = planned(desired, memory_mb, f"s{number}", claims)
            fitting.append((desired, made))
            claims = (*claims, made.claim)
    system = dataclasses.replace(services[0], memory_mb=memory_mb).system_memory_mb
    database = max((claim.database_memory_mb for claim in claims), default=0)
    assert sum(claim.memory_mb for claim in claims) + database + system <= memory_mb
    assert sum(claim.connections for claim in claims) <= 92
    for (desired, made), claim in zip(fitting, claims, strict=True):
        again = planned(desired, memory_mb, claim.service, tuple(one for one in claims if one != claim))
        assert dataclasses.replace(again, desired=made.desired) == made
        assert again.claim.connections == claim.connections


SHOP = Desired(cores=2, memory_mb=4096, service="shop")
KIOSK = Desired(cores=2, memory_mb=4096, service="kiosk", others=(plan(SHOP).claim,))


def test_a_host_without_room_names_who_has_it_and_what_makes_some() -> None:
    with pytest.raises(CapacityError) as refused:
        plan(KIOSK)
    (found,) = refused.value.contradictions
    problem = found.message
    assert "= 384M, of 0M (4096 - 512 system - 1024 PostgreSQL - 2560 of other services (shop 2560))" in problem
    advised = re.search(r"Set service_reserved_memory of shop to (\d+)M, and run site.yml for it first$", problem)
    assert advised
    smaller = plan(dataclasses.replace(SHOP, reserved_mb=int(advised[1]), pool_max=10))
    assert plan(dataclasses.replace(KIOSK, others=(smaller.claim,))).instances == 1


def test_what_nobody_can_leave_is_not_advised() -> None:
    small = Desired(cores=1, memory_mb=1024, service="kiosk", others=(Claim("shop", 512, 256),))
    with pytest.raises(CapacityError, match="One instance needs 384M: use a host with more memory"):
        plan(small)


def test_connections_of_the_same_server_are_shared() -> None:
    others = (Claim("shop", 512, 1024, 80),)
    made = plan(dataclasses.replace(KIOSK, others=others))
    assert (made.desired.connections_available, made.pool_max) == (12, 3)
    assert made.as_dict()["lines"][-1].endswith("- 3 superuser - 5 other - 80 of other services (shop 80))")
    with pytest.raises(CapacityError) as refused:
        plan(dataclasses.replace(KIOSK, pool_max=20, others=others))
    assert "service_database_max_connections to 168" in str(refused.value)
    assert "service_pool_max of shop lower, and run site.yml for it first" in str(refused.value)
    assert made.service_connections == made.connections + 2
    before = dataclasses.replace(KIOSK, others=others, pool_max=2, connections_before=made.connections)
    assert plan(before).service_connections == made.service_connections, "as long as the larger pools may be open"
    elsewhere = dataclasses.replace(KIOSK, database_is_local=False, others=others)
    assert plan(elsewhere).desired.connections_available == 92


def test_the_server_of_others_has_its_memory_also_where_the_service_has_no_database() -> None:
    made = plan(dataclasses.replace(KIOSK, database=False, others=(Claim("shop", 512, 1024, 80),)))
    assert made.desired.memory_available_mb == 4096 - 512 - 512 - 1024
    assert made.claim == Claim("kiosk", made.desired.memory_available_mb, 0, 0)


def test_a_reserve_for_another_service_is_not_kept_twice() -> None:
    reserved = dataclasses.replace(SHOP, reserved_mb=1024)
    needed = plan(reserved).memory_needed_mb
    assert plan(dataclasses.replace(reserved, others=(Claim("kiosk", 1000),))).memory_needed_mb == needed
    with pytest.raises(CapacityError, match=r"or service_reserved_memory to 512M$"):
        plan(dataclasses.replace(reserved, others=(Claim("kiosk", 500),), instances=2, memory_restart_mb=512))


def test_the_table_names_the_others_and_a_reserve_that_does_not_count() -> None:
    desired = dataclasses.replace(KIOSK, others=(Claim("mill", 256), Claim("shop", 512, 1024)), reserved_mb=64)
    made = host_plan(plan(desired), capacity_settings(service_reserved_memory="64M"))
    (row,) = [row for row in made.parts[0].rows if row.name == "other services"]
    assert (row.value, row.arithmetic) == ("768M", "mill 256M, shop 512M")
    assert "service_reserved_memory 64M is less than the host's other services have planned, 768M" in made.notes[0]
    assert "other services" not in host_plan(plan(SHOP), capacity_settings()).table("host")
