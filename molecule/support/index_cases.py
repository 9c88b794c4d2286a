# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations of indexes: each as it is wanted first, the attributes that change then, and a query for both of them.

Each has a table of its own, so that a query whose plan has an index at all has the declared one, the old or the new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ODD = 'Sel"ect; --'
ODD_IN_SQL = '"Sel""ect; --"'
LONG = "é" * 31 + "x"  # 63 bytes
HOSTILE = 'a"; DROP TABLE t; --'

COLUMNS = f"""
  id int, a int, b text, c int, d timestamptz, e varchar(50), j jsonb, g int[], r int4range, v tsvector, p point,
  n numeric, {ODD_IN_SQL} text, "Größe" int
"""
ROWS = """
  SELECT k, k % 50, 'b' || k % 50, k % 20, timestamptz '2026-01-01' + k * interval '1 hour', 'E' || k || '@x.org',
         jsonb_build_object('k', k % 50), ARRAY[k % 50, k % 7], int4range(k, k + 3),
         to_tsvector('simple', 'w' || k % 50), point(k, k), k / 3.0, 'q' || k % 50, k % 9
  FROM generate_series(1, 300) k
"""
EQUAL = "a = 5 AND b = 'b5' AND c = 5"


@dataclass(frozen=True)
class Case:
    given: dict[str, Any]
    altered: dict[str, Any]
    where: str = EQUAL
    name: str = ""
    # The name of the attribute as the reasons call it
    differs: str = ""
    since: int = 0


def _column(**parts: str) -> dict[str, Any]:
    return {"columns": [parts]}


ALL = [
    Case({"columns": ["a"]}, {"columns": ["c"]}, differs="columns"),
    Case({"columns": ["a"]}, {"columns": ["a", "b"]}, differs="columns"),
    Case({"columns": ["a", "b"]}, {"columns": ["b", "a"]}, differs="columns"),
    Case({"columns": ["a", "b", "c"]}, {"columns": ["a", "b"]}, differs="columns"),
    Case({"columns": ["a"]}, {"columns": ["a DESC"]}, differs="order"),
    Case({"columns": ["a DESC"]}, {"columns": ["a DESC NULLS LAST"]}, differs="order"),
    Case(_column(column="a"), _column(column="a", nulls="first"), differs="order"),
    Case(_column(column="a", order="desc"), _column(column="a", order="asc"), differs="order"),
    Case({"columns": ["a", "c DESC"]}, {"columns": ["a DESC", "c"]}, differs="order"),
    Case({"columns": ["id"]}, {"unique": True}, "id = 7", differs="unique"),
    Case({"columns": ["id"], "unique": True}, {"unique": False}, "id = 7", differs="unique"),
    Case(
        {"columns": ["id"], "unique": True},
        {"nulls_not_distinct": True},
        "id = 7",
        differs="nulls_not_distinct",
        since=15,
    ),
    Case({"columns": ["a"]}, {"include": ["c"]}, differs="include"),
    Case({"columns": ["a"], "include": ["b"]}, {"include": ["c"]}, differs="include"),
    Case({"columns": ["a"], "include": ["b", "c"]}, {"include": []}, differs="include"),
    Case({"columns": ["a"]}, {"where": "c = 5"}, differs="where"),
    Case({"columns": ["a"], "where": "c = 5"}, {"where": ""}, differs="where"),
    Case({"columns": ["a"], "where": "c > 4"}, {"where": "c > 3"}, differs="where"),
    Case({"columns": ["a"], "where": "b = 'b5'"}, {"where": "b = 'b5' AND c = 5"}, differs="where"),
    Case({"columns": ["a"]}, {"with": {"fillfactor": 70}}, differs="with"),
    Case({"columns": ["a"], "with": {"fillfactor": 70}}, {"with": {"fillfactor": 80}}, differs="with"),
    Case({"columns": ["a"], "with": {"deduplicate_items": False}}, {"with": {}}, differs="with"),
    Case({"columns": ["a"]}, {"method": "hash"}, differs="method"),
    Case({"columns": ["b"], "method": "hash"}, {"method": "btree"}, differs="method"),
    Case({"columns": ["a"], "method": "brin"}, {"method": "btree"}, differs="method"),
    Case({"columns": ["a"], "method": "brin"}, {"with": {"pages_per_range": 32}}, differs="with"),
    Case(
        _column(column="a", opclass="int4_minmax_ops") | {"method": "brin"},
        _column(column="a", opclass="int4_bloom_ops"),
        differs="operator classes",
    ),
    Case(
        _column(column="a", opclass="int4_bloom_ops(false_positive_rate=0.05)") | {"method": "brin"},
        _column(column="a", opclass="int4_bloom_ops(false_positive_rate=0.02)"),
        differs="operator class parameters",
    ),
    Case(_column(column="b"), _column(column="b", opclass="text_pattern_ops"), differs="operator classes"),
    Case(
        _column(column="b", opclass="text_pattern_ops"),
        _column(column="b", opclass="text_ops"),
        differs="operator classes",
    ),
    Case(
        _column(column="b"),
        _column(column="b", collation="C"),
        """b = 'b5' AND b = 'b5' COLLATE "C" """,
        differs="collations",
    ),
    Case(
        _column(column="b", collation="C"),
        _column(column="b", collation="POSIX"),
        """b = 'b5' COLLATE "C" AND b = 'b5' COLLATE "POSIX" """,
        differs="collations",
    ),
    Case(
        {"columns": ["lower(b)"]}, {"columns": ["upper(b)"]}, "lower(b) = 'b5' AND upper(b) = 'B5'", differs="columns"
    ),
    Case(
        _column(expression="lower(e)"),
        _column(expression="lower(e::text || 'x')"),
        "lower(e) = 'a' AND lower(e::text || 'x') = 'ax'",
        differs="columns",
    ),
    Case(
        _column(expression="a + c", order="desc"),
        _column(expression="a * c", order="desc"),
        "a + c = 10 AND a * c = 25",
        differs="columns",
    ),
    Case(
        {"columns": ["(j ->> 'k')"]},
        {"columns": ["((j ->> 'k')::int)"]},
        "j ->> 'k' = '5' AND (j ->> 'k')::int = 5",
        differs="columns",
    ),
    Case(
        {"columns": ["coalesce(c, 0)", "a"]},
        {"columns": ["coalesce(c, 1)", "a"]},
        "coalesce(c, 0) = 5 AND coalesce(c, 1) = 5",
        differs="columns",
    ),
    Case(
        _column(column="j") | {"method": "gin"},
        _column(column="j", opclass="jsonb_path_ops"),
        """j @> '{"k": 5}'""",
        differs="operator classes",
    ),
    Case({"columns": ["g"], "method": "gin"}, {"with": {"fastupdate": False}}, "g @> ARRAY[5]", differs="with"),
    Case({"columns": ["v"], "method": "gin"}, {"method": "gist"}, "v @@ 'w5'::tsquery", differs="method"),
    Case({"columns": ["r"], "method": "gist"}, {"method": "spgist"}, "r && int4range(5, 6)", differs="method"),
    Case(
        {"columns": ["p"], "method": "gist"}, {"with": {"buffering": "off"}}, "p <@ box '((1,1),(5,5))'", differs="with"
    ),
    Case(
        _column(column="p", opclass="quad_point_ops") | {"method": "spgist"},
        _column(column="p", opclass="kd_point_ops"),
        "p <@ box '((1,1),(5,5))'",
        differs="operator classes",
    ),
    Case({"columns": ["a"]}, {"columns": ["Größe"]}, 'a = 5 AND "Größe" = 5', name="Größe 大小", differs="columns"),
    Case(
        {"columns": [ODD]},
        {"columns": [{"column": ODD, "order": "desc"}]},
        f"{ODD_IN_SQL} = 'q5'",
        HOSTILE,
        "order",
    ),
    Case({"columns": ["a"]}, {"include": [ODD]}, name=LONG, differs="include"),
]


