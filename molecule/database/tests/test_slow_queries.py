# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow statements, N+1 suspects and missing indexes, from what a real service really asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from databases import diagnosis_sql, findings, module, sql
from testinfra.host import Host

LOOKUP = "SELECT name FROM robots WHERE id = $1"
LIST = "SELECT robot_id FROM conversations ORDER BY id LIMIT $1"
STATE = "/tmp/molecule-statements.json"
SECRET = "molecule-s3cret"
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def measure(host: Host) -> Callable[..., dict[str, Any]]:
    """Begins a window; each call then tells what happened in it."""
    host.check_output("rm -f %s %s.1", STATE, STATE)
    options = {"login_db": "workbot", "roles": ["workbot"], "state_file": STATE}
    assert "no earlier snapshot" in module("postgresql_slow_queries", **options)["window"]["notes"][0]
    return lambda **more: module("postgresql_slow_queries", **{**options, "window": 3600, **more})


def statement(result: dict[str, Any], text: str) -> dict[str, Any]:
    [found] = [each for each in result["statements"] if text in each["query"]]
    return found


def suspects(result: dict[str, Any]) -> list[str]:
    return [each["message"] for name, each in findings(result).items() if name.startswith("statements.n_plus_one.")]


def test_the_n_plus_one_is_named_and_the_figures_are_what_was_asked(
    rows: int, faulty: Ask, measure: Callable[..., dict[str, Any]]
) -> None:
    answers = faulty("/faults/n-plus-one", "/faults/n-plus-one")
    assert [answer["queries"] for answer in answers] == [rows + 1] * 2
    result = measure(order="calls", count=50)
    lookup, listed = statement(result, LOOKUP), statement(result, LIST)
    assert (lookup["calls"], lookup["rows"], lookup["rows_per_call"]) == (2 * rows, 2 * rows, 1.0)
    assert (listed["calls"], listed["rows"]) == (2, 2 * rows)
    assert lookup["mean_ms"] == pytest.approx(lookup["total_ms"] / lookup["calls"], abs=0.001)
    [message] = suspects(result)
    assert LOOKUP in message
    assert f"2 calls of this one gave {2 * rows} rows: {LIST}" in message
    assert (result["status"], result["changed"]) == ("warning", False)


def test_the_join_is_no_suspect_however_often_it_is_asked(
    rows: int, faulty: Ask, measure: Callable[..., dict[str, Any]]
) -> None:
    calls = 120
    answers = faulty(*(f"/api/conversations?limit={1 + number % 2}" for number in range(calls)))
    assert all(answer["conversations"][0]["robot"]["name"] for answer in answers)
    result = measure(order="calls", count=50)
    join = statement(result, "JOIN robots r ON r.id = c.robot_id")
    assert (join["calls"], join["rows"]) == (calls, calls * 3 // 2)
    assert rows >= 2
    assert suspects(result) == []


def test_a_slow_statement_is_judged(faulty: Ask, measure: Callable[..., dict[str, Any]]) -> None:
    assert faulty("/faults/slow-query?seconds=1")[0]["seconds"] == 1
    result = measure(mean_warning=400, mean_critical=900)
    slowest = result["statements"][0]
    assert slowest["query"] == "SELECT pg_sleep($1)"
    assert slowest["calls"] == 1
    assert 1000 <= slowest["mean_ms"] < 2000
    assert findings(result)[f"statements.slow.{slowest['id']}"]["status"] == "critical"
    failed = measure(mean_warning=400, mean_critical=900, fail_on="critical")
    assert failed["failed"]
    assert "pg_sleep" in failed["msg"]


def test_temporary_files_and_wal_are_counted(host: Host, measure: Callable[..., dict[str, Any]]) -> None:
    spill = "SET work_mem = 64; SELECT count(*) FROM (SELECT n FROM generate_series(1, 200000) n ORDER BY n DESC) s"
    sql(host, f"SET ROLE workbot; {spill}")
    sql(
        host,
        "SET ROLE workbot; CREATE TEMPORARY TABLE t (a text); CREATE TABLE molecule_wal AS SELECT 1;"
        " INSERT INTO molecule_wal SELECT n FROM generate_series(1, 50000) n",
    )
    sql(host, "DROP TABLE molecule_wal")
    result = measure(order="total", count=50)
    assert statement(result, "ORDER BY n DESC")["temp_mb"] > 1
    assert statement(result, "INSERT INTO molecule_wal")["wal_mb"] > 1


def test_a_reset_is_noticed(host: Host, measure: Callable[..., dict[str, Any]]) -> None:
    sql(host, "SELECT workbot_stability.pg_stat_statements_reset()")
    sql(host, "SET ROLE workbot; SELECT count(*) FROM robots")
    result = measure(count=50)
    assert any("were reset" in note for note in result["window"]["notes"])
    assert result["window"]["seconds"] < 60
    assert statement(result, "count(*) FROM robots")["calls"] == 1


def test_a_table_that_is_read_as_a_whole_is_named(host: Host, measure: Callable[..., dict[str, Any]]) -> None:
    make = "CREATE TABLE molecule_scan AS SELECT n AS a FROM generate_series(1, 20000) n"
    sql(host, f"SET ROLE workbot; {make}")
    try:
        sql(host, "ANALYZE molecule_scan")
        measure(window=0)
        for number in range(12):
            sql(host, f"SET ROLE workbot; SELECT a FROM molecule_scan WHERE a = {number}")
        finding = findings(measure())["statements.scans.public.molecule_scan"]
        assert finding["value"] == 12
        assert "SELECT a FROM molecule_scan WHERE a = $1" in finding["message"]
    finally:
        sql(host, "DROP TABLE molecule_scan")


def test_no_literal_and_no_password_is_shown(host: Host) -> None:
    sql(host, f"SET ROLE workbot; SELECT '{SECRET}' AS molecule_secret")
    sql(
        host,
        "SET pg_stat_statements.track_utility = on; SET ROLE workbot;"
        f" SELECT set_config('a.b', '{SECRET}', false); COMMENT ON TABLE robots IS '{SECRET}'",
    )
    sql(host, "COMMENT ON TABLE robots IS NULL")
    kept = sql(host, "SELECT count(*) FROM workbot_stability.pg_stat_statements WHERE query LIKE '%s3cret%'")
    assert int(kept) >= 1, "the server keeps it, so that there is something to hide"
    result = module("postgresql_slow_queries", login_db="workbot", count=1000)
    assert any("COMMENT ON TABLE robots" in each["query"] for each in result["statements"])
    assert SECRET not in json.dumps(result)
    sql(host, "SELECT workbot_stability.pg_stat_statements_reset()")


def test_the_diagnosis_names_the_suspect(host: Host, rows: int, faulty: Ask) -> None:
    host.check_output("rm -f /var/lib/workbot-diagnose/statements.json*")
    host.run("workbot-diagnose --json --check statements")
    faulty("/faults/n-plus-one")
    report = json.loads(host.run("workbot-diagnose --json --check statements").stdout)
    [message] = suspects(report)
    assert f"{rows} calls" in message
    assert LOOKUP in message
    host.check_output("rm -f /var/lib/workbot-diagnose/statements.json*")


def test_the_diagnosis_role_sees_the_texts_of_the_service(host: Host) -> None:
    texts = "SELECT query FROM workbot_stability.statements() WHERE role = 'workbot'"
    sql(host, "SET ROLE workbot; SELECT count(*) FROM robots")
    shown = diagnosis_sql(host, texts).stdout
    assert "SELECT count(*) FROM robots" in shown
    assert "insufficient privilege" not in shown
