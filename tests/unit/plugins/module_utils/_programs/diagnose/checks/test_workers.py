# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about each worker."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    FallingThresholds,
    Finding,
    Thresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import HealthReading
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import (
    ANSWERED,
    HUNG,
    REFUSED,
    WorkerAnswer,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import ProcessReading, ProcessTree
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Answer
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.trends import (
    Growth,
    judge_growth,
    judge_restarts,
    judge_rows,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.workers import (
    Descriptors,
    daemon_memory,
    judge_answers,
    judge_descriptors,
    read_descriptors,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.runner import Context
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples

HOUR = 3600.0
MB = 1024 * 1024
LIMITS = Thresholds(300, 800)
WORKERS = {11: "worker 0", 12: "worker 1"}


def answer(pid: int | None, taken: float) -> WorkerAnswer:
    return WorkerAnswer(HealthReading(Answer(200, {}, b"", taken, "/")), pid, taken, ANSWERED)


SILENT = WorkerAnswer(HealthReading(None, "no answer within 1 s", timed_out=True), None, 1000, HUNG)
REFUSING = WorkerAnswer(HealthReading(None, "connection refused"), None, 1, REFUSED)


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


@pytest.mark.parametrize(
    ("answers", "due", "expected"),
    [
        ([answer(11, 5), answer(12, 9)], {11, 12}, {"event_loop": OK}),
        ([answer(11, 5), answer(12, 400)], {11, 12}, {"event_loop.1": WARNING}),
        ([answer(11, 900), answer(12, 400)], {11, 12}, {"event_loop.0": CRITICAL, "event_loop.1": WARNING}),
        ([answer(11, 5), SILENT], {11, 12}, {"event_loop.1": CRITICAL}),
        # the hung one has taken somebody else's connection: it shows by not being seen
        ([answer(11, 5), answer(11, 6)], {11, 12}, {"event_loop.1": CRITICAL}),
        # a young worker, or one of an earlier release, need not be seen
        ([answer(11, 5), answer(11, 6)], {11}, {"event_loop": OK}),
        ([answer(11, 5), SILENT], {11}, {"event_loop.unanswered": CRITICAL}),
        ([SILENT, SILENT], {11, 12}, {"event_loop": CRITICAL}),
        ([], {11}, {"event_loop": CRITICAL}),
        # nobody tells which process answers
        ([answer(None, 5), answer(None, 6)], {11, 12}, {"event_loop": OK}),
        ([answer(None, 500)], set(), {"event_loop.worker": WARNING}),
        ([answer(99, 500)], set(), {"event_loop.99": WARNING}),
    ],
)
def test_workers_must_answer_in_time(answers: list[WorkerAnswer], due: set[int], expected: dict[str, str]) -> None:
    assert statuses(judge_answers(answers, WORKERS, due, LIMITS)) == expected


@pytest.mark.parametrize(
    ("answers", "timed"),
    [
        ([answer(11, 900), answer(12, 9)], True),
        ([answer(11, 5), SILENT], True),
        ([answer(11, 5), answer(11, 6)], True),
        ([answer(11, 5), REFUSING], False),
        ([SILENT, SILENT], True),
        ([REFUSING, SILENT], False),
    ],
)
def test_what_is_refused_is_no_matter_of_time(answers: list[WorkerAnswer], timed: bool) -> None:
    (finding,) = judge_answers(answers, WORKERS, {11, 12}, LIMITS)
    assert (finding.status, finding.timed) == (CRITICAL, timed)


@pytest.fixture
def context_at(tmp_path: Path) -> Callable[[float], Context]:
    samples = Samples(tmp_path / "state.json")
    return lambda now: Context({"thresholds": {"growth_hours": {"warning": 24, "critical": 2}}}, samples, now)


def process(pid: int, restarts: int, started_at: float) -> Pm2Process:
    return Pm2Process("app-1", 0, pid, "online", restarts, started_at)


def test_restarts_of_the_last_hour_are_counted(context_at: Callable[[float], Context]) -> None:
    def look(now: float, one: Pm2Process) -> tuple[int, str]:
        finding = judge_restarts(context_at(now), one, Thresholds(2, 5))
        assert isinstance(finding.value, int)
        return finding.value, finding.status

    assert look(0, process(1, 7, 0)) == (0, OK)
    assert look(60, process(1, 7, 0)) == (0, OK)
    # PM2 does not count a restart for too much memory; another process of another start time is one
    assert look(120, process(2, 7, 100)) == (1, OK)
    assert look(180, process(3, 8, 150)) == (2, WARNING)
    assert look(240, process(4, 12, 200)) == (6, CRITICAL)
    # the daemon was started anew and counts from zero
    assert look(300, process(5, 0, 250)) == (7, CRITICAL)
    assert look(240 + HOUR, process(5, 0, 250)) == (1, OK)


def tree(pid: int, rss_mb: int) -> ProcessTree:
    return ProcessTree("app-1.0", pid, (ProcessReading(pid, "node", 5.0, rss_mb * MB),))


def test_growth_is_measured_within_one_process(context_at: Callable[[float], Context]) -> None:
    def look(now: float, one: ProcessTree) -> float | int | str | None:
        (finding,) = judge_growth(context_at(now), [one], 1000)
        return finding.value

    assert look(60, tree(1, 20)) is None
    assert look(1800, tree(1, 90)) is None  # it has filled its caches
    assert look(HOUR, tree(1, 100)) is None  # the first one that counts
    assert look(HOUR + 600, tree(1, 300)) is None  # too early to tell
    assert look(2 * HOUR, tree(1, 400)) == 2.0  # 600 MB are left at 300 MB an hour
    assert look(3 * HOUR, tree(1, 400)) == 4.0  # not in the last hour, but by 300 MB in two
    assert look(4 * HOUR, tree(2, 900)) is None  # another process


def test_a_slow_leak_is_known_by_a_longer_look(context_at: Callable[[float], Context]) -> None:
    """A worker that goes up and down by 5 MB is none."""
    found = {}
    for minute in range(30, 900, 5):
        leak, wave = tree(1, 100 + minute), dataclasses.replace(tree(2, 100 + 5 * (minute // 30 % 2)), label="app-1.1")
        (finding,) = judge_growth(context_at(60.0 * minute), [leak, wave], 1000)
        found[minute] = (finding.value, finding.message)
    known = [minute for minute, (value, _message) in found.items() if value is not None]
    # two hours tell of eight, six hours of a day
    assert known == list(range(395, 900, 5))
    assert found[395][0] == pytest.approx((900 - 395) / 60, abs=0.1)
    assert all("app-1.0 grows by 60.0 MB an hour" in found[minute][1] for minute in known)


def test_a_leak_is_told_by_every_look_however_often_there_is_one(context_at: Callable[[float], Context]) -> None:
    """The watchdog looks every five minutes: what comes and goes between two looks would be told again and again."""
    for minute in range(95, 395, 5):
        (finding,) = judge_growth(context_at(60.0 * minute), [tree(1, 200 + 2 * minute)], 1000)
        # half an hour tells of two hours, two hours of all that are left
        assert (finding.value is not None) == (minute >= 215), minute


@pytest.mark.parametrize(
    ("rows", "status", "hours"),
    [
        ([], OK, None),
        ([Growth("a", 500 * MB, -5 * MB, HOUR)], OK, None),
        ([Growth("a", 500 * MB, 10 * MB, HOUR)], OK, None),
        ([Growth("a", 500 * MB, 10 * MB, 13 * HOUR)], OK, 50.0),
        ([Growth("a", 500 * MB, 10 * MB, HOUR), Growth("b", 100 * MB, 50 * MB, 6 * HOUR)], WARNING, 18.0),
        ([Growth("a", 900 * MB, 100 * MB, HOUR)], CRITICAL, 1.0),
        ([Growth("a", 1100 * MB, 100 * MB, HOUR)], CRITICAL, 0.0),
    ],
)
def test_the_time_that_is_left_is_judged(rows: list[Growth], status: str, hours: float | None) -> None:
    finding = judge_rows(rows, 1000 * MB, FallingThresholds(24, 2))
    assert (finding.status, finding.value) == (status, hours)


def test_without_a_limit_growth_leads_nowhere(context_at: Callable[[float], Context]) -> None:
    assert judge_growth(context_at(0), [tree(1, 100)], 0) == []


def test_thresholds_of_what_runs_out_must_not_be_the_wrong_way_round() -> None:
    with pytest.raises(StabilityError, match=r"critical threshold \(24\) must be below the warning one \(2\)"):
        FallingThresholds(2, 24)


@pytest.mark.parametrize(("most", "status"), [(100_000, OK), (1, WARNING)])
def test_the_memory_of_pm2s_daemon_is_judged(tmp_path: Path, most: int, status: str) -> None:
    thresholds = {"daemon_mb": {"warning": most, "critical": 200_000}}
    config = {"pm2": {"home": str(tmp_path), "bin": "/usr/bin"}, "timeout_ms": 1000, "thresholds": thresholds}
    context = Context(config, Samples(tmp_path / "state.json"), 0)
    # whether there is one, the check processes says
    assert daemon_memory(context) == []
    titled = ["PM2 v7.0.4: God Daemon", "-c", "print(flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(titled, executable=sys.executable, stdin=pipe, stdout=pipe, stderr=pipe) as daemon:
        assert daemon.stdout is not None
        # it has its title a moment after its start
        daemon.stdout.readline()
        (tmp_path / "pm2.pid").write_text(f"{daemon.pid}\n")
        (finding,) = daemon_memory(context)
        under_systemd = {"supervisor": "systemd", "url": "http://127.0.0.1"}
        assert daemon_memory(dataclasses.replace(context, config={**config, "existing": under_systemd})) == []
    assert (finding.check, finding.status, finding.unit) == ("memory.daemon", status, "MB")
    assert 1 < finding.value < 100_000
    assert finding.message.endswith("or the next run of site.yml does.") == (status == WARNING)


def test_open_files_of_a_real_process() -> None:
    before = read_descriptors({os.getpid(): "this", 2**22 + 1: "gone"})[0]
    with Path("/dev/null").open():
        (found,) = read_descriptors({os.getpid(): "this"})
    assert (found.open, found.label) == (before.open + 1, "this")


@pytest.mark.parametrize(
    ("opened", "status"), [((10, 20), OK), ((10, 80), WARNING), ((96, 20), CRITICAL), ((96, 85), CRITICAL)]
)
def test_open_files_are_judged_by_their_limit(opened: tuple[int, int], status: str) -> None:
    found = [Descriptors(f"worker {number}", count, 100) for number, count in enumerate(opened)]
    (finding,) = judge_descriptors(found, Thresholds(80, 95))
    assert (finding.status, finding.value) == (status, max(opened))
    assert finding.message.startswith("2 processes are near their limit") == (opened == (96, 85))
    assert judge_descriptors([], Thresholds(80, 95)) == []


def test_each_worker_of_the_active_activation_is_asked(tmp_path: Path) -> None:
    config = {
        "release": {"active": str(tmp_path / "active")},
        "health": {"path": "/api/health", "http_timeout_ms": 1000},
        "pm2": {"instances": 3},
    }
    answers = Context(config, Samples(tmp_path / "state.json"), 0).answers()
    assert [answer.reading.error.partition(": ")[0] for answer in answers] == [
        str(tmp_path / "active" / f"{number}.sock") for number in range(3)
    ]
