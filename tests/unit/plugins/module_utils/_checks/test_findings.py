# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    UNKNOWN,
    WARNING,
    Finding,
    Thresholds,
    ago,
    fails,
    judge_share,
    worst_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


def finding(status: str) -> Finding:
    return Finding("check", status, "message")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], OK),
        ([OK, OK], OK),
        ([OK, WARNING], WARNING),
        ([UNKNOWN, WARNING], UNKNOWN),
        ([CRITICAL, WARNING, UNKNOWN], CRITICAL),
    ],
)
def test_the_worst_status_counts(statuses: list[str], expected: str) -> None:
    assert worst_of(finding(status) for status in statuses) == expected


@pytest.mark.parametrize(
    ("status", "fail_on", "expected"),
    [
        (WARNING, "critical", False),
        (CRITICAL, "critical", True),
        (WARNING, "warning", True),
        (CRITICAL, "never", False),
        (OK, "warning", False),
        (UNKNOWN, "warning", True),
        (UNKNOWN, "critical", False),
    ],
)
def test_fail_on(status: str, fail_on: str, expected: bool) -> None:
    assert fails(status, fail_on) is expected


@pytest.mark.parametrize(("warning", "critical"), [(95, 80), (80, 80), (0, 80), (-1, 80), (float("nan"), 80)])
def test_thresholds_that_contradict_are_refused(warning: float, critical: float) -> None:
    with pytest.raises(StabilityError, match="below the critical"):
        Thresholds(warning, critical)


@pytest.mark.parametrize(
    ("percent", "status", "threshold"), [(79.9, OK, 80), (80, WARNING, 80), (94.9, WARNING, 80), (95, CRITICAL, 95)]
)
def test_a_share_is_judged_at_the_thresholds_themselves(percent: float, status: str, threshold: float) -> None:
    judged = judge_share("disk", percent, Thresholds(80, 95), "used", "Free space.")
    assert (judged.status, judged.value, judged.threshold, judged.unit) == (status, percent, threshold, "%")
    assert ("Free space." in judged.message) is (status != OK)


def test_whether_it_is_a_matter_of_time_is_for_the_diagnosis_alone() -> None:
    assert Finding("a", OK, "well", 1, 2, "ms", timed=True).as_dict() == {
        "check": "a", "status": OK, "message": "well", "value": 1, "threshold": 2, "unit": "ms",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 seconds"), (90, "90 seconds"), (600, "10 minutes"), (7200, "2 hours"), (864000, "10 days")],
)
def test_a_span_is_said_as_people_do(seconds: float, said: str) -> None:
    assert ago(seconds) == said
