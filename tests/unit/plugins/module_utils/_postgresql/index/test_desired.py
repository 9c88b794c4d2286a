# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.desired import (
    Column,
    Desired,
    element_problems,
    fragment_problem,
    parse,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.partitions import statements_for
from ansible_collections.workbot.stability.plugins.modules.postgresql_index import INDEX


def desired(**given: Any) -> Desired:
    options = {"name": "i", "table": "t", "columns": ["a"], **given}
    return parse([{key: options.get(key, option.get("default")) for key, option in INDEX.items()}])[0]


def statement(**given: Any) -> str:
    return desired(**given).statement("i", '"t"', concurrently=True)


def test_a_statement_has_all_parts_in_the_order_of_the_grammar() -> None:
    assert statement(
        columns=[
            "a desc",
            {"column": 'q"uo', "opclass": "text_pattern_ops", "collation": "C", "order": "DESC", "nulls": "last"},
            {"expression": "lower(b)"},
        ],
        unique=True,
        nulls_not_distinct=True,
        include=["c"],
        where="a > 5",
        tablespace="fast",
        **{"with": {"fillfactor": 70, "deduplicate_items": False}},
    ) == (
        'CREATE UNIQUE INDEX CONCURRENTLY "i" ON "t" USING btree (a desc, "q""uo" COLLATE "C" text_pattern_ops DESC'
        ' NULLS LAST, (lower(b))) INCLUDE ("c") NULLS NOT DISTINCT WITH (deduplicate_items = off, fillfactor = 70)'
        ' TABLESPACE "fast" WHERE a > 5'
    )


def test_an_element_that_is_the_name_of_a_column_means_that_column() -> None:
    odd = desired(columns=["Order; Id", "a DESC"]).with_columns_of(["Order; Id", "a"])
    assert odd.columns == (Column(name="Order; Id"), Column(sql="a DESC"))
    assert element_problems(odd) == []
    assert element_problems(desired(columns=["Order; Id"])) == ["'i': columns 'Order; Id' holds a semicolon"]


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "lower(a)",
        "coalesce(a, b) DESC",
        "(a || ';--')",
        """("we;ird" || E'\\'; ')""",
        "($x$;)--$x$)",
        "a[1]",
        "(date'\\')",
    ],
)
def test_sql_that_keeps_its_place(text: str) -> None:
    assert fragment_problem(text, single=True) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a; DROP TABLE t", "holds a semicolon"),
        ("a) WHERE (b", "closes a parenthesis that it did not open"),
        ("lower(a", "leaves a parenthesis open"),
        ("a -- b", "holds a comment"),
        ("a /* b */", "holds a comment"),
        ("a, b", "holds a comma: each column is an element of the list"),
        ("'a", "has a quote that does not end"),
        # no escape string: the backslash does not protect the quote, and the text ends there
        ("date'\\'; DROP TABLE t; '", "holds a semicolon"),
    ],
)
def test_sql_that_would_leave_its_place(text: str, problem: str) -> None:
    assert fragment_problem(text, single=True) == problem


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "é" * 32}, "has 64 bytes, and PostgreSQL cuts names off after 63"),
        ({"name": ""}, "is no name of anything"),
        ({"columns": None}, "needs a table and columns"),
        ({"table": None}, "needs a table and columns"),
        ({"columns": [{"column": "a", "expression": "b"}]}, "must have either a column or an expression"),
        ({"columns": [{"column": "a", "sort": "asc"}]}, "must be a text or have the keys"),
        ({"columns": [{"column": "a", "order": "down"}]}, "order is asc or desc"),
        ({"columns": [3]}, "must be a text or have the keys"),
        ({"method": "btree; DROP"}, "is no access method"),
        ({"nulls_not_distinct": True}, "needs unique"),
        ({"with": {"fillfactor": "70); DROP"}}, "is no storage parameter"),
        ({"where": "a > 1; DROP TABLE t"}, "holds a semicolon"),
        ({"columns": [{"column": "a", "opclass": "x) --"}]}, "closes a parenthesis"),
    ],
)
def test_what_can_not_be_right_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StabilityError, match=said):
        desired(**given)


def test_an_index_is_declared_once() -> None:
    option = {key: value.get("default") for key, value in INDEX.items()}
    twice = [{**option, "name": "i", "state": "absent"}] * 2
    with pytest.raises(StabilityError, match="declared more than once"):
        parse(twice)


def test_the_names_of_ours_are_the_same_in_every_run_and_differ_for_each_index() -> None:
    one, other = desired(name="x" * 63), desired(name="x" * 62 + "y")
    assert one.new_name == desired(name="x" * 63).new_name
    assert len({one.new_name, one.old_name, other.new_name, other.old_name}) == 4
    assert len(one.new_name) <= 63


def test_a_partitioned_table_gets_its_indexes_from_the_leaves_up() -> None:
    tree = [
        {"oid": 1, "parent": None, "leaf": False, "schema": "s", "name": "p"},
        {"oid": 2, "parent": 1, "leaf": False, "schema": "s", "name": "p1"},
        {"oid": 3, "parent": 2, "leaf": True, "schema": "s", "name": "p11"},
    ]
    name = "é" * 31
    made = statements_for(desired(name=name, schema="s"), tree)
    first, second = f"{'é' * 30}_1", f"{'é' * 30}_2"
    assert made == [
        f'CREATE INDEX "{name}" ON ONLY "s"."p" USING btree (a)',
        f'CREATE INDEX "{first}" ON ONLY "s"."p1" USING btree (a)',
        f'CREATE INDEX CONCURRENTLY "{second}" ON "s"."p11" USING btree (a)',
        f'ALTER INDEX "s"."{first}" ATTACH PARTITION "s"."{second}"',
        f'ALTER INDEX "s"."{name}" ATTACH PARTITION "s"."{first}"',
    ]
