# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arithmetic of connections."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    Thresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.budget import (
    blocking,
    consumer_of,
    excess,
    full,
    judge_connections,
    judge_plan,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.sessions import (
    Connections,
    Limits,
    Session,
    counts,
)
from hypothesis import given
from hypothesis import strategies as st

LIMITS = {"open": Thresholds(80, 95), "idle": Thresholds(60, 600), "waiting": Thresholds(5, 60)}
OTHERS = {"diagnosis": 3, "monitor and recovery": 1, "migrations or psql": 1}


def session(**values: Any) -> Session:
    usual = {
        "pid": 7,
        "role": "app",
        "database": "app",
        "application": "app",
        "state": "idle",
        "blockers": (),
        "seconds": 0,
    }
    return Session(**{**usual, **values})


def server(
    *sessions: Session, most: int = 100, own_limits: dict[str, int] | None = None, reserved: int = 0
) -> Connections:
    return Connections(Limits(most, 3, reserved), own_limits or {}, sessions)


def app(**values: Any) -> Any:
    return consumer_of({"name": "app", "instances": 2, "pool_max": 20, **values})


@pytest.mark.parametrize(
    ("most", "own_limits", "to_come", "said"),
    [
        (200, {}, False, []),
        (200, {"role app": 80}, False, []),
        (200, {"role app": 79}, False, ["role app has a limit of 79"]),
        (200, {"role app": 79}, True, []),
        (50, {"database app": 60}, False, ["not enough connections", "database app has a limit of 60"]),
        (50, {"database app": 60}, True, ["not enough connections"]),
    ],
)
def test_what_services_may_open_and_can_not_is_told(
    most: int, own_limits: dict[str, int], to_come: bool, said: list[str]
) -> None:
    """Neither is what they have open now, nor that something else logs in as their role."""
    crowd = [session(pid=pid) for pid in range(90)]
    findings = judge_connections(server(*crowd, most=most, own_limits=own_limits), [app()], OTHERS, LIMITS)
    found = excess(findings, [app()], limits_to_come=to_come)
    assert len(found) == len(said)
    assert all(text in message for text, message in zip(said, found, strict=True))


def by_check(found: Connections, *consumers: Any) -> dict[str, Any]:
    return {finding.check: finding for finding in judge_connections(found, consumers, OTHERS, LIMITS)}


def test_sixteen_instances_with_twenty_connections_do_not_fit_into_a_hundred() -> None:
    finding = judge_plan(server(), [app(instances=16)], OTHERS)
    assert (finding.status, finding.value, finding.threshold) == (CRITICAL, 645, 97)
    for part in (
        "app 16 instances x 20 connections x 2 during a release = 640",
        "diagnosis 3",
        "645 of 97 (max_connections 100 - 3 superuser)",
        "max_connections to 648 or more",
        "pool of app to 2",
        "instances to 2",
    ):
        assert part in finding.message


@given(
    st.fixed_dictionaries(
        {"instances": st.integers(1, 40), "pool_max": st.integers(1, 60), "hosts": st.integers(1, 8)}
    ),
    st.fixed_dictionaries({"most": st.integers(10, 500), "reserved": st.integers(0, 5)}),
    st.integers(0, 9),
)
def test_what_is_advised_fits(wished: dict[str, int], limits: dict[str, int], foreign: int) -> None:
    sessions = [session(database="other")] * foreign
    message = judge_plan(server(*sessions, **limits), [app(**wished)], OTHERS).message
    advice = message.partition(". Set ")[2].split(", or ") if ". Set " in message else []
    for part in advice:
        number = int(re.findall(r"\d+", part)[-1])
        changed = {"instances": number} if "instances" in part else {"pool_max": number} if "pool" in part else {}
        raised = {} if changed else {"most": number}
        made = judge_plan(server(*sessions, **{**limits, **raised}), [app(**{**wished, **changed})], OTHERS)
        assert made.status == OK


def test_foreign_sessions_and_reserved_connections_count() -> None:
    finding = judge_plan(server(session(database="other", role="x"), reserved=7), [app()], OTHERS)
    assert (finding.status, finding.value, finding.threshold) == (OK, 86, 90)
    assert "other roles and databases 1 open now" in finding.message
    assert "- 3 superuser - 7 reserved" in finding.message


def test_open_connections_are_judged_by_their_share() -> None:
    assert by_check(server(*[session()] * 77))["connections.open"].status == OK
    assert by_check(server(*[session()] * 78))["connections.open"].status == WARNING
    assert by_check(server(*[session()] * 93))["connections.open"].status == CRITICAL


