# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.access import (
    for_each_client,
    with_block,
    without_block,
    without_catch_all,
)

MARKER = "# {mark} shop"
BLOCK = "# BEGIN shop\nnew\n# END shop\n"


@pytest.mark.parametrize(
    ("text", "first", "expected"),
    [
        ("", True, BLOCK),
        ("a\n", True, f"{BLOCK}a\n"),
        ("a", False, f"a\n{BLOCK}"),
        ("a\n# BEGIN shop\nold\nolder\n# END shop\nb\n", True, f"a\n{BLOCK}b\n"),
        ("# BEGIN shop\nold\n# END shop", True, BLOCK),
        ("# BEGIN shop2\nx\n# END shop2\n", True, f"{BLOCK}# BEGIN shop2\nx\n# END shop2\n"),
    ],
)
def test_lines_have_one_place(text: str, first: bool, expected: str) -> None:
    assert with_block(text, MARKER, "new\n", first=first) == expected
    assert with_block(expected, MARKER, "new", first=first) == expected


def test_lines_of_clients_are_there_for_each_of_them() -> None:
    lines = "local a\nhostssl a {client} x\nhostssl b {client} x\nhost a ::1/128 x"
    assert for_each_client(lines, []) == "local a\nhost a ::1/128 x"
    assert for_each_client(lines, ["fd00::1", "10.0.0.1", "fd00::1"]).split("\n") == [
        "local a",
        "hostssl a 10.0.0.1/32 x",
        "hostssl b 10.0.0.1/32 x",
        "hostssl a fd00::1/128 x",
        "hostssl b fd00::1/128 x",
        "host a ::1/128 x",
    ]


def test_lines_go_and_half_a_block_stays() -> None:
    assert without_block(f"a\n{BLOCK}b\n", MARKER) == "a\nb\n"
    assert without_block("# BEGIN shop\nb\n", MARKER) == "# BEGIN shop\nb\n"


def test_only_debians_own_lines_for_all_go() -> None:
    kept = "local all postgres peer\nhost all all 10.0.0.0/8 scram-sha-256\nlocal all all md5\n"
    debians = "local   all   all   peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256 \n"
    assert without_catch_all(debians + kept) == kept
