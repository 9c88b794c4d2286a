# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report has of a host: what was measured and what happened, whatever the service's user puts in its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import MINUTE, Kept, Point
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.recorder import (
    Places,
    Recorder,
    readings_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.requests import (
    Objectives,
    Requests,
)
from ansible_collections.workbot.stability.plugins.module_utils._service import deployments
from hypothesis import given
from hypothesis import strategies as st

BEGIN = 1_764_028_800
STATUS: dict[str, Any] = {
    "targets": {"service": {"phase": "healthy"}},
    "limits": {"heap": 268435456, "memory": 402653184},
    "diagnosis": {"connections": 12, "connections_limit": 40},
    "readings": {
        "release": "r1",
        "daemon": {"rss": 70000000},
        "host": {"available": 1000, "total": 4000},
        "workers": [
            {"pm_id": 0, "rss": 100, "heap_used": 50, "event_loop_ms": {"p50": 0.5, "p95": 12.5}},
            {"pm_id": 1, "rss": None, "heap_used": None},
        ],
    },
}


@pytest.fixture
def requests() -> Requests:
    return Requests(Objectives(99.9, 99, 0.5), entry=True, routes=["/"])


@pytest.fixture
def places(tmp_path: Path) -> Places:
    logs = tmp_path / "logs"
    logs.mkdir()
    events = [str(logs / name) for name in ("monitor.log", "recovery.log")]
    disks = [str(tmp_path), str(logs), str(tmp_path / "gone")]
    return Places(str(tmp_path / "history.db"), events, {str(logs): ""}, disks, str(tmp_path))


@pytest.fixture
def recorder(places: Places, requests: Requests) -> Recorder:
    return Recorder(places, requests)


def kept(places: Places) -> dict[str, list[Point]]:
    return Kept(Path(places.store)).points(MINUTE, 0, BEGIN + 10**9, MINUTE)


def answer(requests: Requests, status: int = 200, seconds: float = 0.1) -> None:
    fields = {"rate_limit": "REJECTED" if status == 429 else "", "connection_limit": "", "upstream_seconds": "-"}
    requests.add(json.dumps({"route": "/", "status": status, "seconds": seconds, **fields}).encode())


def grown(status: dict[str, Any], rss: int) -> dict[str, Any]:
    worker = {**status["readings"]["workers"][0], "rss": rss}
    return {**status, "readings": {**status["readings"], "workers": [worker]}}


def test_a_minute_has_the_mean_and_the_peak_of_what_was_seen_in_it(places: Places, recorder: Recorder) -> None:
    for second, rss in ((1, 100), (20, 200), (59, 600)):
        recorder.take(grown(STATUS, rss), BEGIN + second)
    assert kept(places) == {}
    recorder.take(STATUS, BEGIN + 61)
    found = kept(places)
    assert found["worker.0.rss"] == [Point(BEGIN, 300.0, 600.0, 1)]
    values = {name: points[0].total for name, points in found.items()}
    assert values["healthy"] == 1
    assert values["memory.host"] == 75
    assert (values["limit.memory"], values["limit.heap"], values["daemon.rss"]) == (402653184, 268435456, 70000000)
    assert (values["connections.open"], values["connections.limit"]) == (12, 40)
    assert (values["worker.0.loop_p50"], values["worker.0.loop_p95"], values["worker.0.heap"]) == (0.5, 12.5, 50)
    assert not [name for name in values if name.startswith("worker.1")]


def test_requests_are_those_of_the_minute(places: Places, recorder: Recorder, requests: Requests) -> None:
    answer(requests)
    answer(requests, 503, 0.7)
    recorder.take({}, BEGIN)
    recorder.take({}, BEGIN + 60)
    answer(requests, 429, 0.001)
    recorder.take({}, BEGIN + 120)
    found = {name: [point.total for point in points] for name, points in kept(places).items()}
    assert found["requests.2xx"] == [1, 0]
    assert found["requests.4xx"] == [0, 1]
    assert found["requests.5xx"] == [1, 0]
    assert found["requests.slow"] == [1, 0]
    assert found["limited.rate"] == [0, 1]
    assert (found["seconds.0.1"], found["seconds.1.0"], found["seconds.0.005"]) == ([1, 0], [1, 0], [0, 1])
    assert found["objective.availability"] == [99.9, 99.9]


def test_without_an_access_log_there_are_no_requests_rather_than_none_each_minute(places: Places) -> None:
    recorder = Recorder(places, None)
    recorder.take(STATUS, BEGIN)
    recorder.take(STATUS, BEGIN + 60)
    assert not [name for name in kept(places) if name.startswith(("requests", "objective", "seconds"))]


def test_each_file_system_is_there_once(places: Places, recorder: Recorder) -> None:
    recorder.take({}, BEGIN)
    recorder.take({}, BEGIN + 60)
    disks = {name: points[0].total for name, points in kept(places).items() if name.startswith("disk.")}
    assert list(disks) == [f"disk.{places.disks[0]}"]
    assert 0 < disks[f"disk.{places.disks[0]}"] <= 100


def test_logs_grow_by_what_is_written_also_across_a_rotation(places: Places, recorder: Recorder) -> None:
    directory = Path(next(iter(places.logs)))
    log, pipe = directory / "out.log", directory / "pipe.log"
    log.write_text("a" * 1000, encoding="utf-8")
    os.mkfifo(pipe)
    (directory / "link.log").symlink_to(log)
    recorder.take({}, BEGIN)
    recorder.take({}, BEGIN + 60)
    with log.open("a", encoding="utf-8") as file:
        file.write("b" * 500)
    recorder.take({}, BEGIN + 120)
    log.rename(directory / "out.log.1")
    log.write_text("c" * 70, encoding="utf-8")
    recorder.take({}, BEGIN + 180)
    log.write_text("d" * 30, encoding="utf-8")
    recorder.take({}, BEGIN + 240)
    assert [point.total for point in kept(places)["log.bytes"]] == [500, 70, 30]


def test_what_the_watchdog_has_seen_and_done_is_kept_once(places: Places, recorder: Recorder) -> None:
    monitor, recovery = (Path(name) for name in places.events)
    problem = {"time": BEGIN + 1, "kind": "problem", "key": "service", "code": "worker_hung", "message": "a <b>"}
    lines = [problem, {"time": BEGIN, "kind": "reading", "state": "healthy"}, {"time": "x", "kind": "problem"}, [], 5]
    monitor.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{", encoding="utf-8")
    action = {"time": BEGIN + 2, "kind": "action", "key": "service.kill_worker", "code": "kill_worker"}
    recovery.write_text(json.dumps(action), encoding="utf-8")
    recorder.take({}, BEGIN + 5)
    monitor.rename(monitor.with_suffix(".1"))
    monitor.write_text(json.dumps({**problem, "time": BEGIN + 9, "kind": "resolved"}), encoding="utf-8")
    recorder.take({}, BEGIN + 10)
    found = Kept(Path(places.store)).events(0)
    assert [(event.kind, event.key, event.message) for event in found] == [
        ("problem", "service", "a <b>"),
        ("action", "service.kill_worker", ""),
        ("resolved", "service", "a <b>"),
    ]


def test_a_link_or_a_pipe_in_the_place_of_a_log_is_not_read(tmp_path: Path, places: Places, requests: Requests) -> None:
    monitor, recovery = (Path(name) for name in places.events)
    other = tmp_path / "other.log"
    other.write_text(json.dumps({"time": BEGIN, "kind": "problem", "key": "service"}), encoding="utf-8")
    monitor.symlink_to(other)
    os.mkfifo(recovery)
    Recorder(places, requests).take({}, BEGIN)
    assert Kept(Path(places.store)).events(0) == []


def test_deployments_are_events_once_a_minute(tmp_path: Path, places: Places, recorder: Recorder) -> None:
    deployments.note(tmp_path, deployments.Deployed(BEGIN - 50, 3.0, "r1", "r1", deployments.SUCCEEDED))
    recorder.take({}, BEGIN)
    deployments.note(tmp_path, deployments.Deployed(BEGIN + 5, 3.0, "r1", "r1@2", deployments.FAILED))
    recorder.take({}, BEGIN + 10)
    assert len(Kept(Path(places.store)).events(0)) == 1
    recorder.take({}, BEGIN + 60)
    found = Kept(Path(places.store)).events(0, "deployment")
    assert [(event.key, event.message, event.code, event.severity) for event in found] == [
        ("r1", "r1", "succeeded", "info"),
        ("r1", "r1@2", "failed", "warning"),
    ]


def test_what_can_not_be_written_ends_nothing(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.take(STATUS, BEGIN)
    recorder._history._database.execute("DROP TABLE reading")
    recorder.take(STATUS, BEGIN + 60)
    assert "no such table" in capsys.readouterr().err


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none(), max_size=2)
WORKERS = st.lists(st.dictionaries(st.sampled_from(["pm_id", "rss", "heap_used", "event_loop_ms"]), ODD) | ODD)


@given(st.dictionaries(st.sampled_from(["targets", "limits", "diagnosis"]), ODD), WORKERS, ODD)
def test_whatever_the_status_is_the_names_are_ours(status: dict[str, Any], workers: list[Any], host: Any) -> None:
    status["readings"] = {"workers": workers * 40, "host": host}
    found = list(readings_of(status))
    assert len({name for name, _value in found}) <= 32 * 4 + 10
    assert all(name.replace(".", "").replace("_", "").isalnum() and name.isascii() for name, _value in found)
