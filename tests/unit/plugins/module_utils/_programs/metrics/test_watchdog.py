# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics import text
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.requests import Objectives, Requests
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.watchdog import metrics_of
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.diagnosis import summary
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    SERVICE,
    Assessment,
    Inhibition,
    Problem,
    Remedy,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import Open, State
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.status import (
    Moment,
    describe,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.deployments import Deployed
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT
from watch_samples import HEALTHY, readings, settings

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(['"', "\\", "\n", '"} 1\nx{a="', "\ud800", 10**400, 1e999, float("nan"), 1e308]),
    st.integers(),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)
WORKERS = st.lists(
    st.dictionaries(
        st.sampled_from(["pm_id", "online", "rss", "restarts", "answer_ms", "age", "event_loop_ms", "pool"]), ANYTHING
    )
    | ANYTHING
)
DIAGNOSIS = st.fixed_dictionaries(
    {},
    optional={
        "ended": ANYTHING,
        "interval": ANYTHING,
        "counts": st.dictionaries(st.text(max_size=5), ANYTHING) | ANYTHING,
        "raised": st.lists(st.dictionaries(st.sampled_from(["check", "status"]), ANYTHING) | ANYTHING) | ANYTHING,
        "certificate_days": ANYTHING,
        "connections": ANYTHING,
        "connections_limit": ANYTHING,
        "server_connections_percent": ANYTHING,
        "backup_hours": ANYTHING,
        "proof_days": ANYTHING,
    },
)
DEPLOYED = st.dictionaries(st.sampled_from(["time", "seconds", "release"]), ANYTHING)
TARGET = st.fixed_dictionaries({"phase": ANYTHING, "inhibition": st.fixed_dictionaries({"code": ANYTHING}) | ANYTHING})
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "service": ANYTHING,
        "time": ANYTHING,
        "state": ANYTHING,
        "targets": st.dictionaries(st.text(max_size=5), TARGET) | ANYTHING,
        "problems": st.lists(st.fixed_dictionaries({"key": ANYTHING, "severity": ANYTHING})) | ANYTHING,
        "budget": st.fixed_dictionaries({"used": ANYTHING, "limit": ANYTHING}) | ANYTHING,
        "actions_total": ANYTHING,
        "steps": st.dictionaries(st.text(max_size=5), ANYTHING) | ANYTHING,
        "live": st.dictionaries(st.sampled_from(["release", "activation"]), ANYTHING) | ANYTHING,
        "deployments": st.dictionaries(st.text(max_size=5), DEPLOYED | ANYTHING) | ANYTHING,
        "diagnosis": DIAGNOSIS | ANYTHING,
        "watchdog": st.dictionaries(st.sampled_from(["cpu_seconds", "rss"]), ANYTHING) | ANYTHING,
        "limits": ANYTHING,
        "readings": st.fixed_dictionaries(
            {"workers": WORKERS, "host": ANYTHING, "disk": st.dictionaries(st.text(max_size=5), ANYTHING) | ANYTHING}
        )
        | ANYTHING,
    },
)
TEXT = r'"(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(
    r"nodejs_service_[a-z0-9_]+\{service=\"shop\"(?:,(?:target|phase|state|key|severity|worker|code|step|path|result|release"
    rf"|activation|level|check|part)={TEXT})*\}}"
)
COMMENT = re.compile(
    r"# (HELP nodejs_service_[a-z0-9_]+ [A-Za-z0-9 ,.']+|TYPE nodejs_service_[a-z0-9_]+ (gauge|counter))"
)
DOCUMENTATION = ROOT / "docs" / "metrics.md"
STATUS: dict[str, Any] = {
    "service": "shop",
    "host": "web1",
    "time": 1764100000.25,
    "state": "recovering",
    "since": 1764099990.0,
    "targets": {
        "service": {"phase": "recovering", "inhibition": {"code": "deployment", "message": ""}},
        "proxy": {"phase": "healthy", "inhibition": None},
    },
    "problems": [
        {"key": "service.worker_hung", "code": "worker_hung", "severity": "critical", "since": 1, "message": ""}
    ],
    "budget": {"used": {"service": 2, "proxy": 0}, "limit": 5, "window": 900},
    "actions_total": 7,
    "steps": {"kill_worker": 2, "restart_proxy": 0},
    "live": {"release": "3fa9", "activation": "3fa9@2"},
    "deployments": {"failed": {"time": 1764000000.5, "seconds": 12.5, "release": "77aa", "result": "failed"}},
    "diagnosis": {
        "ended": 1764099900.5,
        "interval": 300,
        "counts": {"ok": 44, "warning": 1, "critical": 0},
        "raised": [{"check": "disk./", "status": "warning"}],
        "certificate_days": 20.5,
        "connections": 12,
        "connections_limit": 40,
        "server_connections_percent": 12.5,
        "backup_hours": 5.5,
        "proof_days": 2,
    },
    "watchdog": {"cpu_seconds": 1.5, "commands_cpu_seconds": 3.25, "rss": 31457280},
    "limits": {"heap": 268435456, "memory": None},
    "readings": {
        "daemon": {"rss": 70000000},
        "workers": [
            {
                "pm_id": 0,
                "pid": 11,
                "rss": 104857600,
                "restarts": 3,
                "answer_ms": 12.5,
                "online": True,
                "age": 60.5,
                "cpu_seconds": 1.25,
                "open_files": 30,
                "heap_used": 2000,
                "heap_size": 3000,
                "event_loop_ms": {"p50": 0.5, "p95": None},
                "pool": {"total": 5, "idle": 3, "waiting": 0, "max": 10},
            },
            {"pm_id": 1, "pid": None, "rss": None, "restarts": 0, "answer_ms": None, "online": False},
        ],
        "host": {"available": 1000, "total": 4000},
        "disk": {"/srv/shop": {"free": 5000, "inodes": 60}, "/var/log/shop": {"free": 4000, "inodes": None}},
        "log_bytes": 700,
        "probe_seconds": 0.012,
    },
}


