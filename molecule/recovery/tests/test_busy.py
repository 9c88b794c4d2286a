# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the diagnosis says while other programs take the processors, and that it still knows what hangs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from faults import signal, unit_pids
from testinfra.host import Host

UNIT = "molecule-busy"
CROWD = "for n in $(seq 40); do while :; do :; done & done; wait"
RUNS = 5
SECONDS = 20


@pytest.fixture(scope="module", autouse=True)
def unattended(host: Host) -> Iterator[None]:
    """The watchdog has tests of its own."""
    host.check_output("workbot-watchdog pause --for 15m")
    yield
    host.check_output("workbot-watchdog resume")


@pytest.fixture
def busy(host: Host) -> Iterator[None]:
    host.check_output("systemd-run --quiet --unit=%s sh -c %s", UNIT, CROWD)
    yield
    host.check_output("systemctl kill --signal=KILL %s", UNIT)


def diagnose(host: Host, options: str = "") -> tuple[int, dict[str, dict[str, Any]]]:
    """Its exit status, and the findings by their check's name. Niced as the watchdog does it."""
    done = host.run(f"nice -n 10 workbot-diagnose --read-only --json {options}")
    return done.rc, {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


@pytest.mark.usefixtures("busy")
def test_a_busy_host_is_told_as_that_and_blames_nothing_else(host: Host) -> None:
    for _run in range(RUNS):
        status, findings = diagnose(host)
        told = {name: finding["message"] for name, finding in findings.items() if finding["status"] != "ok"}
        assert "critical" not in {finding["status"] for finding in findings.values()}, told
        assert status in (0, 1, 3)
        # where it gets a processor all the same, everything is known
        unknown = [name for name, finding in findings.items() if finding["status"] == "unknown"]
        assert (status == 3) == bool(unknown) == ("processors" in findings)
        for name in unknown:
            assert told[name].startswith(f"{name} is not known: the host was too busy")
        if unknown:
            assert findings["processors"]["status"] == "warning"
            assert told["processors"].startswith("other programs take the processors")


@pytest.mark.usefixtures("busy")
def test_a_database_that_is_given_time_answers_on_a_busy_host(host: Host) -> None:
    status, findings = diagnose(host, f"--check database --timeout {SECONDS}")
    assert status in (0, 1, 3), findings
    assert "did not finish" not in str(findings)


def test_a_database_that_hangs_is_critical_and_not_unknown(host: Host) -> None:
    servers = unit_pids(host, "system-postgresql.slice")
    signal(host, "STOP", *servers)
    try:
        status, findings = diagnose(host, f"--check database --timeout {SECONDS}")
    finally:
        signal(host, "CONT", *servers)
    assert status == 2
    assert list(findings) == ["database"]
    assert findings["database"]["status"] == "critical"
    assert "the server did not answer in time" in findings["database"]["message"]
