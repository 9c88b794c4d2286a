# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker dies, hangs, or lies about its health: it alone is replaced, and soon."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
from faults import armed, disarmed, fault, grown_worker, hasty, pids, sick, signal, workers
from recovery import MOST_ACTIONS, SOON, UNNOTICED, Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until


def test_a_killed_worker_is_pm2s_to_bring_back(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    victim = min(before)
    signal(host, "KILL", victim)
    healthy = watch.until_well(began, calm=UNNOTICED)
    course = watch.course(began, healthy)
    keep("worker killed (SIGKILL)", course)
    assert course.cured < SOON
    assert course.actions == ()
    assert victim not in pids(host)


def test_a_stopped_worker_is_killed_and_no_other(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    victim = min(before)
    signal(host, "STOP", victim)
    told = watch.until_told(began, "worker_hung")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("worker stopped (SIGSTOP)", course)
    assert course.cured < SOON
    assert course.actions == ("kill_worker",), told
    assert before - pids(host) == {victim}


def test_a_worker_whose_event_loop_is_blocked_is_killed(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    # no answer comes: who it was shows who is gone afterwards
    host.run("timeout 3 python3 -c %s", BLOCK)
    watch.until_told(began, "worker_hung")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("event loop blocked for 30 s", course)
    assert course.cured < SOON
    assert course.actions == ("kill_worker",)
    assert len(before - pids(host)) == 1


BLOCK = """
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/srv/workbot/active/0.sock")
connection.sendall(b"POST /faults/block?ms=30000 HTTP/1.1\\r\\nHost: workbot\\r\\nContent-Length: 0\\r\\n\\r\\n")
connection.recv(1)
"""


def test_an_exhausted_heap_ends_one_worker_which_pm2_brings_back(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    victim = fault(host, "exhaust")
    until("it is gone", lambda: victim not in pids(host), 20)
    healthy = watch.until_well(began, calm=UNNOTICED)
    course = watch.course(began, healthy)
    keep("heap exhausted", course)
    assert course.cured < SOON
    assert before - pids(host) == {victim}


# To the watchdog 503 and 500 are the same.
@pytest.mark.parametrize(
    "kind",
    [
        "fail",
        pytest.param("500", marks=pytest.mark.soak),
        "lie",
        "drip",
        pytest.param("redirect", marks=pytest.mark.soak),
    ],
)
def test_a_worker_that_answers_health_badly_is_replaced(host: Host, watch: Watch, kind: str) -> None:
    victim = grown_worker(host)
    before, began = pids(host), time.time()
    sick(host, victim, kind)
    watch.until_acted(began)
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep(f"health of one worker: {KINDS[kind]}", course)
    assert course.cured < SOON + 10
    assert len(course.actions) == 1
    assert before - pids(host) == {victim}


KINDS = {
    "fail": "503 with status error",
    "500": "500",
    "lie": "200 with status error",
    "drip": "drop by drop",
    "redirect": "a redirect away",
}


@pytest.mark.parametrize("pace", ["hasty", pytest.param("default", marks=pytest.mark.soak)])
def test_what_no_restart_cures_ends_at_the_budget(host: Host, watch: Watch, pace: str) -> None:
    """All workers, the new ones too, say that they are ill. Once they are repaired all is well without help."""
    with hasty(host) if pace == "hasty" else nullcontext():
        _spend_the_budget(host, watch)


def _spend_the_budget(host: Host, watch: Watch) -> None:
    began = time.time()
    armed(host, health="500")
    watch.until_told(began, "budget_spent", limit=900)
    spent = watch.actions(began)
    time.sleep(15)
    assert watch.actions(began) == spent
    assert len(spent) <= MOST_ACTIONS
    assert watch.status()["state"] == "exhausted"
    disarmed(host)
    healthy = watch.until_well(began)
    keep("health 500 of every process, repaired by hand", watch.course(began, healthy))
    assert [event["code"] for event in watch.events(began) if event["kind"] == "problem"].count("budget_spent") == 1


@pytest.mark.usefixtures("began")
def test_an_operators_stop_is_not_lost_to_a_hung_worker(host: Host, watch: Watch) -> None:
    """PM2 waits for the hung one within its kill_timeout; killed meanwhile by another, it would be started again."""
    host.run("timeout 3 python3 -c %s", BLOCK)
    # it has been noticed, and is about to be killed
    time.sleep(4)
    host.check_output("workbot-pm2 stop all")
    stopped = {worker["status"] for worker in workers(host)}
    time.sleep(15)
    assert stopped == {worker["status"] for worker in workers(host)} == {"stopped"}
    host.check_output("workbot-pm2 start all")
    watch.until_well(time.time())
