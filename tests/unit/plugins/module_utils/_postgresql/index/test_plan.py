# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import PgError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.catalog import (
    Definition,
    Index,
    Table,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.desired import Column, Desired
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.errors import explain
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.plan import (
    Plan,
    differences,
    make_plan,
)

TABLE = Table(1, "public", "t", "r", "shop", True, True, "public.t", ("a", "b"))
DEFINITION = Definition(
    "btree", False, False, ("a",), ("int4_ops/1978",), ("",), ("/0",), (0,), (), "", (), "USING btree (a)"
)
DESIRED = Desired("i", "public", "t", (Column("a"),), definition=DEFINITION)
ABSENT = Desired("i", "public", "t", (), present=False)
OTHER = replace(DEFINITION, keys=("b",), text="USING btree (b)")
NEW, OLD = DESIRED.new_name, DESIRED.old_name
BUILD = f'CREATE INDEX CONCURRENTLY "{NEW}" ON public.t USING btree ("a")'
RENAME = f'ALTER INDEX "public"."{NEW}" RENAME TO "i"'
ASIDE = f'ALTER INDEX "public"."i" RENAME TO "{OLD}"'


def drop(name: str) -> str:
    return f'DROP INDEX CONCURRENTLY IF EXISTS "public"."{name}"'


def index(name: str = "i", definition: Definition = DEFINITION, **given: Any) -> Index:
    fields: dict[str, Any] = {
        "oid": 2,
        "schema": "public",
        "name": name,
        "table_oid": 1,
        "table_label": "public.t",
        "kind": "i",
        "valid": True,
        "definition": definition,
        "tablespace": "",
        "constraints": "",
        "extension": "",
        "partition": False,
        "clustered": False,
        "replica_identity": False,
        "comment": "",
    }
    return Index(**{**fields, **given})


def planned(desired: Desired = DESIRED, **given: Any) -> Plan:
    return make_plan(desired, Actual(**{"table": TABLE, **given}))


SESSION = {"pid": 7, "user": "anna", "application": "psql", "since": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("given", "action", "statements"),
    [
        ({"current": index()}, "none", []),
        ({}, "create", [BUILD, RENAME]),
        ({"current": index(definition=OTHER)}, "replace", [BUILD, ASIDE, RENAME, drop(OLD)]),
        ({"current": index(valid=False)}, "replace", [BUILD, ASIDE, RENAME, drop(OLD)]),
        # a killed run: while it built, before the swap, after the swap
        ({"new": index(NEW, valid=False)}, "create", [drop(NEW), BUILD, RENAME]),
        ({"new": index(NEW)}, "create", [RENAME]),
        ({"new": index(NEW, OTHER)}, "create", [drop(NEW), BUILD, RENAME]),
        ({"current": index(), "old": index(OLD, OTHER)}, "clean", [drop(OLD)]),
        ({"current": index(), "new": index(NEW, valid=False)}, "clean", [drop(NEW)]),
        # what a REINDEX left over goes, unless one seems to be at work
        ({"current": index(), "reindexed": (index("i_ccnew", valid=False),)}, "clean", [drop("i_ccnew")]),
        ({"current": index(), "reindexed": (index("i_ccnew", valid=False),), "builders": (SESSION,)}, "none", []),
    ],
)
def test_the_steps_from_what_is_there_to_what_is_declared(
    given: dict[str, Any], action: str, statements: list[str]
) -> None:
    plan = planned(**given)
    assert (plan.action, plan.statements) == (action, statements)


