# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that can't be together: each has its message, and what the message advises works."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import CapacityError, plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.host import host_plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import is_planned
from capacity_settings import CAPACITY_DEFAULTS, capacity_settings

# Settings of a host with 4 cores and 16 GB that can't be together; the variable to blame; the arithmetic; other
# settings, each of which works.
CONTRADICTIONS: dict[str, tuple[dict[str, t.Any], str, list[str], list[dict[str, t.Any]]]] = {
    "heap": (
        {"service_heap_limit": "2048M", "service_memory_restart_limit": "1024M", "service_instances": "1"},
        "service_memory_restart_limit",
        [
            "2048M heap limit + 128M outside it = 2176M, of 1024M restart limit",
            "Set service_memory_restart_limit to 2176M or more, or service_heap_limit to 896M",
        ],
        [{"service_memory_restart_limit": "2176M"}, {"service_heap_limit": "896M"}],
    ),
    "small heap": (
        {"service_heap_limit": "32M"},
        "service_heap_limit",
        ["32M is too small for Node.js. Set it to 64M or more"],
        [{"service_heap_limit": "64M"}],
    ),
    "memory": (
        {"service_instances": "8", "service_memory_restart_limit": "1024M"},
        "service_instances",
        [
            "8 instances x 1024M restart limit x 2 during a release = 16384M, of 11264M",
            "(16384 - 1024 system - 4096 PostgreSQL)",
            "Set service_instances to 5, or service_memory_restart_limit to 704M and service_heap_limit to 576M",
        ],
        [{"service_instances": "5"}, {"service_memory_restart_limit": "704M", "service_heap_limit": "576M"}],
    ),
    "reserved": (
        {"service_reserved_memory": "10G", "service_instances": "4", "service_memory_restart_limit": "512M"},
        "service_instances",
        [
            "4096M, of 1024M (16384 - 1024 system - 4096 PostgreSQL - 10240 reserved)",
            "Set service_instances to 1, or service_reserved_memory to 7168M",
        ],
        [{"service_instances": "1"}, {"service_reserved_memory": "7168M"}],
    ),
    "memory of the database": (
        {"service_database_memory": "14G", "service_instances": "4", "service_memory_restart_limit": "512M"},
        "service_instances",
        ["4096M, of 1024M (16384 - 1024 system - 14336 PostgreSQL)", "or service_database_memory to 11264M"],
        [{"service_database_memory": "11264M"}],
    ),
    "connections": (
        {"service_pool_max": "20"},
        "service_pool_max",
        [
            "4 instances x 1 hosts x 20 connections x 2 during a release = 160, of 92",
            "(max_connections 100 - 3 superuser - 5 other)",
            "Set service_pool_max to 11, or service_instances to 2, or service_database_max_connections to 168",
        ],
        [{"service_pool_max": "11"}, {"service_instances": "2"}, {"service_database_max_connections": 168}],
    ),
    "pool": (
        {"service_pool_max": "3", "service_pool_min": "6"},
        "service_pool_min",
        ["service_pool_min 6 is above service_pool_max 3", "service_pool_min to 3 or less, or service_pool_max to 6"],
        [{"service_pool_min": "3"}, {"service_pool_max": "6"}],
    ),
    "cache of PostgreSQL": (
        {"postgresql_settings": {"shared_buffers": "6GB"}},
        "postgresql_settings",
        ["6144M shared_buffers, of 4096M", "Set shared_buffers to 4096MB, or service_database_memory to 6144M"],
        [{"postgresql_settings": {"shared_buffers": "4096MB"}}, {"service_database_memory": "6144M"}],
    ),
    "sorts of PostgreSQL": (
        {"postgresql_settings": {"work_mem": "256MB"}},
        "postgresql_settings",
        ["2048M shared_buffers + 93 sessions x 256M work_mem = 25856M, of 15360M", "Set work_mem to 146575kB"],
        [{"postgresql_settings": {"work_mem": "146575kB"}}],
    ),
    "fewer connections": (
        {"postgresql_settings": {"max_connections": 50}},
        "postgresql_settings",
        [
            "max_connections 50 is less than the 100",
            "Set service_database_max_connections to 50, or max_connections to",
        ],
        [{"service_database_max_connections": 50}, {"postgresql_settings": {"max_connections": 100}}],
    ),
    "heartbeat": (
        {"nginx_websocket_timeout": "1m", "service_websocket_heartbeat": 30},
        "nginx_websocket_timeout",
        [
            "must be above two heartbeats",
            "30 s heartbeat x 2 under load = 60 s, of 60 s",
            "Set nginx_websocket_timeout to 61s or more, or service_websocket_heartbeat to 29",
        ],
        [{"nginx_websocket_timeout": "61s"}, {"service_websocket_heartbeat": 29}],
    ),
    "WebSockets of processes": (
        {"service_websocket_max_connections": 1000, "nginx_worker_connections": 768},
        "service_websocket_max_connections",
        [
            "4000 WebSockets x 2 = 8000, of 2304",
            "(4 workers x (768 worker connections - 64 kept to the service - 128 for requests))",
            "Set service_websocket_max_connections to 288, or nginx_worker_connections to 2192",
        ],
        [{"service_websocket_max_connections": 288}, {"nginx_worker_connections": 2192}],
    ),
    "WebSockets at the proxy": (
        {"nginx_websocket_max_connections": "2000", "nginx_worker_connections": 768},
        "nginx_websocket_max_connections",
        [
            "2000 WebSockets x 2 = 4000, of 2304",
            "Set nginx_websocket_max_connections to 1152, or nginx_worker_connections to 1192",
        ],
        [{"nginx_websocket_max_connections": "1152"}, {"nginx_worker_connections": 1192}],
    ),
    "keepalive": (
        {"nginx_upstream_keepalive": 1000, "nginx_worker_connections": 768},
        "nginx_upstream_keepalive",
        ["leaves no connection", "Set nginx_worker_connections to 1130 or more"],
        [{"nginx_worker_connections": 1130}],
    ),
    "files of a worker": (
        {"nginx_worker_rlimit_nofile": "800", "nginx_worker_connections": 768},
        "nginx_worker_rlimit_nofile",
        ["768 worker connections + 64 = 832, of 800", "Set nginx_worker_rlimit_nofile to 832 or more"],
        [{"nginx_worker_rlimit_nofile": "832"}, {"nginx_worker_rlimit_nofile": "0"}],
    ),
    "files of a process": (
        {"pm2_open_files": 1024, "service_websocket_max_connections": 600, "nginx_worker_connections": 1500},
        "pm2_open_files",
        [
            "600 WebSockets + 11 database connections + 256 that Nginx keeps + 256 requests and files = 1123, of 1024",
            "Set pm2_open_files to 1123 or more, or service_websocket_max_connections to 501",
        ],
        [{"pm2_open_files": 1123}, {"service_websocket_max_connections": 501}],
    ),
    "start": (
        {"pm2_wait_ready": True, "pm2_start_timeout": 20},
        "pm2_start_timeout",
        ["30 s, of 20 s", "Set pm2_start_timeout to 30 or more, or pm2_listen_timeout to 20"],
        [{"pm2_start_timeout": 30}, {"pm2_listen_timeout": 20}],
    ),
    "boot": (
        {"pm2_wait_ready": True, "pm2_listen_timeout": 60, "pm2_unit_timeout": 45},
        "pm2_unit_timeout",
        ["60 s, of 45 s", "Set pm2_unit_timeout to 60 or more, or pm2_listen_timeout to 45"],
        [{"pm2_unit_timeout": 60}, {"pm2_listen_timeout": 45}],
    ),
    "disk of releases": (
        {"service_release_size": "3G"},
        "service_release_size",
        ["18432M releases", "M, of 20480M on /srv", "Set release_keep to 4"],
        [{"release_keep": 4}],
    ),
    "disk of logs": (
        {"logrotate_rotate": 200, "logrotate_maxsize": "1G"},
        "logrotate_rotate",
        ["22426M logs of the service", "of 20480M on /srv", "Set logrotate_rotate to 92"],
        [{"logrotate_rotate": 92}],
    ),
    "reserved disk": (
        {"service_reserved_disk": "18G"},
        "service_reserved_disk",
        ["18432M reserved", "of 20480M on /srv", "Set service_reserved_disk to 14216M"],
        [{"service_reserved_disk": "14216M"}],
    ),
}


