# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside busy programs nobody takes slow for broken, and what is broken all the same is told as what it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from faults import crowd, pids, signal, unit_pids
from recovery import Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until

UNIT = "molecule-busy"
DATABASE = "postgresql.service 'postgresql@*.service'"
# What may hold the watchdog back: each is so.
TRUE_REASONS = {"cpu_short", "database_down"}
SECONDS = 20
# They would take the processors from the tests of other lanes on the same machine as well.
FORTY = pytest.param(40, marks=pytest.mark.soak)


@contextmanager
def busy(host: Host, number: int) -> Iterator[None]:
    """So many programs want a processor all the time."""
    run = "systemd-run --quiet --collect --property=TimeoutStopSec=2 --unit=%s sh -c %s"
    host.check_output(run, UNIT, crowd(number))
    try:
        yield
    finally:
        host.check_output(f"systemctl stop {UNIT}")


def diagnose(host: Host, options: str = "") -> tuple[int, dict[str, dict[str, Any]]]:
    """Its exit status, and the findings by their check's name. Niced as the watchdog does it."""
    done = host.run(f"nice -n 10 workbot-diagnose --read-only --json {options}")
    return done.rc, {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def critical(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in findings.items() if finding["status"] == "critical"}


@pytest.mark.parametrize("number", [4, FORTY])
@pytest.mark.parametrize("seconds", [120, pytest.param(600, marks=pytest.mark.soak)])
def test_busy_programs_are_told_as_that_and_blame_nothing_else(
    host: Host, watch: Watch, began: float, number: int, seconds: int
) -> None:
    before = pids(host)
    # restarts that earlier tests have caused stay critical for an hour
    known = critical(diagnose(host)[1])
    with busy(host, number):
        while time.time() - began < seconds:
            status, findings = diagnose(host)
            told = {name: finding["message"] for name, finding in findings.items() if finding["status"] != "ok"}
            assert critical(findings) <= known, told
            # where it gets a processor all the same, everything is known
            unknown = [name for name, finding in findings.items() if finding["status"] == "unknown"]
            assert (status == 3) == bool(unknown) == ("processors" in findings)
            assert all(told[name].startswith(f"{name} is not known: the host was too busy") for name in unknown)
            assert not unknown or told["processors"].startswith("other programs take the processors")
            problems = [item for item in watch.status()["problems"] if item["severity"] == "critical"]
            assert {item["code"] for item in problems} <= {"cpu_short"}, problems
            time.sleep(5)
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep(f"{number} busy programs for {seconds} s", course)
    assert course.actions == ()
    assert pids(host) == before


@pytest.mark.parametrize("number", [4, FORTY])
def test_a_stopped_database_beside_busy_programs_is_told_and_nothing_is_restarted(
    host: Host, watch: Watch, began: float, number: int
) -> None:
    before = pids(host)

    def held_by() -> str:
        return str((watch.status()["targets"]["service"]["inhibition"] or {}).get("code", ""))

    with busy(host, number):
        host.check_output(f"systemctl stop {DATABASE}")
        try:
            assert until("held", held_by, 60) in TRUE_REASONS
            event = watch.until_told(began, "database_down", 180)
            assert "the database is the cause" in event["message"]
            for _look in range(4):
                time.sleep(5)
                assert held_by() in {*TRUE_REASONS, ""}
        finally:
            host.check_output("systemctl start postgresql.service")
    healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep(f"PostgreSQL stopped beside {number} busy programs", course)
    assert course.actions == ()
    assert pids(host) == before


@pytest.mark.parametrize("number", [4, FORTY])
def test_a_database_that_is_given_time_answers_on_a_busy_host(host: Host, number: int) -> None:
    with busy(host, number):
        status, findings = diagnose(host, f"--check database --timeout {SECONDS}")
    assert status in (0, 1, 3), findings
    assert "did not finish" not in str(findings)


def test_a_database_that_hangs_is_critical_and_not_unknown(host: Host, watch: Watch, began: float) -> None:
    servers = unit_pids(host, "system-postgresql.slice")
    signal(host, "STOP", *servers)
    try:
        status, findings = diagnose(host, f"--check database --timeout {SECONDS}")
    finally:
        signal(host, "CONT", *servers)
    assert (status, list(findings)) == (2, ["database"])
    assert findings["database"]["status"] == "critical"
    assert "the server did not answer in time" in findings["database"]["message"]
    assert watch.course(began, watch.until_well(began)).actions == ()
