# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.metrics import render
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Assessment, Problem
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import Open, State
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.status import (
    Moment,
    as_json,
    describe,
)
from places import ROOT
from watch_samples import readings, settings

DOCUMENTATION = ROOT / "docs" / "alerting.md"
STATUS: dict[str, Any] = {
    "service": "shop",
    "host": "web1",
    "time": 1764100000.25,
    "state": "recovering",
    "since": 1764099990.0,
    "targets": {"service": {"phase": "recovering"}, "proxy": {"phase": "healthy"}},
    "problems": [
        {"key": "service.worker_hung", "code": "worker_hung", "severity": "critical", "since": 1, "message": ""}
    ],
    "budget": {"used": {"service": 2, "proxy": 0}, "limit": 5, "window": 900},
    "actions_total": 7,
    "readings": {
        "workers": [
            {"pm_id": 0, "pid": 11, "rss": 104857600, "restarts": 3, "answer_ms": 12.5, "online": True},
            {"pm_id": 1, "pid": None, "rss": None, "restarts": 0, "answer_ms": None, "online": False},
        ],
        "host": {"available": 1000, "total": 4000},
    },
}


def lines(status: dict[str, Any]) -> list[str]:
    return [line for line in render(status).splitlines() if not line.startswith("#")]


def test_what_the_status_says_is_there() -> None:
    assert {
        'nodejs_service_heartbeat_timestamp_seconds{service="shop"} 1764100000.25',
        'nodejs_service_state{service="shop",state="recovering"} 1',
        'nodejs_service_state{service="shop",state="healthy"} 0',
        'nodejs_service_target_phase{service="shop",target="proxy",phase="healthy"} 1',
        'nodejs_service_problem{service="shop",key="service.worker_hung",severity="critical"} 1',
        'nodejs_service_recovery_actions_total{service="shop"} 7',
        'nodejs_service_recovery_budget_used{service="shop",target="service"} 2',
        'nodejs_service_recovery_budget_limit{service="shop"} 5',
        'nodejs_service_worker_up{service="shop",worker="0"} 1',
        'nodejs_service_worker_up{service="shop",worker="1"} 0',
        'nodejs_service_worker_rss_bytes{service="shop",worker="0"} 104857600',
        'nodejs_service_worker_restarts_total{service="shop",worker="0"} 3',
        'nodejs_service_health_answer_seconds{service="shop",worker="0"} 0.0125',
        'nodejs_service_host_memory_available_bytes{service="shop"} 1000',
        'nodejs_service_host_memory_size_bytes{service="shop"} 4000',
    } <= set(lines(STATUS))


def test_what_was_not_read_is_left_out() -> None:
    found = lines(STATUS)
    assert [line for line in found if 'worker="1"' in line] == [
        'nodejs_service_worker_up{service="shop",worker="1"} 0',
        'nodejs_service_worker_restarts_total{service="shop",worker="1"} 0',
    ]
    assert not [line for line in found if 'phase="paused"' in line]
    bare = render({"service": "shop"})
    assert "worker" not in bare
    assert "heartbeat" not in bare


def test_labels_are_escaped_and_odd_readings_left_out() -> None:
    problems = [{"key": 'a"b\\c\nd', "severity": "warning"}, "odd"]
    status = {"service": "shop", "time": float("nan"), "problems": problems, "targets": [], "readings": {"workers": 5}}
    assert 'nodejs_service_problem{service="shop",key="a\\"b\\\\c\\nd",severity="warning"} 1' in lines(status)
    assert not [line for line in lines(status) if "heartbeat" in line]
    huge = {"service": "shop", "readings": {"workers": [{"pm_id": 0, "restarts": 10**400, "online": True}]}}
    assert lines(huge)[-1] == 'nodejs_service_worker_up{service="shop",worker="0"} 1'


def test_a_problem_that_is_listed_twice_is_one_series() -> None:
    entry = STATUS["problems"][0]
    assert len([line for line in lines({**STATUS, "problems": [entry, entry]}) if "_problem{" in line]) == 1


def test_every_documented_metric_is_made_of_what_the_watchdog_publishes() -> None:
    problem = Problem("service.crash_loop", Code.CRASH_LOOP, "warning", "5 restarts")
    state = State(actions_total=7, problems={problem.key: Open(problem, 4000.0)})
    status = describe(settings(), state, Assessment({}), readings(), pause=None, moment=Moment(5000.0, 1764100000.0))
    text = render(json.loads(as_json(status)))
    page = DOCUMENTATION.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (nodejs_service_\w+) \|", page, re.MULTILINE))
    assert documented == set(re.findall(r"^(nodejs_service_\w+)\{", text, re.MULTILINE))
    for sample in (
        'recovery_actions_total{service="shop"} 7',
        'worker_up{service="shop",worker="1"} 1',
        'worker_rss_bytes{service="shop",worker="1"} 104857600',
        'health_answer_seconds{service="shop",worker="0"} 0.0125',
        'host_memory_available_bytes{service="shop"} 4800000000',
    ):
        assert f"nodejs_service_{sample}\n" in text
