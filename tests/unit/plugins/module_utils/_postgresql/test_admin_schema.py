# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for the superuser's schema. That the server takes it is shown on a real one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import admin_schema as schema
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import PgError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.readable import function

STATISTICS = {
    "name": "pg_stat_statements",
    "available": "1.11",
    "installed": "1.11",
    "schema": "public",
    "master": None,
}
TRIGRAMS = {"name": "pg_trgm", "available": "1.6", "installed": None, "schema": None, "master": None}
USABLE = {"trusted": True, "owner": "postgres", "rights": ["USAGE to PUBLIC"]}


class FakeClient:
    """Answers the questions of the plan."""

    version = 170000

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self.answers = answers

    def query(self, statement: str, _parameters: Any = None) -> list[dict[str, Any]]:
        [found] = [name for name in ("_SCHEMA", "_EXTENSIONS", "_FUNCTIONS") if getattr(schema, name) == statement]
        return self.answers.get(found.strip("_").lower(), [])

    def one(self, _statement: str) -> dict[str, Any]:
        return {"database": "shop", "given": bool(self.answers.get("path"))}


def planned(wanted: list[str], reader: str = "", **answers: list[dict[str, Any]]) -> list[schema.Step]:
    answers = {"schema": [USABLE], "extensions": [STATISTICS, TRIGRAMS], **answers}
    client: Any = FakeClient(**answers)
    return schema.plan(client, wanted, reader)


def test_nothing_is_made_that_nobody_declared() -> None:
    assert planned([], schema=[]) == []


def test_an_extension_that_is_there_stays_and_a_new_one_goes_where_only_superusers_create() -> None:
    missing, path = planned(["pg_stat_statements", "pg_trgm"])
    assert missing.problem == "extension pg_trgm is missing"
    assert missing.statements == (
        "SET LOCAL search_path = workbot_stability,pg_temp",
        'CREATE EXTENSION "pg_trgm"',
        "SET LOCAL search_path = pg_catalog,pg_temp",
    )
    assert path.statements == ('ALTER DATABASE "shop" SET search_path = "$user", public, workbot_stability',)


def test_a_path_that_the_database_has_is_left_alone() -> None:
    assert [step.problem for step in planned(["pg_trgm"], path=[{}])] == ["extension pg_trgm is missing"]


def test_a_foreign_schema_and_an_unknown_extension_are_refused() -> None:
    with pytest.raises(PgError, match="belongs to shop, not to a superuser"):
        planned(["pg_trgm"], schema=[{**USABLE, "trusted": False, "owner": "shop"}])
    with pytest.raises(PgError, match="extension postgis is not available"):
        planned(["postgis"])


def test_privileges_of_others_are_revoked() -> None:
    [step] = planned(["pg_stat_statements"], schema=[{**USABLE, "rights": ["CREATE to shop", "USAGE to PUBLIC"]}])
    assert step.statements[-2:] == (
        'REVOKE ALL ON SCHEMA "workbot_stability" FROM "shop" CASCADE',
        'GRANT USAGE ON SCHEMA "workbot_stability" TO PUBLIC',
    )


def made(**differs: Any) -> list[dict[str, Any]]:
    """The functions as they are declared, but for what differs of the second one."""
    queries = {"sessions": schema.sessions_query(170000), "statements": schema.statements_query("public")}
    rows = [
        {"name": name, "returns": returns, "body": body, "guarded": True, "readers": ["shop_diagnosis"]}
        for name, (returns, body) in queries.items()
    ]
    return [rows[0], {**rows[1], **differs}]


@pytest.mark.parametrize(
    "differs",
    [{"body": "SELECT"}, {"returns": "integer"}, {"guarded": False}, {"readers": ["PUBLIC", "shop_diagnosis"]}],
)
def test_a_function_that_differs_is_made_again(differs: dict[str, Any]) -> None:
    assert planned([], "shop_diagnosis", functions=made()) == []
    [step] = planned([], "shop_diagnosis", functions=made(**differs))
    assert step.problem == "function workbot_stability.statements is not as declared"
    dropped, created, revoked, granted = step.statements
    assert dropped.startswith("DROP FUNCTION")
    assert "SECURITY DEFINER SET search_path = pg_catalog,pg_temp AS" in created
    assert revoked.endswith("FROM PUBLIC")
    assert granted.endswith('TO "shop_diagnosis"')


def test_what_the_superusers_function_reads_is_in_no_schema_that_somebody_can_rename() -> None:
    moved, function = planned([], "shop_diagnosis", functions=made()[:1], extensions=[{**STATISTICS, "master": "shop"}])
    assert moved.problem == "extension pg_stat_statements is in the schema public, which is shop's"
    assert moved.statements == ("ALTER EXTENSION pg_stat_statements SET SCHEMA workbot_stability",)
    assert 'FROM "workbot_stability".pg_stat_statements' in function.statements[1]


@pytest.mark.parametrize(
    ("statistics", "extensions", "names"),
    [
        ({}, [], ["sessions", "statements"]),
        ({"installed": None, "schema": None}, [], ["sessions"]),
        ({"installed": None, "schema": None}, ["pg_stat_statements"], ["sessions", "statements"]),
        ({"installed": "1.8"}, [], ["sessions"]),
    ],
)
def test_what_is_not_counted_can_not_be_shown(
    statistics: dict[str, Any], extensions: list[str], names: list[str]
) -> None:
    steps = planned(extensions, "shop_diagnosis", extensions=[{**STATISTICS, **statistics}])
    made_now = [step.problem.split()[1].partition(".")[2] for step in steps if step.problem.startswith("function")]
    assert made_now == names


@pytest.mark.parametrize(("rows", "call"), [([], ""), ([{"usable": False}], ""), ([{"usable": True}], "()")])
def test_a_function_is_used_where_the_role_may(rows: list[dict[str, Any]], call: str) -> None:
    class Client:
        def query(self, _statement: str, _parameters: Any) -> list[dict[str, Any]]:
            return rows

    client: Any = Client()
    found = function(client, "sessions")
    assert found == (call and '"workbot_stability"."sessions"()')


def test_the_functions_show_no_statement_of_a_session_and_nothing_of_another_database() -> None:
    _columns, sessions = schema.sessions_query(170000)
    assert "WHERE datname = current_database()" in sessions
    assert "query" not in sessions
    _columns, statements = schema.statements_query("public")
    assert 'FROM "public".pg_stat_statements' in statements
    assert "WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())" in statements
