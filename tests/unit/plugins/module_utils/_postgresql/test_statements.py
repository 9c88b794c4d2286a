# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pg_stat_statements lacks, and statements as they are shown. What the server says is tested on a real one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.statements import (
    brief,
    missing,
    notes,
    shown,
)
from hypothesis import given
from hypothesis import strategies as st

WORKING: dict[str, Any] = {
    "role": "app_diagnosis", "database": "app", "preloaded": True, "track": "top", "extension": "1.11",
    "schema": "public", "available": "1.11", "reads_all": True,
}  # fmt: skip
SECRET = "s3cret"


@pytest.mark.parametrize(
    ("lack", "told"),
    [
        ({}, ""),
        ({"extension": "1.9"}, ""),
        ({"extension": "1.10"}, ""),
        ({"available": None, "preloaded": False, "extension": None}, "install the Debian package"),
        ({"preloaded": False, "extension": None}, "shared_preload_libraries"),
        ({"preloaded": False}, "restart the server"),
        ({"extension": None, "schema": None}, "in the database app: as a superuser there, CREATE EXTENSION"),
        ({"extension": "1.8"}, "is of version 1.8, at least 1.9 is needed and the server has 1.11: ALTER EXTENSION"),
        ({"extension": "1.7"}, "ALTER EXTENSION pg_stat_statements UPDATE"),
        ({"track": "none"}, "pg_stat_statements.track is none"),
    ],
)
def test_the_missing_piece_is_named(lack: dict[str, Any], told: str) -> None:
    problem = missing({**WORKING, **lack})
    assert told in problem if told else problem == ""


@pytest.mark.parametrize(
    ("roles", "reads_all", "hidden"),
    [([], True, ""), (["app"], True, ""), (["app"], False, "app are hidden"), ([], False, "other roles are hidden")],
)
def test_hidden_statements_are_told(roles: list[str], reads_all: bool, hidden: str) -> None:
    told = notes({**WORKING, "reads_all": reads_all}, roles)
    assert (hidden in told[0] and "GRANT pg_read_all_stats" in told[0]) if hidden else told == []


def test_a_role_sees_its_own_statements() -> None:
    assert notes({**WORKING, "role": "app", "reads_all": False}, ["app"]) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT *\n  FROM t1 WHERE id = $1", "SELECT * FROM t1 WHERE id = $1"),
        ("ALTER ROLE a PASSWORD 's3cret'", "ALTER ROLE a PASSWORD '?'"),
        ("ALTER ROLE a PASSWORD E'it\\'s3cret'", "ALTER ROLE a PASSWORD '?'"),
        ("SET a = 'it''s3cret'", "SET a = '?'"),
        ("SELECT 'C:\\', 's3cret'", "SELECT '?', '?'"),
        ("SELECT U&'s3cret', x's3cret', $$s3cret$$, $q$s3cret $$ $q$", "SELECT '?', '?', '?', '?'"),
        ("COPY t FROM 's3cret", "COPY t FROM '?'"),
        ("DO $x$ s3cret", "DO '?'"),
        ("SELECT 1, 2.5e3, .5, 0xFF, -7", "SELECT ?, ?, ?, ?, -?"),
        ("SELECT 1 /* trace s3cret */ -- s3cret", "SELECT ?"),
        ('SELECT "a\'b", "x""y"', 'SELECT "a\'b", "x""y"'),
    ],
)
def test_no_literal_is_shown(query: str, expected: str) -> None:
    assert shown(query) == expected
    assert SECRET not in shown(query)


@given(st.text(alphabet="ab '$\\\"-/*\n1", max_size=30))
def test_a_literal_stays_hidden_behind_any_complete_statement(text: str) -> None:
    quoted = text.replace("'", "''")
    assert SECRET not in shown(f"SELECT '{quoted}', '{SECRET}'")


@given(st.text(max_size=60))
def test_any_text_can_be_shown(text: str) -> None:
    assert "\n" not in shown(text)


def test_long_statements_are_cut() -> None:
    assert brief("x" * 300) == "x" * 300
    assert len(brief("x" * 301)) == 300
