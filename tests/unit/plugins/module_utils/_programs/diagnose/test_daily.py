# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day's worst values and what changed since the day before."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    UNKNOWN,
    WARNING,
    Finding,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.daily import Days, summary
from hypothesis import given
from hypothesis import strategies as st

HOUR = 3600.0
DAY = 24 * HOUR


def disk(percent: float, status: str = OK) -> Finding:
    return Finding("disk./", status, f"{percent} % used", percent, 85, "%")


def add(path: Path, now: float, *findings: Finding) -> Days:
    days = Days(path, now)
    days.add(findings, now)
    return days


def test_the_worst_of_a_day_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "days.json"
    for hour, percent in enumerate((50, 70, 60)):
        days = add(path, hour * HOUR, disk(percent))
    worst = days.today.worst["disk./"]
    assert (worst.value, worst.time, days.today.runs) == (70, HOUR, 3)
    add(path, 4 * HOUR, disk(90, WARNING))
    assert add(path, 5 * HOUR, disk(80)).today.worst["disk./"].value == 90


def test_what_was_found_out_counts_before_what_is_not_known(tmp_path: Path) -> None:
    path, unknown = tmp_path / "days.json", Finding("disk./", UNKNOWN, "the host was too busy")
    assert add(path, 0, unknown).today.worst["disk./"].status == UNKNOWN
    assert add(path, HOUR, disk(50)).today.worst["disk./"].value == 50
    assert add(path, 2 * HOUR, unknown).today.worst["disk./"].value == 50


def test_of_what_runs_out_the_least_is_the_worst(tmp_path: Path) -> None:
    path = tmp_path / "days.json"
    for days_left, status in ((80.0, OK), (79.0, OK), (20.0, WARNING), (19.0, WARNING), (60.0, OK)):
        days = add(path, 0, Finding("certificates", status, "", days_left, 21, "days"))
    assert days.today.worst["certificates"].value == 19.0


def test_processes_and_releases_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "days.json"
    add(path, 0, Finding("memory.rss.app-1.0", OK, "", 10, 85, "%"))
    days = add(path, 0, Finding("memory.rss.app-2.0", OK, "", 12, 85, "%"))
    assert {name: worst.value for name, worst in days.today.worst.items()} == {"memory.rss": 12}


def test_a_report_tells_the_worst_and_the_changes(tmp_path: Path) -> None:
    path = tmp_path / "days.json"
    first = add(path, 0, disk(50), Finding("old", OK, "", 1, None), Finding("same", OK, "", 10, 100))
    assert "this is the first day" in summary(first.today, first.before)
    first.end(DAY)
    second = add(path, DAY, disk(97, CRITICAL), Finding("fresh", OK, "", 2, None), Finding("same", OK, "", 11, 100))
    text = summary(second.today, second.before)
    worst, changes = text.split("Changes since")
    assert "(1 runs):" in worst
    assert worst.splitlines()[2].startswith("critical  disk./")
    assert "worse     disk./  ok -> critical, 50 % -> 97 %  97 % used" in changes
    assert "new       fresh" in changes
    assert "gone      old" in changes
    assert "same" not in changes


def test_a_report_made_twice_does_not_end_the_day_twice(tmp_path: Path) -> None:
    path = tmp_path / "days.json"
    add(path, 0, disk(50)).end(DAY)
    add(path, DAY + HOUR, disk(10)).end(DAY + HOUR)
    days = Days(path, DAY + 2 * HOUR)
    assert days.before is not None
    assert (days.today.runs, days.before.worst["disk./"].value) == (1, 50)


@given(st.one_of(st.binary(max_size=100), st.sampled_from([b'{"today": {"since": 1}}', b'{"before": []}', b"[1]"])))
def test_a_corrupt_file_is_one_without_days(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("state") / "days.json"
    path.write_bytes(content)
    assert add(path, 0, disk(50)).before is None
    assert Days(path, 0).today.runs == 1
