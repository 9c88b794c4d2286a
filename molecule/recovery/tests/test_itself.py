# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog itself is killed, hangs, or dies in the middle of a recovery; people go first."""

from __future__ import annotations

import json
import time

import pytest
from faults import STATE_DIRECTORY, WATCHDOG, main_pid, pids, signal
from recovery import Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until


@pytest.mark.parametrize("name", ["KILL", "STOP"])
def test_the_watchdog_is_brought_back_by_systemd(host: Host, watch: Watch, began: float, name: str) -> None:
    before, workers = main_pid(host, WATCHDOG), pids(host)
    signal(host, name, before)
    until("another one runs", lambda: main_pid(host, WATCHDOG) not in (0, before), 90)
    healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep("the watchdog " + {"KILL": "killed", "STOP": "hung (SIGSTOP)"}[name], course)
    assert course.actions == ()
    assert pids(host) == workers


def test_killed_in_the_middle_of_a_recovery_it_ends_it_safely(host: Host, watch: Watch, began: float) -> None:
    victim = min(pids(host))
    signal(host, "STOP", victim)

    def recovering() -> bool:
        return bool(host.run(f'grep -q \'"phase": *"recovering"\' {STATE_DIRECTORY}/state.json').rc == 0)

    until("a recovery has begun", recovering, 30)
    signal(host, "KILL", main_pid(host, WATCHDOG))
    healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep("the watchdog killed in the middle of a recovery", course)
    assert victim not in pids(host)
    assert len(course.actions) <= 2
    json.loads(host.check_output(f"cat {STATE_DIRECTORY}/state.json"))


def test_a_service_that_an_operator_stopped_stays_stopped(host: Host, watch: Watch, began: float) -> None:
    host.check_output("workbot-pm2 stop all")
    time.sleep(15)
    course = watch.course(began, None)
    keep("stopped by an operator (pm2 stop)", course)
    assert course.actions == ()
    assert pids(host) == set()
    assert watch.status()["targets"]["service"]["inhibition"]["code"] == "stopped_by_operator"
    host.check_output("workbot-pm2 start all")
    watch.until_well(time.time())


def test_paused_it_looks_and_leaves_alone(host: Host, watch: Watch, began: float) -> None:
    watch.command("pause --for 10m")
    victim = min(pids(host))
    signal(host, "STOP", victim)
    time.sleep(20)
    assert watch.status()["state"] == "paused"
    assert watch.actions(began) == ()
    resumed = time.time()
    watch.command("resume")
    healthy = watch.until_well(resumed)
    course = watch.course(resumed, healthy)
    keep("worker stopped while recovery was paused, from resume on", course)
    assert course.actions == ("kill_worker",)
