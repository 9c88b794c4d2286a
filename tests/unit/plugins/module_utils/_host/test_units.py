# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import units
from ansible_collections.workbot.stability.plugins.module_utils._host.units import (
    UnitError,
    is_running,
    parse_units,
    run_unit,
    stop_unit,
    unit_states,
    was_stopped,
)
from places import FIXTURES


def test_units_are_parsed_from_real_output() -> None:
    found = parse_units((FIXTURES / "systemctl_show.txt").read_text())
    assert {name: unit["ActiveState"] for name, unit in found.items()} == {
        "cron.service": "active",
        "pm2-workbot.service": "active",
        "nosuch.service": "inactive",
    }
    assert found["nosuch.service"]["LoadState"] == "not-found"


DEATHS = parse_units((FIXTURES / "systemctl_show_deaths.txt").read_text())
STOPPED = ["stopped", "stopped-by-exit-code", "stopped-by-time-limit", "being-stopped"]


@pytest.mark.parametrize("unit", DEATHS)
def test_a_stop_is_told_from_a_crash_in_what_systemd_said_of_each(unit: str) -> None:
    assert was_stopped(DEATHS[unit]) is (unit.removesuffix(".service") in STOPPED)


@pytest.mark.parametrize(
    ("change", "stopped"),
    [
        ({}, True),
        ({"LoadState": "masked"}, True),
        ({"LoadState": "not-found"}, False),
        # what a crash has left is cleared away without a job
        ({"ActiveState": "deactivating"}, False),
        # systemd's own reasons to end a process that runs
        ({"Result": "watchdog"}, False),
        ({"Result": "oom-kill"}, False),
        # where systemd doesn't tell the times, nobody knows
        ({"ActiveExitTimestampMonotonic": "0"}, False),
        ({"ExecMainExitTimestampMonotonic": ""}, False),
    ],
)
def test_a_stop_that_failed(change: dict[str, str], stopped: bool) -> None:
    assert was_stopped({**DEATHS["stopped-by-time-limit.service"], **change}) is stopped


def test_nothing_is_known_of_a_unit_that_was_not_asked_for() -> None:
    assert not was_stopped({})


def test_what_systemd_says_of_no_unit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnitError, match="holds a name that is no unit's"):
        unit_states(["--all"])
    monkeypatch.setattr(units, "PLAIN", {"PATH": "/nonexistent"})
    with pytest.raises(UnitError, match=r"systemctl can't be asked: .*No such file"):
        unit_states(["cron.service"])
    monkeypatch.setattr(units, "quiet_run", lambda _argv, *_more: CompletedProcess([], 1, "", "Failed to connect\n"))
    with pytest.raises(UnitError, match=r"^systemctl show cron\.service: Failed to connect$"):
        unit_states(["cron.service"])


def test_who_changes_something_waits_for_a_busy_systemd_and_who_looks_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def answer(_argv: list[str], seconds: float, _environment: object) -> CompletedProcess[str]:
        limits.append(seconds)
        return CompletedProcess([], 0, "[]", "")

    monkeypatch.setattr(units, "quiet_run", answer)
    units.runs("shop.service")
    units.failed_units()
    assert limits[0] >= 30
    assert limits[1] <= 5


def test_a_failed_unit_is_one_also_where_its_description_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of systemd-run has, which is the command."""
    listed = [
        {
            "unit": "run-1.service",
            "load": "loaded",
            "active": "failed",
            "sub": "failed",
            "description": "sh -c a\n10\nb",
        }
    ]
    monkeypatch.setattr(units, "quiet_run", lambda _argv, *_more: CompletedProcess([], 0, json.dumps(listed), ""))
    assert units.failed_units() == ["run-1.service"]


@pytest.mark.parametrize(
    ("state", "running"),
    [
        ("active", True),
        ("activating", True),
        ("deactivating", True),
        ("reloading", True),
        ("inactive", False),
        ("failed", False),
    ],
)
def test_a_unit_runs_until_it_has_ended(state: str, running: bool) -> None:
    assert is_running({"ActiveState": state}) is running


class Systemctl:
    """A program of that name; what it says of the unit is in a file, and what it was asked in another."""

    def __init__(self, directory: Path) -> None:
        self._state, self._asked, self._ending = (directory / name for name in ("state", "asked", "ending"))
        self._asked.touch()
        self._ending.write_text("inactive")
        program = directory / "systemctl"
        program.write_text(
            f"""#!/bin/sh
