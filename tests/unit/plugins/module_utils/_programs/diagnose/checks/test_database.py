# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about a database. The checks themselves are tested against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    Thresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import PgError
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks import database
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.runner import Context
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples
from hypothesis import given
from hypothesis import strategies as st

SECRET = "correct-horse-battery-staple-and-more"
LATENCY = Thresholds(50, 1000)


def body(pid: int = 1, **pool: int) -> dict[str, Any]:
    return {"pid": pid, "database": {"pool": {"total": 3, "idle": 1, "waiting": 0, "max": 20, **pool}}}


@pytest.mark.parametrize(("answering_ms", "status"), [(0.4, OK), (50, WARNING), (1000, CRITICAL)])
def test_the_database_is_judged_by_its_answer(answering_ms: float, status: str) -> None:
    finding = database.judge_latency(f"postgresql://me:{SECRET}@h/app", 2000, answering_ms, LATENCY)
    assert (finding.status, finding.value) == (status, answering_ms)
    assert "connecting took 2000 ms" in finding.message
    assert SECRET not in finding.message


def test_a_database_that_can_not_be_asked_is_critical_once(tmp_path: Path) -> None:
    section = {"enabled": True, "file": str(tmp_path / "missing"), "diagnosis": {}}
    context = Context({"database": section}, Samples(tmp_path / "state"))
    [itself] = database.check_database(context)
    assert itself.status == CRITICAL
    for check in (database.check_connections, database.check_indexes):
        [finding] = check(context)
        assert (finding.check, finding.status) == (check.__name__.removeprefix("check_"), WARNING)
        assert finding.message == "not known: the database can't be asked. See the check database."


@pytest.mark.parametrize(
    ("text", "check", "timed"),
    [
        ("FATAL:  sorry, too many clients already", "database.connections", False),
        ('FATAL:  too many connections for role "app"', "database.connections", False),
        ("Connection refused", "database", False),
        ("connection timeout expired", "database", True),
    ],
)
def test_a_server_that_is_full_is_not_one_that_is_down(
    text: str, check: str, timed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of what holds its connections may help with the first, and never with the second."""

    def session(_login: object) -> object:
        raise PgError(text)

    (tmp_path / "environment").write_text("DATABASE_URL=postgresql://app@db/app\n")
    monkeypatch.setattr(database, "session", session)
    known = tmp_path / "status.json"
    known.write_text(json.dumps({"problems": [{"code": "database_full", "message": "97 by cron"}]}))
    section = {"file": str(tmp_path / "environment"), "watchdog_status": str(known), "enabled": True, "diagnosis": {}}
    [finding] = database.check_database(Context({"database": section}, Samples(tmp_path / "state")))
    assert (finding.check, finding.status, finding.timed) == (check, CRITICAL, timed)
    # it is refused itself: the watchdog has seen who has them
    assert finding.message.endswith("97 by cron") == (check == "database.connections")


def test_pools_are_added_up_each_worker_once() -> None:
    [finding] = database.judge_pools([body(1), body(2, idle=3), body(1), None, {}], 20)
    assert (finding.status, finding.value) == (OK, 2)
    assert finding.message == "2 workers use 2 of 40 connections of their pools"


def test_a_pool_that_is_not_the_plans_is_told() -> None:
    [finding] = database.judge_pools([body(max=50)], 20)
    assert (finding.status, finding.value, finding.threshold) == (WARNING, 50, 20)


def test_requests_that_wait_for_a_pool_are_told() -> None:
    [finding] = database.judge_pools([body(waiting=4), body(2)], 20)
    assert (finding.status, finding.value) == (WARNING, 4)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"database": 1},
        {"database": {"pool": {"max": "x"}}},
        body(max=0),
        body(idle=-1),
        body(total=10**9),
    ],
)
def test_a_service_that_tells_nothing_of_its_pool_is_not_judged(odd: Any) -> None:
    assert database.judge_pools([odd], 20) == []


def test_a_url_is_taken_apart_as_libpq_does() -> None:
    login = database._own_login("postgresql://a%40b:p%2F%3A@%2Frun%2Fpostgresql:5433/my%20db?sslmode=require")
    wanted = {
        "host": "/run/postgresql", "port": 5433, "user": "a@b", "password": "p/:", "dbname": "my db",
        "sslmode": "require",
    }  # fmt: skip
    assert {name: login.parameters[name] for name in wanted} == wanted


@pytest.mark.parametrize("url", ["postgresql://u:p@h:x/app", "postgresql://u:p@[h/app"])
def test_what_is_no_url_is_told_without_it(url: str) -> None:
    with pytest.raises(database._UnknownError, match="no address of a database"):
        database._own_login(url)


def test_a_url_is_named_without_account_and_password() -> None:
    assert database.where(f"postgresql://me:{SECRET}@db.example:5433/app") == "database app on db.example:5433"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('connection to server at "127.0.0.1", port 5432 failed: Connection refused', "`systemctl start postgresql`"),
        ('FATAL:  password authentication failed for user "app"', "password"),
        ("FATAL:  sorry, too many clients already", "no connection left"),
        (f'invalid percent-encoded token: "{SECRET}"', "see the server's log"),
        ("", "see the server's log"),
    ],
)
def test_a_drivers_message_is_explained_and_never_quoted(text: str, expected: str) -> None:
    assert expected in database.reason(text)
    assert SECRET not in database.reason(text)


@given(st.text(max_size=60))
def test_an_odd_url_does_not_break_the_check(text: str) -> None:
    assert database.where(f"postgresql://{text}").startswith(("database ", "the database"))


def info(*invalid: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"indexes": [{}, {}], "duplicates": [], "unused": [], "statistics": {"days": 9.2}}
    return {**usual, "invalid": list(invalid), **more}


LEFT = {"index": '"s"."i"', "table": "s.t", "origin": "unknown", "sessions": []}


def test_an_invalid_index_that_nobody_builds_is_told() -> None:
    [finding] = database.judge_indexes(info(LEFT, {**LEFT, "sessions": [7]}))
    assert (finding.status, finding.value) == (WARNING, 1)
    assert '2 indexes, 1 INVALID: "s"."i" of s.t (unknown). ' in finding.message


def test_an_index_that_is_not_needed_is_told_and_no_warning() -> None:
    [finding] = database.judge_indexes(info(duplicates=[{"indexes": ["a", "b"]}], unused=[{"index": "c"}]))
    assert finding.status == OK
    assert finding.message == "2 indexes, 0 INVALID; the same twice: a, b; never used in 9 days: c"
