# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import (
    OVERHEAD_MB,
    CapacityError,
    Plan,
    plan,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import (
    SUPERUSER_CONNECTIONS,
    Desired,
    size_mb,
)
from hypothesis import given
from hypothesis import strategies as st

HOSTS = st.builds(
    Desired,
    cores=st.integers(1, 128),
    memory_mb=st.integers(1024, 1024 * 1024),
    hosts=st.integers(1, 40),
    mode=st.sampled_from(["production", "development"]),
    database=st.booleans(),
    database_is_local=st.booleans(),
    max_connections=st.integers(100, 10000),
)
DESIRED = st.builds(
    Desired,
    cores=st.integers(1, 64),
    memory_mb=st.integers(128, 256 * 1024),
    hosts=st.integers(1, 50),
    instances=st.none() | st.integers(1, 200),
    heap_limit_mb=st.none() | st.integers(1, 8192),
    memory_restart_mb=st.none() | st.integers(1, 16384),
    database=st.booleans(),
    database_is_local=st.booleans(),
    max_connections=st.integers(10, 5000),
    pool_max=st.none() | st.integers(1, 200),
    pool_min=st.none() | st.integers(0, 200),
)


def test_where_never_two_may_run_there_is_one_and_nothing_counts_twice() -> None:
    made = plan(dataclasses.replace(Desired(cores=4, memory_mb=4096), overlap=False))
    assert (made.instances, made.memory_needed_mb, made.connections) == (1, made.memory_restart_mb, made.pool_max)
    assert "during a release" not in "".join(made.as_dict()["lines"])


def assert_holds(made: Plan) -> None:
    assert made.instances >= 1
    assert made.heap_limit_mb + OVERHEAD_MB <= made.memory_restart_mb
    assert made.memory_needed_mb == made.instances * made.memory_restart_mb * 2 <= made.desired.memory_available_mb
    assert (
        made.desired.memory_available_mb + made.desired.system_memory_mb + made.desired.database_memory_mb
        == made.desired.memory_mb
    )
    assert 0 <= made.pool_min <= made.pool_max
    assert made.connections <= made.desired.connections_available
    assert made.connections < made.service_connections
    most = made.service_connections + made.as_dict()["diagnosis_connections"]
    if made.desired.hosts == 1:
        assert most <= made.desired.max_connections - SUPERUSER_CONNECTIONS


@given(HOSTS)
def test_what_is_chosen_never_contradicts_itself(desired: Desired) -> None:
    made = plan(desired)
    assert_holds(made)
    assert made.instances <= desired.cores
    assert made.heap_limit_mb <= 2048
    assert made == plan(desired)


@given(HOSTS, st.integers(1, 64 * 1024))
def test_more_memory_never_gives_fewer_instances(desired: Desired, more: int) -> None:
    larger = dataclasses.replace(desired, memory_mb=desired.memory_mb + more)
    assert plan(larger).instances >= plan(desired).instances


@given(DESIRED)
def test_what_is_desired_is_honoured_or_refused_with_reasons(desired: Desired) -> None:
    try:
        made = plan(desired)
    except CapacityError as error:
        assert all(len(problem) > 20 for problem in str(error).splitlines())
        return
    assert_holds(made)
    for name in ("instances", "heap_limit_mb", "memory_restart_mb"):
        assert getattr(desired, name) in (None, getattr(made, name))
    if desired.database:
        assert desired.pool_max in (None, made.pool_max)
        assert desired.pool_min in (None, made.pool_min)


def refusal(**desired: object) -> list[str]:
    with pytest.raises(CapacityError) as error:
        plan(Desired(**{"cores": 4, "memory_mb": 16384, **desired}))  # type: ignore[arg-type]
    return str(error.value).splitlines()


def test_a_restart_limit_below_the_heap_limit_is_refused_with_what_works() -> None:
    (problem,) = refusal(instances=1, heap_limit_mb=2048, memory_restart_mb=1024)
    assert "2048M heap limit + 128M outside it = 2176M, of 1024M restart limit" in problem
    assert "service_memory_restart_limit to 2176M or more, or service_heap_limit to 896M" in problem
    plan(Desired(cores=4, memory_mb=16384, instances=1, heap_limit_mb=2048, memory_restart_mb=2176))
    plan(Desired(cores=4, memory_mb=16384, instances=1, heap_limit_mb=896, memory_restart_mb=1024))


def test_a_pool_for_sixteen_cores_is_refused_with_what_works() -> None:
    (problem,) = refusal(cores=16, memory_mb=65536, pool_max=20)
    assert "16 instances x 1 hosts x 20 connections x 2 during a release = 640, of 92" in problem
    assert "service_pool_max to 2, or service_instances to 2, or service_database_max_connections to 648" in problem
    plan(Desired(cores=16, memory_mb=65536, pool_max=2))
    plan(Desired(cores=16, memory_mb=65536, pool_max=20, instances=2))
    plan(Desired(cores=16, memory_mb=65536, pool_max=20, max_connections=648))


def test_more_instances_than_memory_are_refused_with_what_works() -> None:
    (problem,) = refusal(instances=8, memory_restart_mb=1024, database=False)
    assert "8 instances x 1024M restart limit x 2 during a release = 16384M, of 15360M (16384 - 1024 system)" in problem
    assert "service_instances to 7, or service_memory_restart_limit to 960M and service_heap_limit to 832M" in problem
    plan(Desired(cores=4, memory_mb=16384, database=False, instances=7, memory_restart_mb=1024))
    plan(Desired(cores=4, memory_mb=16384, database=False, instances=8, memory_restart_mb=960, heap_limit_mb=832))


def test_all_contradictions_are_told_at_once() -> None:
    problems = refusal(instances=64, heap_limit_mb=2048, memory_restart_mb=1024, pool_max=5, pool_min=6)
    assert len(problems) == 4


def test_the_smallest_host_works_without_a_database_and_says_so_with_one() -> None:
    assert plan(Desired(cores=1, memory_mb=512, database_is_local=False)).heap_limit_mb == 64
    (problem,) = refusal(cores=1, memory_mb=512)
    assert "use a host with more memory, or put the database on another host" in problem


def test_the_usual_sizes_of_a_roomy_host() -> None:
    made = plan(Desired(cores=2, memory_mb=24000))
    assert (made.instances, made.heap_limit_mb, made.memory_restart_mb) == (2, 2048, 2560)
    assert (made.pool_max, made.pool_min) == (20, 5)
    small = plan(Desired(cores=2, memory_mb=24000, mode="development"))
    assert (small.pool_max, small.pool_min) == (10, 1)


@pytest.mark.parametrize(("size", "mb"), [("512M", 512), ("2G", 2048), ("1024K", 1), ("1K", 1)])
def test_sizes(size: str, mb: int) -> None:
    assert size_mb(size) == mb


@pytest.mark.parametrize("size", ["", "M", "1.5G", "12", "x"])
def test_what_is_no_size(size: str) -> None:
    with pytest.raises(ValueError, match=r"size|literal"):
        size_mb(size)
