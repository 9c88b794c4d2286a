# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan of a host: what is chosen fits, on every host."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import (
    OVERHEAD_MB,
    CapacityError,
    plan,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.database import setting_mb
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import (
    OTHER_CONNECTIONS,
    SUPERUSER_CONNECTIONS,
    Desired,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.host import HostPlan, host_plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import Settings
from capacity_settings import CAPACITY_DEFAULTS, capacity_settings
from hypothesis import given
from hypothesis import strategies as st

HOSTS = st.builds(
    Desired,
    cores=st.integers(1, 64),
    memory_mb=st.integers(1024, 256 * 1024),
    hosts=st.integers(1, 50),
    mode=st.sampled_from(["production", "development"]),
    database=st.booleans(),
    database_is_local=st.booleans(),
    max_connections=st.integers(108, 10000),
)


def whole(desired: Desired, **changes: t.Any) -> HostPlan:
    return host_plan(plan(desired), capacity_settings(**changes))


def value(made: HostPlan, part: str, name: str) -> str:
    return str(made.as_dict()["parts"][part][name]["value"])


@given(HOSTS)
def test_nothing_is_overcommitted_on_any_host_when_all_is_chosen(desired: Desired) -> None:
    made = whole(desired)
    core = made.core
    assert made.contradictions == []
    assert 1 <= core.instances <= desired.cores
    service = core.instances * core.memory_restart_mb * 2
    assert service + core.desired.database_memory_mb + core.desired.system_memory_mb <= desired.memory_mb
    assert core.heap_limit_mb + OVERHEAD_MB <= core.memory_restart_mb
    pools = core.instances * desired.hosts * core.pool_max * 2
    assert pools + SUPERUSER_CONNECTIONS + OTHER_CONNECTIONS <= desired.max_connections
    websockets, connections = (
        int(value(made, "Nginx and WebSockets", n)) for n in ("WebSockets at the proxy", "worker connections")
    )
    assert 1 <= websockets <= core.instances * 100
    assert websockets * 2 + desired.cores * (64 + 128) <= desired.cores * connections
    assert int(value(made, "Nginx and WebSockets", "open files per worker")) >= connections + 64
    assert int(value(made, "open files of a process", "open files")) >= 100 + core.pool_max + desired.cores * 64
    if core.database_settings:
        buffers = int(core.database_settings["shared_buffers"].removesuffix("MB"))
        assert buffers * 2 <= core.desired.database_memory_mb
        if (
            core.connections
            and int(value(made, "database", "all sessions sorting")[:-1]) > core.desired.database_memory_mb
        ):
            # PostgreSQL's own least work_mem, for more sessions than this little memory is for: that is said.
            assert core.database_settings["work_mem"] == "4MB"
            assert any("when all sessions sort at once" in note for note in made.notes)


@given(HOSTS, st.integers(0, 32), st.integers(0, 64 * 1024))
def test_a_larger_host_never_gets_less(desired: Desired, cores: int, memory: int) -> None:
    larger = dataclasses.replace(desired, cores=desired.cores + cores, memory_mb=desired.memory_mb + memory)
    small, large = whole(desired), whole(larger)
    assert large.core.instances >= small.core.instances
    # Shares are whole MB, those of the system and the database too.
    assert large.core.desired.memory_available_mb + 1 >= small.core.desired.memory_available_mb
    assert large.core.memory_needed_mb + large.core.instances * 6 + 1 >= small.core.memory_needed_mb
    sockets = [int(value(made, "Nginx and WebSockets", "WebSockets at the proxy")) for made in (small, large)]
    assert sockets == sorted(sockets)


@given(HOSTS, st.integers(1, 64 * 1024))
def test_more_memory_for_as_many_instances_is_more_heap(desired: Desired, memory: int) -> None:
    fixed = dataclasses.replace(desired, instances=plan(desired).instances)
    larger = dataclasses.replace(fixed, memory_mb=desired.memory_mb + memory)
    assert plan(larger).heap_limit_mb + 1 >= plan(fixed).heap_limit_mb


def test_no_single_megabyte_costs_an_instance() -> None:
    instances = [plan(Desired(64, memory, max_connections=1000)).instances for memory in range(1024, 16384)]
    assert instances == sorted(instances)


@given(HOSTS, st.integers(1, 50))
def test_more_hosts_at_one_database_never_get_more_connections_each(desired: Desired, more: int) -> None:
    some = dataclasses.replace(desired, max_connections=max(desired.max_connections, 8 + 2 * (desired.hosts + more)))
    larger = dataclasses.replace(some, hosts=desired.hosts + more)
    assert plan(larger).instances <= plan(some).instances
    assert plan(larger).connections <= plan(larger).desired.connections_available


# What runs today, recorded before the parts were there: a second run on these hosts must change nothing.
RECORDED = [
    # cores, memory -> instances, heap, restart, pool, shared_buffers, work_mem
    ((1, 1024), (1, 192, 320, 20, "128MB", "4MB")),
    ((1, 2048), (1, 512, 640, 20, "256MB", "4MB")),
    ((2, 4096), (2, 512, 640, 20, "512MB", "4MB")),
    ((2, 24105), (2, 2048, 2560, 20, "3013MB", "15MB")),
    ((4, 8192), (4, 512, 640, 11, "1024MB", "5MB")),
    ((16, 65536), (16, 1203, 1503, 2, "8192MB", "40MB")),
    ((64, 262144), (46, 1700, 2125, 1, "32768MB", "64MB")),
]


@pytest.mark.parametrize(("host", "expected"), RECORDED)
def test_the_plans_of_hosts_that_are_there_stay(host: tuple[int, int], expected: tuple[t.Any, ...]) -> None:
    made = plan(Desired(*host))
    own = made.database_settings
    found = (made.instances, made.heap_limit_mb, made.memory_restart_mb, made.pool_max)
    assert (*found, own["shared_buffers"], own["work_mem"]) == expected
    parts = whole(Desired(*host)).as_dict()["parts"]
    assert parts["Nginx and WebSockets"]["WebSockets at the proxy"]["value"] == str(made.instances * 100)
    assert parts["Nginx and WebSockets"]["open files per worker"]["value"] == "16384"


def test_fifty_hosts_at_a_small_database_are_told_what_it_must_let_in() -> None:
    with pytest.raises(CapacityError, match="service_database_max_connections to 108"):
        plan(Desired(4, 8192, hosts=50, database_is_local=False))
    assert plan(Desired(4, 8192, hosts=50, database_is_local=False, max_connections=108)).connections == 100


def test_what_works_otherwise_than_one_may_think_is_noted() -> None:
    made = whole(
        Desired(1, 4096),
        nginx_read_timeout="300s",
        pm2_drain_time=1,
        service_pool_connect_timeout=300,
        nginx_websocket_max_connections="250",
    )
    assert made.contradictions == []
    notes = "\n".join(made.notes)
    assert "unless pm2_drain_time is 290" in notes
    assert "Nginx keeps a connection to a replaced release for up to 5 s, and pm2_drain_time is 1 s" in notes
    assert "clients get 504 from Nginx" in notes
    assert "nginx_websocket_max_connections 250 is more than the processes take, 100" in notes


def test_bodies_of_requests_are_in_the_plan_and_refuse_no_disk() -> None:
    made = whole(Desired(2, 4096), nginx_body_limit="500M", service_reserved_disk="14G")
    assert made.contradictions == []
    row = made.as_dict()["parts"]["Nginx and WebSockets"]["bodies of requests"]
    assert (row["value"], row["origin"]) == ("4096M", "chosen")
    assert row["arithmetic"] == "while they arrive; uploads of up to 500M: 16 at a time, 8 of an address"


def test_a_usual_work_mem_is_nobodys_contradiction() -> None:
    made = whole(Desired(2, 4096), postgresql_settings={"work_mem": "9MB"})
    assert made.contradictions == []
    assert value(made, "database", "work_mem") == "9MB"
    assert value(made, "database", "all sessions sorting") == "1277M"
    assert "512M shared_buffers + 85 sessions x 9M work_mem = 1277M, of 1024M" in made.notes[0]


@pytest.mark.parametrize(
    ("name", "written", "mb"),
    [
        ("shared_buffers", "1GB", 1024),
        ("shared_buffers", 16384, 128),
        ("work_mem", "4096", 4),
        ("work_mem", "64kB", 1 / 16),
    ],
)
def test_settings_of_postgresql_are_read_as_it_reads_them(name: str, written: str | int, mb: float) -> None:
    assert setting_mb(name, written) == mb


def test_a_setting_that_postgresql_would_refuse_is_left_to_it() -> None:
    made = whole(Desired(2, 4096), postgresql_settings={"work_mem": "much"})
    assert made.contradictions == []
    assert "all sessions sorting" not in made.as_dict()["parts"]["database"]


def test_a_fleet_behind_a_small_proxy_gets_what_it_carries() -> None:
    servers = [{"host": f"app{number}"} for number in range(9)]
    made = whole(Desired(2, 4096), nginx_upstream_servers=servers, nginx_worker_connections="768")
    assert made.contradictions == []
    assert value(made, "Nginx and WebSockets", "WebSockets at the proxy") == "576"
    assert "the processes take 1800 WebSockets, Nginx carries 576" in "\n".join(made.notes)


def test_a_proxy_of_app_hosts_that_choose_their_instances_takes_what_it_carries() -> None:
    desired = Desired(4, 1024, runs_here=False, database_is_local=False)
    made = whole(desired, nginx_upstream_servers=[{"host": "app1"}], nginx_worker_connections="768")
    assert (made.core.instances, made.core.desired.database_memory_mb, made.contradictions) == (0, 0, [])
    assert value(made, "Nginx and WebSockets", "WebSockets at the proxy") == "1152"
    assert "WebSockets per host" not in made.as_dict()["parts"]["Nginx and WebSockets"]


def test_a_proxy_counts_the_instances_of_all_app_hosts_where_they_are_a_number() -> None:
    hosts: list[dict[str, t.Any]] = [{"host": "app1"}, {"host": "app2"}]
    desired = Desired(4, 512, instances=3, runs_here=False, database_is_local=False)
    made = whole(desired, service_instances="3", nginx_upstream_servers=hosts)
    assert value(made, "Nginx and WebSockets", "WebSockets at the proxy") == "600"


@given(st.builds(Desired, st.integers(1, 64), st.integers(256, 256 * 1024), runs_here=st.just(False)))
def test_a_database_host_keeps_three_quarters_for_the_server_and_something_for_the_system(desired: Desired) -> None:
    core = plan(desired)
    assert core.desired.database_memory_mb <= min(
        desired.memory_mb * 3 / 4, desired.memory_mb - core.desired.system_memory_mb
    )
    assert core.desired.database_memory_mb >= desired.memory_mb / 2


def test_a_database_host_without_the_memory_that_is_wanted() -> None:
    with pytest.raises(CapacityError, match=r"9000M PostgreSQL, of 7168M .* Set service_database_memory to 7168M"):
        plan(Desired(2, 8192, runs_here=False, database_mb=9000))


def test_a_play_without_the_other_roles_has_a_plan() -> None:
    values = {name: value for name, value in CAPACITY_DEFAULTS.items() if name.startswith("service_")}
    made = host_plan(plan(Desired(2, 4096)), Settings(values))
    assert [part.name for part in made.parts if part.rows] == ["memory", "database", "disk"]
    assert made.contradictions == []


def test_the_table_has_every_row_with_who_decided() -> None:
    made = whole(Desired(2, 4096, instances=1), service_instances="1")
    table = made.table("shop1")
    assert table.startswith("shop1: 1 instance on 2 cores and 4096M")
    rows = {" ".join(line.split()[:3]) for line in table.splitlines()}
    assert "instances 1 set" in rows
    assert sum(len(part.rows) for part in made.parts) + len(made.parts) + 1 == len(table.splitlines())