def _kind(case: Case) -> tuple[Any, ...]:
    expression = "(" in str(case.given["columns"])
    return case.differs, case.given.get("method"), case.altered.get("method"), expression, case.name


# One of a kind: the first in which an index of this method has this attribute altered, and every odd name.
KINDS = list({_kind(case): case for case in ALL[::-1]}.values())
# The same index in other words
EQUALS = [
    ({"columns": ["d desc"]}, {"columns": ['"d" DESC NULLS FIRST']}),
    ({"columns": ["d desc"]}, _column(column="d", order="DESC", nulls="first")),
    ({"columns": ["a"]}, {"columns": ["(a) ASC NULLS LAST"]}),
    ({"columns": ["a"]}, {"columns": [" A "]}),
    ({"columns": ["lower(e)"]}, {"columns": ["lower((e)::text)"]}),
    ({"columns": ["lower(e)"]}, _column(expression="LOWER( CAST( e AS text ) )", opclass="text_ops")),
    ({"columns": ["lower(b)"]}, {"columns": ["pg_catalog.lower(b) ASC"]}),
    ({"columns": ["b"]}, _column(column="b", collation="default", opclass="pg_catalog.text_ops")),
    ({"columns": ["a"], "where": "c>5 AND b='x'"}, {"columns": ["a"], "where": "  ( c > 5 )\n  and ( b = 'x'::text )"}),
    ({"columns": ["a"], "where": "c IN (1, 2)"}, {"columns": ["a"], "where": "c = ANY (ARRAY[1, 2])"}),
    ({"columns": ["a"], "where": "b <> ''"}, {"columns": ["a"], "where": "b != ''"}),
    ({"columns": ["a"], "with": {"fillfactor": 70}}, {"columns": ["a"], "with": {"FILLFACTOR": "70"}}),
    (
        {"columns": ["g"], "method": "gin", "with": {"fastupdate": False}},
        {"columns": ["g"], "method": "GIN", "with": {"fastupdate": "off"}},
    ),
    ({"columns": ["(id + 1 > c)"]}, {"columns": ["(((id)+(1)) > (c))"]}),
]


def tables(count: int) -> str:
    """The statements that make so many tables t0, t1, ... with the same rows."""
    first = f"DROP TABLE IF EXISTS t0; CREATE TABLE t0 ({COLUMNS}); INSERT INTO t0 {ROWS};"
    others = (
        f"DROP TABLE IF EXISTS t{k}; CREATE TABLE t{k} (LIKE t0); INSERT INTO t{k} TABLE t0;" for k in range(1, count)
    )
    return "\n".join([first, *others, "ANALYZE;"])
