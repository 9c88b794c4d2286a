# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about the host."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.system import (
    check_clock,
    check_cron,
    judge_clock,
    judge_failed,
    judge_kills,
    judge_reboot,
    kills_in,
    read_synchronised,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.runner import Context
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples

HOUR = 3600.0


def test_the_newest_report_tells_when_cron_ran(tmp_path: Path) -> None:
    now = time.time() + 100 * HOUR  # whenever this machine was started, it is long ago then
    section = {
        "directory": str(tmp_path),
        "report": "hourly.log",
        "since": str(tmp_path / "config"),
        "overdue_hours": 3,
    }
    context = Context({"cron": section}, Samples(tmp_path / "state"), now)

    def look() -> tuple[str, float | int | str | None]:
        (finding,) = check_cron(context)
        return finding.status, finding.value

    def touch(name: str, age: float) -> None:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now - age,) * 2)

    assert look()[0] == WARNING
    touch("config", 2 * HOUR)  # set up two hours ago
    assert look() == (OK, 2.0)
    touch("config", 50 * HOUR)
    touch("hourly.log.1", 4 * HOUR)
    assert look() == (WARNING, 4.0)
    touch("hourly.log", 0.5 * HOUR)
    assert look() == (OK, 0.5)


@pytest.mark.parametrize(
    ("reading", "jumps", "expected"),
    [
        ((True, False, 0), 0, {"clock": OK}),
        ((False, False, 0), 0, {"clock": WARNING}),
        ((False, True, 0), 0, {"clock": OK}),
        ((None, False, 0), 0, {"clock": OK}),
        ((True, False, -3600), 1, {"clock.jump": WARNING, "clock": OK}),
    ],
)
def test_the_clock_is_judged(reading: tuple[bool | None, bool, float], jumps: float, expected: dict[str, str]) -> None:
    assert {finding.check: finding.status for finding in judge_clock(*reading, jumps)} == expected


def test_the_kernel_says_whether_the_clock_is_kept() -> None:
    assert read_synchronised() in (True, False)


def test_a_clock_that_was_set_is_told_for_a_day(tmp_path: Path) -> None:
    samples, now = Samples(tmp_path / "state"), time.time()

    def checks(at: float) -> set[str]:
        return {finding.check for finding in check_clock(Context({}, samples, at))}

    assert "clock.jump" not in checks(now)
    assert "clock.jump" not in checks(now + 5)
    # an hour passes by the clock and no time by the kernel's count since boot
    assert "clock.jump" in checks(now + HOUR)
    assert "clock.jump" in checks(now + HOUR + 1)


def test_kills_are_the_kernels_own_count() -> None:
    assert kills_in("nr_free_pages 5\noom_kill 3\ndrop_slab 0\n") == 3
    assert kills_in("") == 0
    assert (judge_kills(0).status, judge_kills(2).status) == (OK, WARNING)


def test_failed_units_and_a_reboot() -> None:
    assert judge_failed([]).status == OK
    finding = judge_failed(["b.service", "a.service"])
    assert (finding.status, finding.value) == (WARNING, 2)
    assert "a.service, b.service" in finding.message
    assert judge_reboot(False, []).status == OK
    assert "linux-image" in judge_reboot(True, ["linux-image"]).message
