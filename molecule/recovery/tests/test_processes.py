# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service runs under is gone: PM2's daemon, the socket that it listens on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deployments import load
from faults import ACTIVATION, WATCHDOG, activation_unit, leaked, main_pid, pids, resident_mb, signal, unnoticed_end
from recovery import LOAD, SOON, Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until

PM2_HOME = "/srv/workbot/active/pm2"
HOLDER = "molecule-holds-the-socket"
# Takes the path of a worker's socket over, accepts connections, and never answers.
HOLD = """
import os, pathlib, socket
path = str(pathlib.Path("/srv/workbot/active/0.sock").resolve())
os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
taken = []
while True:
    taken.append(server.accept())
"""


def daemon(host: Host) -> int:
    return int(host.check_output(f"cat {PM2_HOME}/pm2.pid"))


def test_a_killed_daemon_is_back_with_all_workers(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    signal(host, "KILL", daemon(host))
    until("the workers are gone", lambda: not before & pids(host), 20)
    healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep("PM2's daemon killed", course)
    assert course.cured < SOON + unnoticed_end(host, ACTIVATION)
    assert len(course.actions) <= 1


def hangs(host: Host, pid: int) -> None:
    signal(host, "STOP", pid)


def has_grown(host: Host, pid: int) -> None:
    leaked(host, pid, 300)


@pytest.mark.parametrize("what", [hangs, has_grown])
def test_a_daemon_that_hangs_or_has_grown_is_replaced_and_no_request_fails(
    host: Host, watch: Watch, address: str, began: float, what: Callable[[Host, int], None]
) -> None:
    # one that was started anew has replaced none within the hour
    host.check_output(f"systemctl restart {WATCHDOG}")
    before, activation = daemon(host), activation_unit(host)
    with load(address, *LOAD) as tally:
        what(host, before)
        watch.until_acted(began, 40)
        until("another one is active", lambda: activation_unit(host) != activation, 60)
        # when its requests have ended
        until("the one before has ended", lambda: not host.service(activation).is_running, 120)
        healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep(f"PM2's daemon {what.__name__.replace('_', ' ')}, under load", course)
    assert tally["failed"] == 0, tally["failures"]
    assert tally["requests"]["POST"] > 100
    assert course.failed == 0
    assert course.actions == ("renew_activation",)
    assert 0 < resident_mb(host, daemon(host)) < 150


def test_a_socket_that_another_program_holds_is_told_and_taken_back(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    host.check_output("systemd-run --quiet --unit=%s --uid=workbot python3 -c %s", HOLDER, HOLD)
    try:
        # it accepts connections and does not answer them: the worker seems to hang
        watch.until_told(began, "worker_hung")
        holder = main_pid(host, f"{HOLDER}.service")
        assert f"; process {holder} listens in its place" in host.check_output("workbot-watchdog history")
        healthy = watch.until_well(began)
        course = watch.course(began, healthy)
    finally:
        host.check_output(f"systemctl stop {HOLDER}")
    keep("socket of a worker held by another program", course)
    assert course.cured < SOON
    assert course.actions == ("kill_worker",)
    assert len(before - pids(host)) == 1
