# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many declarations at once: applied, repeated, said in other words, altered while a client watches the plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from index_cases import ALL, EQUALS, KINDS, Case, tables
from own_postgresql import PORT, Postgres
from testinfra.host import Host

LOOP = Path(__file__).parents[2] / "support" / "explain_loop.py"
UNIT = "indextest-explain"


@pytest.fixture(scope="module", params=["one of a kind", pytest.param("all", marks=pytest.mark.soak)])
def cases(postgres: Postgres, request: pytest.FixtureRequest) -> list[Case]:
    """Those that the server's version knows, with a table for each."""
    known = [case for case in (ALL if request.param == "all" else KINDS) if int(postgres.version) >= case.since]
    assert len(known) >= (40 if request.param == "all" else 25)
    postgres.file(tables(len(known)))
    return known


def declarations(cases: list[Case], *, altered: bool) -> list[dict[str, Any]]:
    return [
        {"name": case.name or f"i{k}", "table": f"t{k}", **case.given, **(case.altered if altered else {})}
        for k, case in enumerate(cases)
    ]


@contextmanager
def explaining(host: Host, queries: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The plans of these queries, from here on; what was seen is there at the end."""
    for name, text in {"loop.py": LOOP.read_text(encoding="utf-8"), "queries.json": json.dumps(queries)}.items():
        host.check_output("printf %%s %s > /run/indextest-%s", text, name)
    host.check_output("rm -f /tmp/indextest-answer.json")
    host.check_output(
        f"systemd-run --quiet --collect --unit={UNIT} --uid=postgres python3 /run/indextest-loop.py {PORT}"
        " /run/indextest-queries.json /tmp/indextest-answer.json"
    )
    seen: dict[str, Any] = {}
    try:
        yield seen
    finally:
        host.check_output(f"systemctl stop {UNIT}")
    seen.update(json.loads(host.check_output("cat /tmp/indextest-answer.json")))


def queries(cases: list[Case]) -> dict[str, str]:
    return {f"t{k}": f"SELECT * FROM t{k} WHERE {case.where}" for k, case in enumerate(cases)}


def test_declared_indexes_are_made_and_a_second_run_changes_nothing(postgres: Postgres, cases: list[Case]) -> None:
    wanted = declarations(cases, altered=False)
    predicted = postgres.converge(wanted, "--check")
    assert postgres.sql("SELECT count(*) FROM pg_indexes WHERE tablename ~ '^t[0-9]+$'") == ["0"]
    made = postgres.converge(wanted)
    assert predicted.result["statements"] == made.result["statements"]
    assert set(made.actions.values()) == {"create"}
    assert postgres.sql(
        "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE c.relname ~ '^t[0-9]+$' AND indisvalid"
    ) == [str(len(cases))]
    again = postgres.converge(wanted)
    assert not again.result["changed"], again.actions


def test_an_altered_index_is_replaced_and_no_plan_is_ever_without_one(
    host: Host, postgres: Postgres, cases: list[Case]
) -> None:
    wanted = declarations(cases, altered=True)
    predicted = postgres.converge(wanted, "--check")
    with explaining(host, queries(cases)) as seen:
        replaced = postgres.converge(wanted)
    assert seen["without"] == {}
    assert seen["rounds"] > 5
    assert predicted.result["statements"] == replaced.result["statements"]
    assert set(replaced.actions.values()) == {"replace"}
    for case, index in zip(cases, replaced.result["indexes"], strict=True):
        assert any(reason.startswith(f"{case.differs}:") for reason in index["reasons"]), index
    again = postgres.converge(wanted)
    assert not again.result["changed"], again.actions
    assert postgres.sql("SELECT relname FROM pg_class WHERE relname LIKE 'workbot_%'") == []


def test_the_watching_client_sees_an_index_that_is_dropped_and_made(host: Host, postgres: Postgres) -> None:
    """What the other tests rest on: the loop notices what a plain replacement does."""
    postgres.file("DROP TABLE IF EXISTS plain; CREATE TABLE plain AS SELECT 1 AS a; CREATE INDEX plain_a ON plain (a);")
    with explaining(host, {"plain": "SELECT * FROM plain WHERE a = 1"}) as seen:
        postgres.sql("DROP INDEX plain_a")
        postgres.sql("CREATE INDEX plain_a ON plain (a)")
    assert seen["without"]["plain"] > 0


def test_the_same_index_in_other_words_is_no_change(postgres: Postgres) -> None:
    postgres.file(tables(len(EQUALS)))
    first, second = (
        [{"name": f"e{k}", "table": f"t{k}", **pair[turn]} for k, pair in enumerate(EQUALS)] for turn in (0, 1)
    )
    assert set(postgres.converge(first).actions.values()) == {"create"}
    assert set(postgres.converge(second).actions.values()) == {"none"}


def test_an_expression_may_name_its_table_and_use_its_types(postgres: Postgres) -> None:
    postgres.file(
        "DROP TABLE IF EXISTS mood, workbot_copy; DROP TYPE IF EXISTS feeling;"
        "CREATE TYPE feeling AS ENUM ('good', 'bad');"
        "CREATE TABLE mood (a int, f text, now feeling); CREATE TABLE workbot_copy (a int);"
    )
    wanted: list[dict[str, Any]] = [
        {"name": "mood_named", "table": "mood", "columns": ["(mood.a + 1)"]},
        {"name": "mood_row", "table": "mood", "columns": ["a"], "where": "mood IS NOT NULL"},
        {"name": "mood_now", "table": "mood", "columns": ["a"], "where": "now = 'bad'::public.feeling"},
        {"name": "copy_a", "table": "workbot_copy", "columns": ["a"], "where": "workbot_copy.a > 1"},
    ]
    assert set(postgres.converge(wanted).actions.values()) == {"create"}
    assert set(postgres.converge(wanted).actions.values()) == {"none"}


def test_absent_drops_an_index_and_nothing_else(postgres: Postgres) -> None:
    postgres.file(
        "DROP TABLE IF EXISTS gone; CREATE TABLE gone (a int PRIMARY KEY, b int); CREATE INDEX gone_b ON gone (b);"
    )
    unwanted = [{"name": "gone_b", "state": "absent"}]
    predicted = postgres.converge(unwanted, "--check")
    assert "gone_b" in postgres.definitions("gone")
    dropped = postgres.converge(unwanted)
    assert predicted.result["statements"] == dropped.result["statements"]
    assert list(postgres.definitions("gone")) == ["gone_pkey"]
    assert not postgres.converge(unwanted).result["changed"]
    refused = postgres.converge([{"name": "gone_pkey", "state": "absent"}], fails=True)
    assert "backs the constraint gone_pkey of gone" in refused.message
    assert list(postgres.definitions("gone")) == ["gone_pkey"]
