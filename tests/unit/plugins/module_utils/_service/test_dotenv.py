# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file: what Node.js really read is the fixture."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import DotenvError, dump, parse, quote
from hypothesis import example, given
from hypothesis import strategies as st
from places import FIXTURES

FIXTURE = json.loads((FIXTURES / "dotenv_node.json").read_text(encoding="utf-8"))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
# Every sign that the syntax knows, often.
VALUES = st.text(st.one_of(st.sampled_from("'\"`#\\n$= \n\t"), st.characters(codec="utf-8", exclude_characters="\0\r")))


def test_the_parser_reads_what_node_reads() -> None:
    assert parse(FIXTURE["text"]) == FIXTURE["environment"]


def test_the_writer_writes_what_node_was_given() -> None:
    assert FIXTURE["text"].endswith(dump(FIXTURE["environment"]))


@given(st.dictionaries(NAMES, VALUES))
@example({"A": "'", "B": '"\\n', "C": "`"})
def test_every_value_is_read_back_or_refused(environment: dict[str, str]) -> None:
    written = {}
    for name, value in environment.items():
        try:
            quote(name, value)
        except DotenvError:
            assert set("'`") <= set(value)
            assert '"' in value or "\\n" in value
        else:
            written[name] = value
    assert parse(dump(written)) == written


@pytest.mark.parametrize("value", ["all ' of ` them \"", "' ` \\n", "a\0b", "a\r\nb", "\ud800"])
def test_what_node_could_not_read_back_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(DotenvError) as error:
        quote("API_KEY", value)
    assert "API_KEY" in str(error.value)
    assert value not in str(error.value)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "É"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DotenvError, match="no environment name"):
        dump({name: "x"})


def test_lines_that_assign_nothing_are_passed_over() -> None:
    assert parse("# A=1\n\nB\nexport C=2 # why\nD='open\n") == {"C": "2", "D": "'open"}
