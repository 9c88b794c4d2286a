# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from subprocess import CompletedProcess

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import units
from ansible_collections.workbot.stability.plugins.module_utils._host.units import (
    UnitError,
    parse_units,
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