def test_the_swap_is_one_step_and_keeps_the_comment_and_the_clustering() -> None:
    plan = planned(current=index(definition=OTHER, comment="it's", clustered=True))
    assert [step.statements for step in plan.steps if step.kind == "swap"] == [
        (ASIDE, RENAME, "COMMENT ON INDEX \"public\".\"i\" IS 'it''s'", 'ALTER TABLE public.t CLUSTER ON "i"')
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"table": None}, "there is no table"),
        ({"table": replace(TABLE, kind="v")}, "is a view"),
        ({"occupied": "the table public.i"}, "belongs to the table public.i"),
        ({"current": index(table_oid=9, table_label="public.other")}, "belongs to an index of public.other"),
        ({"current": index(definition=OTHER, constraints="k of t")}, "backs the constraint k of t"),
        ({"current": index(definition=OTHER, extension="x")}, "belongs to the extension x"),
        ({"current": index(definition=OTHER, replica_identity=True)}, "is its table's replica identity"),
        ({"table": replace(TABLE, owned=False)}, "only the owner of public.t .* which is shop"),
        ({"table": replace(TABLE, may_create=False)}, "the right CREATE on the schema public"),
        ({"current": index(valid=False), "builders": (SESSION,)}, r"process 7 \(anna, psql, since 2026-01-02 03:04:05"),
        ({"new": index(NEW, table_oid=9, table_label="public.other")}, "is in the way"),
    ],
)
def test_what_is_not_ours_to_change_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StabilityError, match=said):
        planned(**given)


def test_an_index_that_is_as_declared_may_back_a_constraint() -> None:
    assert planned(current=index(constraints="k of t")).action == "none"


@pytest.mark.parametrize(
    ("given", "action", "statements"),
    [
        ({}, "none", []),
        ({"current": index()}, "drop", [drop("i")]),
        ({"current": index(), "old": index(OLD)}, "drop", [drop("i"), drop(OLD)]),
        ({"new": index(NEW, valid=False)}, "clean", [drop(NEW)]),
    ],
)
def test_an_index_that_is_not_wanted_goes(given: dict[str, Any], action: str, statements: list[str]) -> None:
    plan = planned(ABSENT, **given)
    assert (plan.action, plan.statements) == (action, statements)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"current": index(constraints="k of t")}, "does not drop such an index"),
        ({"occupied": "the table public.i"}, "is the table public.i, no index"),
        ({"current": index(table_label="public.other")}, "is an index of public.other, not of t"),
    ],
)
def test_what_is_not_ours_is_not_dropped(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StabilityError, match=said):
        planned(ABSENT, **given)


def test_each_attribute_that_differs_is_named_with_both_values() -> None:
    other = replace(
        DEFINITION, unique=True, orders=(3,), condition="(a > 5)", parameters=(("fillfactor", "70"),), include=("b",)
    )
    assert differences(DEFINITION, other) == [
        "unique: false -> true",
        "order: (ASC NULLS LAST) -> (DESC NULLS FIRST)",
        "include: () -> (b)",
        "where: none -> (a > 5)",
        "with: () -> (fillfactor=70)",
    ]


def test_operator_classes_of_one_name_are_told_apart_by_their_ids() -> None:
    assert differences(DEFINITION, replace(DEFINITION, opclasses=("int4_ops/9",))) == [
        "operator classes: (int4_ops/1978) -> (int4_ops/9)"
    ]


@pytest.mark.parametrize(
    ("error", "given", "said"),
    [
        (PgError("x", "23505", "Key (a)=(1) is duplicated."), {}, "rows are equal that must not be: Key (a)=(1)"),
        (PgError("x", "55P03"), {"blockers": [SESSION], "limit": "lock_timeout (2 s)"}, "within lock_timeout (2 s)"),
        (PgError("x", "55P03"), {"blockers": [SESSION]}, "process 7 (anna, psql"),
        (PgError("x", "57014"), {"limit": "build_timeout (9 s)"}, "longer than build_timeout (9 s)"),
        (PgError("user request", "57014"), {}, "somebody cancelled it"),
        (PgError("gone", "57P01"), {"progress": "building index, 3 of 9 blocks"}, "It was at: building index, 3 of 9"),
        (PgError("no space", "53100"), {}, "no space. The file system of the tablespace is full"),
        (PgError("denied", "42501"), {}, "denied. Log in as the owner"),
        (PgError("gone.", "57P01"), {"progress": "at work"}, "any more: gone. It was at: at work."),
        (PgError("x", "57014"), {"blockers": [SESSION], "limit": "y"}, "longer than y. It waited for process 7"),
        (PgError("odd", "XX000", "detail.", "hint."), {}, "odd. detail. hint."),
    ],
)
def test_an_error_says_what_was_in_the_way(error: PgError, given: dict[str, Any], said: str) -> None:
    assert said in explain(error, **given)