def render(status: Mapping[str, Any]) -> str:
    """As of the service shop, whatever the status says."""
    return text.render("shop", metrics_of(status))


def lines(status: dict[str, Any]) -> list[str]:
    return [line for line in render(status).splitlines() if not line.startswith("#")]


def test_what_the_status_says_is_there() -> None:
    assert {
        'nodejs_service_heartbeat_timestamp_seconds{service="shop"} 1764100000.25',
        'nodejs_service_state{service="shop",state="recovering"} 1',
        'nodejs_service_state{service="shop",state="healthy"} 0',
        'nodejs_service_target_phase{service="shop",target="proxy",phase="healthy"} 1',
        'nodejs_service_problem{service="shop",key="service.worker_hung",code="worker_hung",severity="critical"} 1',
        'nodejs_service_recovery_actions_total{service="shop"} 7',
        'nodejs_service_recovery_budget_used{service="shop",target="service"} 2',
        'nodejs_service_recovery_budget_limit{service="shop"} 5',
        'nodejs_service_worker_up{service="shop",worker="0"} 1',
        'nodejs_service_worker_up{service="shop",worker="1"} 0',
        'nodejs_service_worker_rss_bytes{service="shop",worker="0"} 104857600',
        'nodejs_service_worker_restarts_total{service="shop",worker="0"} 3',
        'nodejs_service_health_answer_seconds{service="shop",worker="0"} 0.0125',
        'nodejs_service_worker_age_seconds{service="shop",worker="0"} 60.5',
        'nodejs_service_worker_cpu_seconds_total{service="shop",worker="0"} 1.25',
        'nodejs_service_worker_open_files{service="shop",worker="0"} 30',
        'nodejs_service_worker_heap_used_bytes{service="shop",worker="0"} 2000',
        'nodejs_service_worker_heap_size_bytes{service="shop",worker="0"} 3000',
        'nodejs_service_worker_event_loop_lag_p50_seconds{service="shop",worker="0"} 0.0005',
        'nodejs_service_heap_limit_bytes{service="shop"} 268435456',
        'nodejs_service_daemon_rss_bytes{service="shop"} 70000000',
        'nodejs_service_host_memory_available_bytes{service="shop"} 1000',
        'nodejs_service_certificate_left_seconds{service="shop"} 1771200',
        'nodejs_service_backup_age_seconds{service="shop"} 19800',
        'nodejs_service_backup_proof_age_seconds{service="shop"} 172800',
        'nodejs_service_inhibition{service="shop",target="service",code="deployment"} 1',
        'nodejs_service_recovery_steps_total{service="shop",step="kill_worker"} 2',
        'nodejs_service_recovery_steps_total{service="shop",step="restart_proxy"} 0',
        'nodejs_service_release_info{service="shop",release="3fa9",activation="3fa9@2"} 1',
        'nodejs_service_deployment_timestamp_seconds{service="shop",result="failed",release="77aa"} 1764000000.5',
        'nodejs_service_deployment_duration_seconds{service="shop",result="failed",release="77aa"} 12.5',
        'nodejs_service_diagnosis_timestamp_seconds{service="shop"} 1764099900.5',
        'nodejs_service_diagnosis_interval_seconds{service="shop"} 300',
        'nodejs_service_diagnosis_findings{service="shop",level="ok"} 44',
        'nodejs_service_diagnosis_finding{service="shop",check="disk./",level="warning"} 1',
        'nodejs_service_database_connections{service="shop"} 12',
        'nodejs_service_database_connections_limit{service="shop"} 40',
        'nodejs_service_database_server_connections_ratio{service="shop"} 0.125',
        'nodejs_service_worker_pool_connections{service="shop",worker="0"} 5',
        'nodejs_service_worker_pool_connections_idle{service="shop",worker="0"} 3',
        'nodejs_service_worker_pool_connections_limit{service="shop",worker="0"} 10',
        'nodejs_service_worker_pool_waiting_requests{service="shop",worker="0"} 0',
        'nodejs_service_disk_free_bytes{service="shop",path="/srv/shop"} 5000',
        'nodejs_service_disk_free_inodes{service="shop",path="/srv/shop"} 60',
        'nodejs_service_log_size_bytes{service="shop"} 700',
        'nodejs_service_probe_duration_seconds{service="shop"} 0.012',
        'nodejs_service_watchdog_cpu_seconds_total{service="shop",part="itself"} 1.5',
        'nodejs_service_watchdog_cpu_seconds_total{service="shop",part="commands"} 3.25',
        'nodejs_service_watchdog_rss_bytes{service="shop"} 31457280',
        'nodejs_service_host_memory_size_bytes{service="shop"} 4000',
    } <= set(lines(STATUS))