def test_a_service_above_its_pools_is_told() -> None:
    consumer = app(instances=1, pool_max=2)
    assert by_check(server(*[session()] * 4), consumer)["connections.of.app"].status == OK
    finding = by_check(server(*[session()] * 5), consumer)["connections.of.app"]
    assert (finding.status, finding.value, finding.threshold) == (WARNING, 5, 4)


@pytest.mark.parametrize("name", ["role app", "database app"])
def test_a_limit_below_the_pools_is_told(name: str) -> None:
    finding = by_check(server(own_limits={name: 10}), app())["connections.of.app"]
    assert (finding.status, finding.threshold) == (WARNING, 10)
    assert f"the {name} has a limit of 10" in finding.message


@pytest.mark.parametrize(("seconds", "status"), [(59, OK), (60, WARNING), (600, CRITICAL)])
def test_open_transactions_are_named(seconds: float, status: str) -> None:
    idle = session(state="idle in transaction", seconds=seconds, pid=4711)
    finding = by_check(server(idle, session()))["connections.idle_in_transaction"]
    assert (finding.status, finding.value) == (status, seconds)
    assert "process 4711 of app" in finding.message


@pytest.mark.parametrize(("seconds", "status"), [(4, OK), (5, WARNING), (60, CRITICAL)])
def test_waiting_sessions_and_who_holds_them_up_are_named(seconds: float, status: str) -> None:
    holder = session(pid=12, role="postgres", application="psql", state="idle in transaction", seconds=40)
    finding = by_check(server(session(blockers=(12,), seconds=seconds), holder))["connections.waiting"]
    assert finding.status == status
    who = "process 12 of postgres (psql), idle in transaction for 40 s"
    assert finding.message.startswith(f"1: {who}, holds a lock that 1 session of app waits for ({seconds} s)")


def test_who_holds_a_lock_is_named_and_not_who_waits_in_front_of_others() -> None:
    """A migration waits for a report, and everybody for the migration."""
    report = session(pid=1, role="reader", state="active", seconds=90, transaction_seconds=90)
    migration = session(pid=2, role="owner", blockers=(1,), seconds=20)
    others = [session(pid=number, blockers=(2, 1), seconds=9) for number in (3, 4)]
    deadlock = [session(pid=5, blockers=(6,)), session(pid=6, blockers=(5,))]
    elsewhere = session(pid=7, blockers=(0, 99), seconds=1)
    first, *rest = blocking([report, migration, *others, *deadlock, elsewhere])
    assert (first.pid, [waiting.pid for waiting in first.waiting], first.seconds(50)) == (1, [2, 3, 4], 50)
    assert first.seconds(1) == 20
    assert [each.text() for each in rest] == [
        "a prepared transaction (pg_prepared_xacts) holds a lock that 1 session of app waits for (1 s)",
        "process 99 of the server itself holds a lock that 1 session of app waits for (1 s)",
    ]


def test_short_transactions_of_one_session_are_no_lock_that_lasts() -> None:
    """The same row is written all the time, by whoever's turn it is."""
    busy = session(pid=1, state="active", transaction_seconds=0.01)
    [found] = blocking([busy, session(pid=2, blockers=(1,), seconds=0.02)])
    assert found.seconds(60) == 0.02


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (server(*[session()] * 95), ""),
        (server(*[session()] * 96), "all 97 connections of the server"),
        (server(*[session()] * 4, own_limits={"role app": 5}), ""),
        (server(*[session()] * 4, own_limits={"role app": 4, "role x": 1}), "all 4 connections that the role app may"),
        (server(*[session()] * 4, own_limits={"database app": 4}), "all 4 connections that the database app may"),
    ],
)
def test_a_server_or_an_account_without_a_connection_is_full(found: Connections, named: str) -> None:
    assert full(found, app()).startswith(named)
    assert bool(full(found, app())) == bool(named)


def test_who_has_all_connections_is_named() -> None:
    cron = [session(pid=number, role="shop", database="shop", application="cron", seconds=number) for number in (8, 9)]
    told = full(server(*cron, session(), most=7), app())
    assert told.endswith(
        "taken: 2 by shop (cron) in shop, 1 by app (app) in app;"
        " of the first, process 9 of shop (cron) is the oldest, idle for 9 s"
    )


def test_open_connections_are_counted_by_state_and_application() -> None:
    found = counts([session(), session(), session(state="active"), session(state="", application="")])
    assert [(each["state"], each["count"]) for each in found] == [("idle", 2), ("hidden", 1), ("active", 1)]
