# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the alert rules make of faults that last, since nothing recovers them: Debian's Prometheus on the same host."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from deployments import load
from fault_alerts import CRASHES, DOWN, ERRORS, EXHAUSTED, HELD, PROBLEM, SERVES_NOT, SILENT
from faults import (
    BROKEN_SITE,
    LOG_DIRECTORY,
    STATE_DIRECTORY,
    WATCHDOG,
    full,
    grown_worker,
    leaked,
    pids,
    port_taken,
    resident_mb,
    sick,
    signal,
    unit_pids,
    with_settings,
    without_environment,
)
from prometheus import Prometheus
from recovery import Watch
from testinfra.host import Host
from waiting import until

# What a worker has to hold for its reload, which is at 92 % of 384 MB, and for less than that of its end.
NEAR_LIMIT_MB = 368
DIAGNOSE = "/srv/workbot/config/diagnose.json"
# What a watchdog without a budget says of itself, and of workers that end again and again.
SPENT = {EXHAUSTED, CRASHES, *(f"{PROBLEM} {target}.budget" for target in ("service", "proxy"))}
# What fires after a minute has fired after this.
FIRES = 120
SENT = ("--path=/", "--methods=GET", "--connections=4")


@contextmanager
def hung_worker(host: Host) -> Iterator[None]:
    signal(host, "STOP", min(pids(host)))
    yield


@contextmanager
def replaced(host: Host, pid: int) -> Iterator[None]:
    """PM2 has another one in its place in the end: nothing else cures this one."""
    try:
        yield
    finally:
        signal(host, "KILL", pid)


@contextmanager
def sick_worker(host: Host) -> Iterator[None]:
    pid = grown_worker(host)
    with replaced(host, pid):
        sick(host, pid, "fail")
        yield


@contextmanager
def large_worker(host: Host) -> Iterator[None]:
    pid = grown_worker(host)
    with replaced(host, pid):
        leaked(host, pid, NEAR_LIMIT_MB - resident_mb(host, pid))
        yield


@contextmanager
def missing(host: Host, number: int) -> Iterator[None]:
    with without_environment(host):
        signal(host, "KILL", *sorted(pids(host))[:number])
        yield


@contextmanager
def hung_daemon(host: Host) -> Iterator[None]:
    signal(host, "STOP", int(host.check_output("cat /srv/workbot/active/pm2/pm2.pid")))
    yield


@contextmanager
def nginx(host: Host, name: str) -> Iterator[None]:
    signal(host, name, *unit_pids(host, "nginx.service"))
    yield


@contextmanager
def broken_nginx(host: Host) -> Iterator[None]:
    host.check_output(f"echo 'oops;' > {BROKEN_SITE}")
    with nginx(host, "KILL"):
        yield


@contextmanager
def full_directory(host: Host, directory: str, owner: str) -> Iterator[None]:
    try:
        with full(host, directory, owner):
            # it writes as soon as it is started
            host.check_output(f"systemctl restart {WATCHDOG}")
            yield
    finally:
        host.check_output(f"systemctl restart {WATCHDOG}")


FAULTS: dict[str, Callable[[Host], AbstractContextManager[object]]] = {
    "a worker hangs": hung_worker,
    "a worker is unhealthy": sick_worker,
    "a worker is near its limit": large_worker,
    "a worker cannot start": lambda host: missing(host, 1),
    "no worker can start": lambda host: missing(host, 2),
    "the daemon hangs": hung_daemon,
    "Nginx is dead": lambda host: nginx(host, "KILL"),
    "Nginx hangs": lambda host: nginx(host, "STOP"),
    "the configuration is broken": broken_nginx,
    "the port is taken": port_taken,
    "no log can be written": lambda host: full_directory(host, LOG_DIRECTORY, "workbot:adm"),
    "no state can be written": lambda host: full_directory(host, STATE_DIRECTORY, "workbot:workbot"),
}


@pytest.fixture(scope="module")
def helpless(host: Host) -> Iterator[None]:
    """A watchdog that has no budget for recovery steps."""
    with with_settings(host, restart_budget=0):
        yield


@pytest.mark.usefixtures("helpless")
@pytest.mark.parametrize("what", HELD)
def test_what_nothing_recovers_is_seen_by_its_rules(
    host: Host, prometheus: Prometheus, began: float, what: str
) -> None:
    with FAULTS[what](host):
        until("its alerts", lambda: {str(one) for one in prometheus.alerts(began, time.time())} >= HELD[what], 60)
    given_up = {SERVES_NOT} if what == "no worker can start" else set()
    assert criticals(prometheus, began) <= HELD[what] | SPENT | given_up


def criticals(prometheus: Prometheus, began: float) -> set[str]:
    return {str(alert) for alert in prometheus.alerts(began, time.time()) if alert.severity == "critical"}


def fires(prometheus: Prometheus) -> set[str]:
    """Now."""
    (answer,) = prometheus.query('ALERTS{service="workbot", alertstate="firing"}')
    return {" ".join(filter(None, map(one["metric"].get, ("alertname", "key")))) for one in answer}


@pytest.mark.usefixtures("helpless", "watch")
def test_what_lasts_pages_people_until_it_is_over(host: Host, prometheus: Prometheus, began: float) -> None:
    wanted = {f"{PROBLEM} proxy", DOWN, EXHAUSTED}
    with missing(host, 1):
        with nginx(host, "KILL"):
            until("both fire", lambda: fires(prometheus) >= wanted, FIRES)
        assert criticals(prometheus, began) - SPENT == {f"{PROBLEM} proxy"}
        host.check_output("systemctl start nginx")
    until("neither fires", lambda: not fires(prometheus) & wanted, 60)


def test_a_service_that_nobody_watches_and_that_is_down_pages_people(
    host: Host, watch: Watch, address: str, prometheus: Prometheus, began: float
) -> None:
    """By the silence of the watchdog, and by what clients get."""
    until("it was heard", lambda: prometheus.query("nodejs_service_heartbeat_timestamp_seconds") != [[]])
    host.check_output(f"systemctl stop {WATCHDOG}")
    with load(address, *SENT, "--pause=0"):
        host.check_output("workbot-pm2 stop all")
        # as soon as they are 1.44 % of what the tests before have asked in an hour: by as many a second as the host can
        until("errors are noticed", lambda: ERRORS in fires(prometheus), 90 + FIRES)
    until("silence is noticed", lambda: SILENT in fires(prometheus), 90 + FIRES)
    assert criticals(prometheus, began) == {SILENT, ERRORS}
    host.check_output(f"workbot-pm2 start all && systemctl start {WATCHDOG}")
    watch.until_well(time.time())
    until("it is heard again", lambda: SILENT not in fires(prometheus), 60)
