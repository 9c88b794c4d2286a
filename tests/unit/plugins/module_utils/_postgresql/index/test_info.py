# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.catalog import Definition, Index
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.info import (
    covered,
    duplicates,
    unused,
)

ONE = Definition("btree", False, False, ("a",), ("int4_ops/1978",), ("",), ("/0",), (0,), (), "", (), "USING btree (a)")
TWO = replace(
    ONE,
    keys=("a", "b"),
    opclasses=("int4_ops/1978",) * 2,
    collations=("/0",) * 2,
    opclass_parameters=("",) * 2,
    orders=(0, 0),
)


def index(oid: int, definition: Definition = ONE, **given: Any) -> Index:
    made = Index(oid, "public", f"i{oid}", 1, "public.t", "i", True, definition, "", "", "", False, False, False, "")
    return replace(made, **given)


def test_the_same_index_twice_is_a_duplicate_whatever_its_storage_and_a_constraints_one_is_kept() -> None:
    stored = replace(ONE, parameters=(("fillfactor", "70"),))
    found = duplicates([index(1), index(2, stored), index(3, constraints="k"), index(4, TWO), index(5, valid=False)])
    assert found == [
        {
            "table": "public.t",
            "indexes": ['"public"."i3"', '"public"."i1"', '"public"."i2"'],
            "statements": ['DROP INDEX CONCURRENTLY "public"."i1"', 'DROP INDEX CONCURRENTLY "public"."i2"'],
        }
    ]


def test_indexes_of_two_tables_are_no_duplicates() -> None:
    assert duplicates([index(1), index(2, table_oid=9)]) == []


def test_an_index_is_covered_by_one_that_begins_with_it() -> None:
    partial = replace(ONE, condition="(a > 5)")
    found = covered([index(1), index(2, TWO), index(3, partial), index(4, replace(ONE, unique=True))])
    assert found == [{"index": '"public"."i1"', "by": '"public"."i2"', "table": "public.t"}]


def test_only_what_serves_nothing_but_queries_can_be_unused() -> None:
    indexes = [
        index(1),
        index(2),
        index(3, replace(ONE, unique=True)),
        index(4, constraints="k"),
        index(5, valid=False),
    ]
    use = {number: {"scans": 1 if number == 2 else 0, "size": 8192} for number in range(1, 6)}
    assert [found["index"] for found in unused(indexes, use)] == ['"public"."i1"']