case $1 in
show) echo "Id=$4"; echo "ActiveState=$(cat {self._state})"; exit ;;
esac
echo "$*" >> {self._asked}
case $1 in
stop) cp {self._ending} {self._state} ;;
start) case $(cat {self._state}) in hangs) exec sleep 30 ;; refuses) echo "Job failed" >&2; exit 1 ;; esac ;;
esac
exit 0
"""
        )
        program.chmod(0o755)
        self._journal = directory / "journalctl"
        self.logs("echo the end of its journal")

    def has(self, state: str, after_a_stop: str = "inactive") -> None:
        self._state.write_text(state)
        self._ending.write_text(after_a_stop)

    def logs(self, command: str) -> None:
        self._journal.write_text(f"#!/bin/sh\n{command}\n")
        self._journal.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines()


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    monkeypatch.setattr(units, "PLAIN", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Systemctl(tmp_path)


UNIT = "shop@a@2.service"


def test_a_unit_is_started(systemctl: Systemctl) -> None:
    systemctl.has("inactive")
    run_unit("start", UNIT, 10)
    assert systemctl.asked == [f"start -- {UNIT}"]


def test_a_unit_that_does_not_start_is_told_with_its_journal(systemctl: Systemctl) -> None:
    systemctl.has("refuses")
    with pytest.raises(UnitError, match=r"^systemctl start shop@a@2\.service: Job failed\nthe end of its journal$"):
        run_unit("start", UNIT, 10)


def test_of_a_journal_so_much_is_read_as_can_be_shown(systemctl: Systemctl) -> None:
    systemctl.has("refuses")
    systemctl.logs("echo first; head -c 5000000 /dev/zero | tr '\\0' x")
    with pytest.raises(UnitError, match=r"Job failed\nfirst\nx{1000}$"):
        run_unit("start", UNIT, 10)
    systemctl.logs("exec seq 10000000")
    with pytest.raises(UnitError, match=r"\n1\n2\n3\n") as raised:
        run_unit("start", UNIT, 10)
    assert 60_000 < len(str(raised.value)) < 66_000


def test_a_journal_takes_bounded_time_and_memory(systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl.has("refuses")
    systemctl.logs(f"exec {sys.executable} -c 'print(len(bytearray(300_000_000)))'")
    with pytest.raises(UnitError, match=r"Job failed$"):
        run_unit("start", UNIT, 10)
    monkeypatch.setattr(units, "_JOURNAL_SECONDS", 0.3)
    systemctl.logs("echo first; sleep 30; echo second")
    began = time.monotonic()
    with pytest.raises(UnitError, match=r"Job failed\nfirst$"):
        run_unit("start", UNIT, 10)
    assert time.monotonic() - began < 10


def test_a_start_takes_no_longer_than_agreed(systemctl: Systemctl) -> None:
    systemctl.has("hangs")
    with pytest.raises(TimeoutExpired):
        run_unit("start", UNIT, 0.2)


@pytest.mark.parametrize(
    ("state", "after_a_stop", "asked"),
    [
        ("active", "inactive", ["stop"]),
        ("activating", "inactive", ["stop"]),
        ("deactivating", "inactive", ["stop"]),
        ("inactive", "inactive", []),
        ("failed", "failed", ["reset-failed"]),
        # by a time limit, or by an exit code
        ("active", "failed", ["stop", "reset-failed"]),
    ],
)
def test_a_unit_is_stopped_and_that_it_failed_is_forgotten(
    systemctl: Systemctl, state: str, after_a_stop: str, asked: list[str]
) -> None:
    systemctl.has(state, after_a_stop)
    stop_unit(UNIT)
    assert systemctl.asked == [f"{verb} -- {UNIT}" for verb in asked]