def test_what_was_not_read_is_left_out() -> None:
    found = lines(STATUS)
    assert [line for line in found if 'worker="1"' in line] == [
        'nodejs_service_worker_up{service="shop",worker="1"} 0',
        'nodejs_service_worker_restarts_total{service="shop",worker="1"} 0',
    ]
    assert not [line for line in found if 'phase="paused"' in line]
    assert not [line for line in found if "_inhibition{" in line and "proxy" in line]
    assert not [line for line in found if "_inodes{" in line and "/var/log" in line]
    bare = render({"service": "shop"})
    assert "worker" not in bare
    assert "heartbeat" not in bare


def test_labels_are_escaped_and_odd_readings_left_out() -> None:
    problems = [{"key": 'a"b\\c\nd', "severity": "warning"}, "odd"]
    status = {"service": "shop", "time": float("nan"), "problems": problems, "targets": [], "readings": {"workers": 5}}
    assert 'nodejs_service_problem{service="shop",key="a\\"b\\\\c\\nd",code="",severity="warning"} 1' in lines(status)
    assert not [line for line in lines(status) if "heartbeat" in line]
    huge = {"service": "shop", "readings": {"workers": [{"pm_id": 0, "restarts": 10**400, "online": True}]}}
    assert lines(huge)[-1] == 'nodejs_service_worker_up{service="shop",worker="0"} 1'


def test_a_problem_that_is_listed_twice_is_one_series() -> None:
    halves = [{"key": half, "severity": "warning"} for half in ("\ud800", "\ud801")]
    assert len([line for line in lines({**STATUS, "problems": halves}) if "_problem{" in line]) == 1
    entry = STATUS["problems"][0]
    assert len([line for line in lines({**STATUS, "problems": [entry, entry]}) if "_problem{" in line]) == 1


def counted() -> Requests:
    """One request of each kind that is counted."""
    requests = Requests(Objectives(99.9, 99, 0.5), entry=True)
    fields = {"rate_limit": "PASSED", "connection_limit": "", "upstream_seconds": "0.1"}
    requests.add(json.dumps({"route": "/", "status": 200, "seconds": 0.1, **fields}).encode())
    return requests