def problems(changes: dict[str, t.Any]) -> list[tuple[str, str]]:
    """What the action would say of a host with 4 cores, 16 GB and such variables."""
    values = {**CAPACITY_DEFAULTS, **changes}
    desired = Desired.of(
        {
            "cores": 4,
            "memory_mb": 16384,
            "hosts": 1,
            "database": True,
            "database_is_local": True,
            "max_connections": values["service_database_max_connections"],
            **{
                name: values[f"service_{name}"]
                for name in ("mode", "instances", "heap_limit", "memory_restart_limit", "pool_max", "pool_min")
            },
            "reserved_memory": values["service_reserved_memory"],
            "database_memory": values["service_database_memory"],
        }
    )
    try:
        made = host_plan(plan(desired), capacity_settings(**changes))
    except CapacityError as error:
        found = error.contradictions
    else:
        found = made.contradictions
    return [(one.variable, one.message) for one in found]


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_has_its_arithmetic_and_what_works(name: str) -> None:
    changes, blamed, texts, works = CONTRADICTIONS[name]
    ((variable, message),) = problems(changes)
    assert variable == blamed
    for text in texts:
        assert text in message, message
    for other in works:
        assert problems({**changes, **other}) == []


def test_every_blamed_variable_is_one_that_the_plan_reads() -> None:
    blamed = {variable for _changes, variable, *_rest in CONTRADICTIONS.values()}
    assert all(is_planned(variable) for variable in blamed)
    assert not is_planned("service_database_password")
