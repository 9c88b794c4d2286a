# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    Finding,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.memory import (
    MB,
    THRESHOLDS,
    CgroupReading,
    HeapReading,
    MemoryReading,
    collect_heaps,
    heap_of_body,
    judge_memory,
    limits_of,
    read_cgroup,
    read_memory,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import (
    ProcessReading,
    ProcessTree,
    read_trees,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process

LEVELS = {name: {"warning": 80, "critical": 95} for name in THRESHOLDS}


def tree(rss_mb: int, pid: int = 10) -> ProcessTree:
    return ProcessTree("app.0", pid, (ProcessReading(pid, "node", 0.0, rss_mb * MB),))


def judge(
    rss_mb: int = 100,
    heap: HeapReading | None = None,
    available: float = 0.5,
    group: CgroupReading | None = None,
    **limits: int,
) -> dict[str, Finding]:
    reading = MemoryReading(
        (tree(rss_mb),), (heap,) if heap else (), 1000 * MB, round(1000 * available) * MB, (group,) if group else ()
    )
    return {finding.check: finding for finding in judge_memory(reading, limits_of(LEVELS, limits))}


def heap(used: int, total: int | None = None, limit: int | None = None) -> HeapReading:
    return HeapReading(10, used * MB, total * MB if total else None, limit * MB if limit else None, "health")


def test_the_diagnosis_that_began_it_all_is_no_alarm() -> None:
    """334 of 409 MB is 82 % of heapTotal, and nothing to worry about with a limit of 2048 MB."""
    findings = judge(rss_mb=854, heap=heap(334, 409, 2048), memory_restart_mb=2560)
    assert {finding.status for finding in findings.values()} == {OK}
    assert findings["memory.heap.10"].value == 16.3
    assert findings["memory.heap_total.10"].value == 81.7
    assert "not judged" in findings["memory.heap_total.10"].message


@pytest.mark.parametrize(("used", "status"), [(79, OK), (80, WARNING), (95, CRITICAL)])
def test_the_heap_is_judged_against_its_limit(used: int, status: str) -> None:
    assert judge(heap=heap(used, 100, 100))["memory.heap.10"].status == status
    assert judge(heap=heap(used, 100), heap_limit_mb=100)["memory.heap.10"].status == status


def test_without_a_known_limit_nothing_is_judged() -> None:
    findings = judge(rss_mb=5000, heap=heap(99, 100))
    assert findings["memory.heap.10"].status == findings["memory.rss.app.0"].status == OK
    assert "no heap limit is known" in findings["memory.heap.10"].message


@pytest.mark.parametrize(("rss", "status"), [(79, OK), (80, WARNING), (95, CRITICAL), (200, CRITICAL)])
def test_rss_is_judged_against_the_restart_limit(rss: int, status: str) -> None:
    assert judge(rss_mb=rss, memory_restart_mb=100)["memory.rss.app.0"].status == status


@pytest.mark.parametrize(("available", "status"), [(0.21, OK), (0.2, WARNING), (0.05, CRITICAL)])
def test_the_hosts_memory_is_judged(available: float, status: str) -> None:
    assert judge(available=available)["memory.host"].status == status


def test_a_control_group_is_judged() -> None:
    assert judge(group=CgroupReading("/x", 96, 100))["memory.cgroup"].status == CRITICAL


def test_a_service_without_processes_is_critical() -> None:
    findings = judge_memory(MemoryReading((), (), 1000, 500), limits_of(LEVELS, {}))
    assert [finding.status for finding in findings] == [CRITICAL, OK]


def test_contradicting_thresholds_are_refused() -> None:
    with pytest.raises(StabilityError):
        limits_of(LEVELS | {"heap": {"warning": 99, "critical": 95}}, {})


@pytest.mark.parametrize("scale", [1, MB])
def test_a_heap_is_read_in_bytes_or_mb(scale: int) -> None:
    body = {"pid": 7, "memory": {"heapUsed": 90 * scale, "heapTotal": 120 * scale, "heapLimit": 2096 * scale}}
    assert heap_of_body(body) == HeapReading(7, 90 * MB, 120 * MB, 2096 * MB, "health")


@pytest.mark.parametrize(
    "body", [None, [], "OK", {}, {"memory": 5}, {"memory": {"heapUsed": "93"}}, {"memory": {"heapUsed": float("nan")}},
             {"memory": {"heapUsed": True}}, {"memory": {"heapUsed": -1}}]
)  # fmt: skip
def test_a_body_without_a_heap_gives_none(body: Any) -> None:
    assert heap_of_body(body) is None


def body(pid: int | None) -> dict[str, Any]:
    return {"memory": {"heapUsed": 50}, **({"pid": pid} if pid else {})}


def worker(pid: int, heap_used: int | None = 9 * MB) -> Pm2Process:
    return Pm2Process("app", 0, pid, "online", 0, 0.0, heap_used)


def test_workers_are_asked_until_all_have_answered() -> None:
    bodies = iter([body(1), body(1), body(2), body(1)])
    heaps = collect_heaps([worker(1), worker(2)], bodies, [1, 2])
    assert {heap.pid: heap.source for heap in heaps} == {1: "health", 2: "health"}
    assert len(list(bodies)) == 1


def test_a_worker_that_never_answered_is_known_from_pm2() -> None:
    heaps = collect_heaps([worker(1), worker(2), worker(3, None)], [body(1), None, body(1)], [1, 2, 3])
    assert {heap.pid: heap.source for heap in heaps} == {1: "health", 2: "pm2"}


def test_an_answer_without_a_pid_is_kept_as_one_of_an_unknown_worker() -> None:
    heaps = collect_heaps([], [body(None), body(None)], [1, 2])
    assert [heap.pid for heap in heaps] == [None]


def group(directory: Path, files: dict[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(content)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc"


def test_version_2_the_tightest_limit_on_the_way_up_counts(tmp_path: Path, proc: Path) -> None:
    group(proc / "5", {"cgroup": "0::/system.slice/app.service\n"})
    group(tmp_path / "system.slice/app.service", {"memory.max": "max\n", "memory.current": "70\n"})
    group(
        tmp_path / "system.slice",
        {"memory.max": "100\n", "memory.current": "90\n", "memory.stat": "anon 60\ninactive_file 30\n"},
    )
    reading = read_cgroup(5, tmp_path, proc)
    assert reading == CgroupReading(str(tmp_path / "system.slice"), 60, 100)


def test_version_1_beside_version_2(tmp_path: Path, proc: Path) -> None:
    (tmp_path / "unified").mkdir()
    group(proc / "5", {"cgroup": "9:name=systemd:/a\n4:memory:/a\n2:cpu,cpuacct:/a\n0::/a\n"})
    group(tmp_path / "memory/a", {"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "5\n"})
    assert read_cgroup(5, tmp_path, proc) is None
    group(tmp_path / "memory/a", {"memory.limit_in_bytes": "100\n"})
    assert read_cgroup(5, tmp_path, proc) == CgroupReading(str(tmp_path / "memory/a"), 5, 100)


@pytest.mark.parametrize("membership", ["", "garbage", "0::/../../etc\n", "4:memory", "\n\n::::\n"])
def test_an_odd_membership_limits_nothing(tmp_path: Path, proc: Path, membership: str) -> None:
    group(proc / "5", {"cgroup": membership})
    assert read_cgroup(5, tmp_path, proc) is None


def test_this_very_process_can_be_read() -> None:
    reading = read_memory(read_trees([("me", os.getpid())]), [])
    assert reading.trees[0].rss > MB
    assert 0 < reading.host_available < reading.host_total
