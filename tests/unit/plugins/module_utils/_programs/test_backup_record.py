# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of backups in the server: whatever stands there, there is one."""

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastBackup, LastDrill, Record
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_record import from_text, to_text
from hypothesis import given
from hypothesis import strategies as st

RECORD = Record(
    LastBackup(1.5, "20270115F", "no route."), LastDrill(2.5, "20270115F", 12.0, ("A file is missing.",)), 3, 4
)


def test_it_comes_back_as_it_was() -> None:
    assert from_text(to_text(RECORD)) == RECORD


def test_what_is_long_is_cut() -> None:
    long = Record(LastBackup(error="x" * 9000), LastDrill(problems=("y" * 9000,) * 90))
    assert len(to_text(long)) < 4000


@given(st.text() | st.builds(to_text, st.just(RECORD)).map(lambda text: text.replace("1", '"')))
def test_what_is_damaged_says_that_nothing_was_made(text: str) -> None:
    assert from_text(text) in (Record(LastBackup(), LastDrill()), RECORD)
