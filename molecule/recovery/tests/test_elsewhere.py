# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies elsewhere is told and not restarted at: the database, the disk, the watchdog's own files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deployments import load
from faults import (
    LOG_DIRECTORY,
    STATE_DIRECTORY,
    WATCHDOG,
    connections_taken,
    full,
    overloaded,
    pids,
    signal,
    table_locked,
    unit_pids,
)
from recovery import SOON, Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until


def test_a_stopped_database_is_told_and_nothing_is_restarted(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    host.check_output("systemctl stop postgresql.service 'postgresql@*.service'")
    watch.until_told(began, "database_down")
    time.sleep(10)
    host.check_output("systemctl start postgresql.service")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("PostgreSQL stopped, started when told", course)
    assert course.actions == ()
    assert pids(host) == before


def test_a_hanging_database_is_told_and_nothing_is_restarted(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    # all of it: a question is neither answered nor refused
    servers = unit_pids(host, "system-postgresql.slice")
    signal(host, "STOP", *servers)
    try:
        watch.until_told(began, "database_down")
        time.sleep(5)
    finally:
        signal(host, "CONT", *servers)
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("PostgreSQL slow beyond every limit (SIGSTOP)", course)
    assert course.actions == ()
    assert pids(host) == before


def test_workers_that_wait_for_a_processor_are_told_and_left_alone(
    host: Host, watch: Watch, address: str, began: float
) -> None:
    before = pids(host)
    with load(address, "--path=/faults/health/ok", "--methods=POST", "--connections=128"), overloaded(host, before):
        watch.until_told(began, "cpu_short", 60)
        time.sleep(10)
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("processors overloaded by others", course)
    assert course.actions == ()
    assert pids(host) == before


def test_a_database_without_a_free_connection_is_no_reason_to_restart(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    with connections_taken(host):
        told = watch.until_told(began, "database_full", SOON)
        time.sleep(10)
        diagnosed = host.run("workbot-diagnose --json").stdout
        course = watch.course(began, None)
    watch.until_well(began)
    for message in (told["message"], diagnosed):
        assert re.search(r" by postgres in postgres[,;].*of the first, process \d+ of postgres is the oldest", message)
    keep("PostgreSQL out of connections", course)
    assert course.actions == ()
    assert pids(host) == before


def test_a_locked_table_is_told_with_who_locks_it_and_nothing_is_restarted(
    host: Host, watch: Watch, address: str, began: float
) -> None:
    """Seventy seconds, in which each request that needs the table fails after ten."""
    before = pids(host)
    with load(address, "--path=/api/conversations", "--methods=GET", "--connections=64"), table_locked(host):
        told = watch.until_told(began, "database_locked", SOON)
        shown = host.run("workbot-watchdog status").stdout
        until("a minute has passed", lambda: time.time() > began + 70, 70)
        diagnosed = host.run("workbot-diagnose --check connections").stdout
        course = watch.course(began, None)
    watch.until_well(time.time())
    keep("a table locked for 70 s, under load", course)
    holder = (
        r"process \d+ of postgres \(holder\), idle in transaction for \d+ s, holds a lock that \d+ sessions of workbot"
    )
    for message in (told["message"], shown, diagnosed):
        assert re.search(holder.replace(" ", r"\s+"), message)
        assert "LOCK TABLE" not in message
    assert course.actions == ()
    assert pids(host) == before


def test_a_full_disk_is_told_and_nothing_is_restarted(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    with full(host, LOG_DIRECTORY, "workbot:adm"):
        # it writes as soon as it is started
        host.check_output(f"systemctl restart {WATCHDOG}")
        told = {"log_not_writable", "disk_short"}
        until("a full disk", lambda: told & {problem["code"] for problem in watch.status()["problems"]}, 60)
        serving = host.run("systemctl is-active %s", WATCHDOG).stdout.strip()
    host.check_output(f"systemctl restart {WATCHDOG}")
    healthy = watch.until_well(began)
    keep("disk of the logs full", watch.course(began, healthy))
    assert serving == "active"
    assert watch.actions(began) == ()
    assert pids(host) == before


@contextmanager
def without(host: Host, directory: str) -> Iterator[None]:
    host.check_output(f"mv {directory} {directory}.away")
    try:
        yield
    finally:
        host.check_output(f"rm -rf {directory} && mv {directory}.away {directory}")


def test_a_log_directory_that_is_gone_stops_neither_looks_nor_recovery(host: Host, watch: Watch, began: float) -> None:
    """Units that may write to it keep the directory that was moved: a mount of theirs is on it."""
    with without(host, LOG_DIRECTORY):
        victim = min(pids(host))
        signal(host, "STOP", victim)
        until("the hung worker is replaced", lambda: victim not in pids(host), 30)
    healthy = watch.until_well(began)
    keep("log directory gone, then a worker hung", watch.course(began, healthy))


def test_a_corrupt_state_file_is_put_aside(host: Host, watch: Watch) -> None:
    host.check_output(f"systemctl stop {WATCHDOG} && echo '{{\"targets\": [' > {STATE_DIRECTORY}/state.json")
    began = time.time()
    host.check_output(f"systemctl start {WATCHDOG}")
    watch.until_told(began, "state_corrupt")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("state file corrupt", course)
    assert course.actions == ()
    aside = host.check_output(f"ls {STATE_DIRECTORY}").split()
    assert [name for name in aside if "corrupt" in name], aside


def test_a_state_that_cannot_be_written_stops_neither_looks_nor_recovery(
    host: Host, watch: Watch, began: float
) -> None:
    victim = min(pids(host))
    with full(host, STATE_DIRECTORY, "workbot:workbot"):
        began = time.time()
        signal(host, "STOP", victim)
        until("told", lambda: "state_not_writable" in {problem["code"] for problem in watch.status()["problems"]}, 30)
        until("the hung worker is replaced", lambda: victim not in pids(host), 30)
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("state file not writable, then a worker hung", course)
    assert course.actions == ("kill_worker",)
