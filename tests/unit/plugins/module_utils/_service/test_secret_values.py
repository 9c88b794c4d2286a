# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and environments."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import (
    environment_problems,
    environment_text,
    hide,
    secret_problems,
    texts_to_hide,
    weakness,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD = "k3J9xQ2mV7pL0sT5wZ8yB1nD4fG6hR0a"


@pytest.mark.parametrize(
    "value",
    ["", "changeme", "CHANGE_ME", "please-change-me-now-1234567890123456", "secret", "Password1", "your-secret-here",
     "your_jwt_secret_of_thirty_two_characters", "<JWT_SECRET>", "xxxxxxxx", "x" * 40,
     "abababababababababababababababab", "this-is-an-example-secret", "put-the-secret-here", "todo", "test123"],
)  # fmt: skip
def test_what_is_no_secret(value: str) -> None:
    assert weakness(value)


@pytest.mark.parametrize(
    "value",
    [GOOD, "correct horse battery staple", "0123456789abcdef", "p/w:@%'x #9zzQ", "\u65e5\u672c\u8a9e\u79d8\u5bc6"],
)
def test_what_may_be_one(value: str) -> None:
    assert weakness(value) is None


@given(st.text(), st.integers(1, 64))
def test_no_weakness_tells_the_value(value: str, least: int) -> None:
    told = weakness(value, least)
    if told is None:
        assert len(value) >= least
    elif len(value) > len("has 63 characters, at least 64 are needed"):
        assert value not in told


def test_required_secrets() -> None:
    problems = secret_problems({"A": GOOD, "B": "s" + GOOD[:20], "C": None}, ["A", "B", "C", "D"], 32)
    assert problems == [
        ("B", "has 21 characters, at least 32 are needed"),
        ("C", "is empty"),
        ("D", "is missing: service_required_secrets asks for it"),
    ]


def test_what_an_environment_can_not_hold() -> None:
    variables = {
        "GOOD": "x",
        "N": 1,
        "B": True,
        "1A": "x",
        "LIST": [1],
        "NONE": None,
        "QUOTES": "'`\"",
        "PORT": 80,
        "NODE_ENV": "x",
    }
    problems = dict(environment_problems(variables))
    assert set(problems) == {"1A", "LIST", "NONE", "QUOTES", "PORT", "NODE_ENV"}
    assert "service_mode" in problems["NODE_ENV"]
    assert "'`\"" not in problems["QUOTES"]


def test_the_text_of_a_value() -> None:
    assert [environment_text(value) for value in (True, False, 1, 1.5, "x")] == ["true", "false", "1", "1.5", "x"]
    assert environment_text({}) is None


def test_what_an_environment_holds_is_hidden_in_a_text() -> None:
    environment = {"DATABASE_URL": "postgresql://u:p%40ss@db/x", "JWT_SECRET": "k3J9xQ2mV7pL", "DB_POOL_MAX": "20"}
    hidden = texts_to_hide(environment)
    assert hide("p@ss p%40ss k3J9xQ2mV7pL 20", hidden) == "******** ******** ******** 20"
    assert hide("in production", texts_to_hide({"NODE_ENV": "production"})) == "in production"
    assert hide("in production", texts_to_hide({"NODE_ENV": "production", "KEY": "production"})) == "in ********"
    assert hide("input: 'postgresql://u:p%40ss@db/x'", hidden) == "input: '********'"


KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKxx\n  AbCdEfGhIjKl+/==\nshort\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("kept", [KEY, KEY.replace("\n", "\\n")])
def test_each_line_of_a_key_is_hidden_by_itself(kept: str) -> None:
    """Whether it stands in several lines, or in one that the program makes several of."""
    hidden = texts_to_hide({"KEY": kept})
    assert [hide(line, hidden) for line in KEY.splitlines()] == [
        "-----BEGIN PRIVATE KEY-----",
        "********",
        "  ********",
        "short",
        "-----END PRIVATE KEY-----",
    ]
    assert hide(f"read {kept}.", hidden) == "read ********."


@pytest.mark.parametrize("value", ['pass"word one', "back\\slash-one", 'gr\u00fc\u00dfe "two"', KEY])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_value_is_hidden_in_json(value: str, ascii_only: bool) -> None:
    written = json.dumps({"key": value}, ensure_ascii=ascii_only)
    assert hide(written, texts_to_hide({"KEY": value})) == '{"key": "********"}'


def test_a_password_of_an_address_is_hidden_in_json() -> None:
    hidden = texts_to_hide({"DATABASE_URL": "postgresql://u:p%22%5Css@db/x"})
    assert hide(json.dumps({"password": 'p"\\ss'}), hidden) == '{"password": "********"}'


def test_of_a_key_that_was_cut_the_rest_is_hidden() -> None:
    """As the end of a log has it, in JSON."""
    cut = json.dumps(KEY)[20:]
    assert hide(cut, texts_to_hide({"KEY": KEY})) == (
        r'KEY-----\n********\n  ********\nshort\n-----END PRIVATE KEY-----\n"'
    )


def test_what_is_no_secret_stays_readable_in_several_lines() -> None:
    assert hide("production", texts_to_hide({"NODE_OPTIONS": "a\nproduction"})) == "production"
