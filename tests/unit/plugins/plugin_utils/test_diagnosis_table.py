# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many hosts as one table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.report import parse_report
from ansible_collections.workbot.stability.plugins.plugin_utils._diagnosis_table import (
    HostResult,
    mixed_releases,
    result_of,
    table,
    verdict_of,
)

FINDINGS = [
    {"check": "disk./", "status": "warning", "message": "90 % used"},
    {"check": "health", "status": "critical", "message": "no\nanswer"},
    {"check": "database", "status": "unknown", "message": "too busy"},
    {"check": "release", "status": "ok", "message": "abc"},
]


def test_a_table_has_the_worst_first_and_nothing_of_what_is_well() -> None:
    results = [
        HostResult("shop1", "ok", FINDINGS[3:]),
        HostResult("shop2", "critical", FINDINGS),
        HostResult("a-long-name", "unreachable", problem="no route to host"),
    ]
    assert [line for _status, line in table(results)] == [
        "HOST         STATUS       CRITICAL  UNKNOWN  WARNING   OK",
        "shop1        ok                  0        0        0    1",
        "shop2        critical            1        1        1    1",
        "    critical  health    no answer",
        "    unknown   database  too busy",
        "    warning   disk./    90 % used",
        "a-long-name  unreachable  no route to host",
    ]
    assert verdict_of(results) == "2 of 3 hosts: shop2 (critical), a-long-name (unreachable)"
    assert verdict_of(results[:1]) == ""
    assert (
        verdict_of([HostResult("shop3", "unknown"), HostResult("shop4", "warning")]) == "1 of 2 hosts: shop3 (unknown)"
    )


def test_of_several_tasks_those_that_ran_count() -> None:
    ran = {"status": "ok", "findings": FINDINGS[3:], "problem": ""}
    assert result_of("proxy1", {"skipped": True}, ran) == HostResult("proxy1", "ok", FINDINGS[3:])
    assert result_of("shop1", ran, {"skipped": True}).status == "ok"
    worse = {"status": "warning", "findings": FINDINGS[:1], "problem": "busy"}
    both = HostResult("all-in-one", "warning", [FINDINGS[3], FINDINGS[0]], "busy")
    assert result_of("all-in-one", ran, worse) == both
    assert result_of("all-in-one", ran, {"failed": True, "msg": "no"}) == HostResult(
        "all-in-one", "failed", problem="no"
    )


def test_different_releases_are_told() -> None:
    def running(name: str, release: str) -> HostResult:
        return HostResult(name, "ok", [{"check": "release", "status": "ok", "message": "", "value": release}])

    hosts = [running("shop1", "a"), running("shop2", "b"), running("shop3", "a"), HostResult("proxy1", "ok")]
    assert table(hosts)[-1] == (
        "warning",
        "The hosts run different releases: a on shop1, shop3; b on shop2. Deploy, or roll back, on all of them.",
    )
    assert mixed_releases([hosts[0], hosts[2]]) == ""


def test_warnings_alone_are_no_failure() -> None:
    assert verdict_of([HostResult("shop1", "warning", FINDINGS[:1])]) == ""


@pytest.mark.parametrize(
    ("registered", "status", "problem"),
    [
        ({"status": "ok", "findings": FINDINGS[3:], "problem": ""}, "ok", ""),
        ({"unreachable": True, "msg": "Failed to connect:\n  refused"}, "unreachable", "Failed to connect: refused"),
        ({"failed": True, "msg": "no python"}, "failed", "no python"),
        ({"skipped": True}, "failed", "the diagnosis did not run on this host"),
        ({}, "failed", "the task failed"),
        (None, "failed", "the diagnosis did not run on this host"),
    ],
)
def test_what_a_host_has_registered(registered: dict[str, Any] | None, status: str, problem: str) -> None:
    result = result_of("shop1", registered)
    assert (result.status, result.problem) == (status, problem)


@pytest.mark.parametrize("output", ["", "x", "[]", "{}", '{"status": "fine", "findings": []}', '{"findings": [1]}'])
def test_what_is_no_report_is_told(output: str) -> None:
    report = parse_report(output, "\x1b[31mpermission denied\n")
    assert report["status"] == "critical"
    assert report["problem"] == "the diagnosis gave no report: \\x1b[31mpermission denied"


def test_a_report_is_passed_on() -> None:
    report = parse_report(json.dumps({"status": "warning", "findings": FINDINGS[:1], "elapsed_ms": 5}), "")
    assert report == {"status": "warning", "findings": FINDINGS[:1], "problem": ""}