def test_every_documented_metric_is_made_of_what_the_watchdog_publishes() -> None:
    problem = Problem("service.crash_loop", Code.CRASH_LOOP, "warning", "5 restarts")
    state = State(actions_total=7, problems={problem.key: Open(problem, 4000.0)})
    moment = Moment(5000.0, 1764100000.0)
    stopped = Inhibition(Code.STOPPED_BY_OPERATOR, "it was stopped")
    found = [
        {"check": "certificates", "status": "warning", "value": 20.5, "unit": "days"},
        {"check": "connections.open", "status": "ok", "value": 12.5, "threshold": 80, "unit": "%"},
        {"check": "connections.of.shop", "status": "ok", "value": 12, "threshold": 40, "unit": "connections"},
        {"check": "backup.newest", "status": "ok", "value": 5.5, "threshold": 30, "unit": "hours"},
        {"check": "backup.restore", "status": "ok", "value": 2, "threshold": 10, "unit": "days"},
    ]
    seen = Assessment({}, {SERVICE: stopped}, diagnosis=summary(found, "shop", 4900.0))
    pool = {"total": 5, "idle": 3, "waiting": 0, "max": 10}
    probe = readings(
        answers=replace(HEALTHY.answers, pools={100: pool}),
        log_bytes=700,
        deployed={"succeeded": Deployed(1764000000.5, 12.5, "1a2b3c", "1a2b3c", "succeeded")},
    )
    status = describe(
        settings(diagnosis_interval=300), state, seen, probe, pause=None, moment=moment, steps={Remedy.KILL_WORKER: 2}
    )
    shown = render(json.loads(json.dumps(status))) + text.render("shop", counted().metrics())
    page = DOCUMENTATION.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (nodejs_service_\w+) \|", page, re.MULTILINE))
    assert documented == set(re.findall(r"^(nodejs_service_\w+?)(?:_bucket|_sum|_count)?\{", shown, re.MULTILINE))
    for sample in (
        'recovery_actions_total{service="shop"} 7',
        'worker_up{service="shop",worker="1"} 1',
        'worker_rss_bytes{service="shop",worker="1"} 104857600',
        'health_answer_seconds{service="shop",worker="0"} 0.0125',
        'host_memory_available_bytes{service="shop"} 4800000000',
        'diagnosis_timestamp_seconds{service="shop"} 1764099900',
        'diagnosis_findings{service="shop",level="critical"} 0',
        'database_connections{service="shop"} 12',
        'recovery_steps_total{service="shop",step="kill_worker"} 2',
        'recovery_steps_total{service="shop",step="restart_proxy"} 0',
        'deployment_timestamp_seconds{service="shop",result="succeeded",release="1a2b3c"} 1764000000.5',
        'release_info{service="shop",release="1a2b3c",activation="1a2b3c"} 1',
        'disk_free_inodes{service="shop",path="/srv"} 60000',
    ):
        assert f"nodejs_service_{sample}\n" in shown


@given(STATUSES)
def test_whatever_the_status_is_the_metrics_are_of_the_service_alone(status: dict[str, Any]) -> None:
    shown = render(status)
    assert (shown == "") == (status == {})
    seen = set()
    for line in shown.split("\n")[:-1]:
        if COMMENT.fullmatch(line):
            continue
        series, _space, value = line.rpartition(" ")
        assert SERIES.fullmatch(series), line
        assert float(value) - float(value) == 0, line
        assert series not in seen, line
        seen.add(series)


def test_a_service_that_runs_under_something_else_has_no_release() -> None:
    around = settings(existing={"supervisor": "pm2", "url": "http://h", "app": "shop"})
    moment = Moment(5000.0, 1764100000.0)
    for configured, activation in ((around, "shop"), (settings(), None)):
        seen = readings(activation=activation)
        status = describe(configured, State(), Assessment({}), seen, pause=None, moment=moment, steps={})
        assert "release_info" not in render(json.loads(json.dumps(status)))


def test_a_flood_of_series_is_cut() -> None:
    shown = render({"problems": [{"key": "k" * 5000 + str(n), "severity": n} for n in range(5000)]})
    assert shown.count("nodejs_service_problem{") == 500
    assert max(map(len, shown.splitlines())) < 500


def test_names_that_are_others_each_time_make_no_series_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, seconds = text.Recent(), 0.0
    monkeypatch.setattr(text, "time", SimpleNamespace(monotonic=lambda: seconds))

    def series(start: int) -> list[str]:
        status = {"state": "healthy", "problems": [{"key": str(n)} for n in range(start, start + 500)]}
        shown = text.render("shop", metrics_of(status), recent)
        assert 'nodejs_service_state{service="shop",state="healthy"} 1\n' in shown, "it stays once it was there"
        return [line for line in shown.splitlines() if line.startswith("nodejs_service_problem{")]

    assert sum(len(series(start)) for start in range(0, 10000, 500)) < 3000
    assert len(series(0)) == 500
    seconds = 3601.0
    assert len(series(10000)) == 500
