# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: what does not fit is refused before anything changes, and the pools keep to what is planned."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databases import findings, get, module, sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host
from waiting import until

SERVICE = {"name": "workbot", "instances": 2, "pool_max": 20}
ENVIRONMENT = "/srv/workbot/config/environment"
LOCKED = """
SELECT count(*) FROM pg_locks
WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'conversations'::regclass
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'workbot' AND wait_event_type = 'Lock'"
HOLD = "import psycopg, time; c = psycopg.connect(%r); c.execute(%r); time.sleep(600)"


def budget(**more: Any) -> dict[str, Any]:
    return module("postgresql_connection_budget", login_db="postgres", fail_on="never", services=[SERVICE], **more)


@pytest.fixture
def hold(host: Host) -> Iterator[Callable[[str, str], None]]:
    """Sessions of the administrator that have run a statement and stay, in a transaction, until the test ends."""
    units: list[str] = []

    def start(database: str, statement: str) -> None:
        units.append(f"molecule-hold-{len(units)}")
        code = HOLD % (f"dbname={database} application_name=holder", statement)
        host.check_output("systemd-run --quiet --unit=%s --uid=postgres /usr/bin/python3 -c %s", units[-1], code)

    yield start
    for unit in units:
        host.run("systemctl stop %s", unit)


@pytest.fixture
def unchanged(host: Host) -> Iterator[None]:
    look = (
        "sha256sum %s /etc/postgresql/*/main/*.conf /etc/postgresql/*/main/conf.d/*; stat -c %%Y /srv/workbot/config/*"
    )
    before = host.check_output(look, ENVIRONMENT)
    yield
    assert host.check_output(look, ENVIRONMENT) == before


@pytest.mark.usefixtures("unchanged")
def test_sixteen_instances_with_twenty_connections_are_refused() -> None:
    run = wait(playbook("workbot.stability.site", {"service_instances": 16, "service_pool_max": 20}))
    assert run.code != 0
    assert "16 instances x 1 hosts x 20 connections x 2 during a release = 640, of 92" in run.output
    assert not run.changed, run.output


@pytest.mark.usefixtures("unchanged")
def test_what_others_have_open_counts(host: Host, hold: Callable[[str, str], None]) -> None:
    for _number in range(16):
        hold("postgres", "SELECT 1")
    until(
        "all are held",
        lambda: int(sql(host, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder'")) == 16,
    )
    for run in (
        wait(playbook("workbot.stability.site", {}, "--tags=short_term")),
        wait(playbook("workbot.stability.deploy", {})),
    ):
        assert run.code != 0
        assert "other roles and databases 16 open now: 101 of 97 (max_connections 100 - 3 superuser)" in run.output
        assert not run.changed, run.output


def test_the_server_says_what_it_allows(host: Host) -> None:
    result = budget()
    finding = findings(result)["connections.budget"]
    assert (finding["status"], finding["value"], finding["threshold"]) == ("ok", 85, 97)
    assert result["limits"]["max_connections"] == int(sql(host, "SHOW max_connections"))
    many = module("postgresql_connection_budget", login_db="postgres", services=[{**SERVICE, "instances": 16}])
    assert many["failed"]
    assert "workbot 16 instances x 20 connections x 2 during a release = 640" in many["msg"]


def test_the_pools_of_the_service_keep_to_the_plan(host: Host, hold: Callable[[str, str], None]) -> None:
    """Every request waits for a table: the workers open as many connections as they may, and not one more."""
    hold("workbot", "LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
    until("the table is locked", lambda: sql(host, LOCKED) == "1")
    paths = ["/api/conversations?limit=1"] * 100
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(get, host, "/srv/workbot/active/{}.sock", *paths, at_once=100)
        # each has come: 40 have a connection, 60 wait for one
        until(
            "the finding that requests wait",
            lambda: "60 requests wait" in host.run("workbot-diagnose --json --check pool").stdout,
        )
        assert int(sql(host, WAITING)) == 40
        report = json.loads(host.run("workbot-diagnose --json --check pool --check connections").stdout)
        waiting = findings(budget(waiting_warning=0.5, waiting_critical=100))["connections.waiting"]
        host.check_output("systemctl stop molecule-hold-0")
        assert {answer["status"] for answer in answers.result()} == {200}
    found = findings(report)
    assert found["pool"]["status"] == "warning"
    assert "2 workers use 40 of 40 connections of their pools, 60 requests wait" in found["pool"]["message"]
    assert found["connections.of.workbot"]["status"] == "ok"
    assert found["connections.of.workbot"]["value"] >= 40
    assert waiting["status"] == "warning"
    assert re.match(
        r"40: process \d+ of postgres \(holder\), idle in transaction for \d+ s,"
        r" holds a lock that 40 sessions of workbot wait for",
        waiting["message"],
    )


def test_an_open_transaction_is_named(host: Host, hold: Callable[[str, str], None]) -> None:
    hold("workbot", "SELECT 1")
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    until("a session is idle", lambda: sql(host, idle) == "1")
    time.sleep(1)
    result = budget(idle_warning=0.5, idle_critical=600)
    finding = findings(result)["connections.idle_in_transaction"]
    assert finding["status"] == "warning"
    assert "of postgres (holder) holds a transaction open" in finding["message"]
    row = {
        "role": "postgres",
        "database": "workbot",
        "application": "holder",
        "state": "idle in transaction",
        "count": 1,
    }
    assert row in result["open"]
