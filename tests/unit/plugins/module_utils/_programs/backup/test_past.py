# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose time a time was, once a server has been replaced, and put back."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import Backup
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.past import Past, Replacement
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.state import State
from backup_repository import settings_below

# At 100 by one as of 60, which began timeline 2; that went at 200 for the first one, as that was at 100, on timeline 3.
PAST = Past((Replacement(100.0, 1, 60.0), Replacement(200.0, 2, 100.0)))
BACKUPS = [Backup(f"at {ended:.0f}", True, ended, 1, 1, False, True, "17") for ended in (50.0, 90.0, 150.0, 250.0)]


@pytest.mark.parametrize(
    ("when", "timeline", "line", "usable"),
    [
        (55.0, 1, [(0.0, 55.0)], ["at 50"]),
        (95.0, 1, [(0.0, 95.0)], ["at 50", "at 90"]),
        (90.5, 1, [(0.0, 90.5)], ["at 50"]),
        (91.0, 1, [(0.0, 91.0)], ["at 50", "at 90"]),
        (100.0, 1, [(0.0, 100.0)], ["at 50", "at 90"]),
        (140.0, 2, [(100.0, 140.0), (0.0, 60.0)], ["at 50"]),
        (160.0, 2, [(100.0, 160.0), (0.0, 60.0)], ["at 50", "at 150"]),
        (240.0, None, [(200.0, 240.0), (0.0, 100.0)], ["at 50", "at 90"]),
        (math.inf, None, [(200.0, math.inf), (0.0, 100.0)], ["at 50", "at 90", "at 250"]),
    ],
)
def test_a_restore_follows_the_server_of_then(
    when: float, timeline: int | None, line: list[tuple[float, float]], usable: list[str]
) -> None:
    assert PAST.timeline(when) == timeline
    assert PAST.line(when) == line
    assert [backup.label for backup in PAST.usable(BACKUPS, when)] == usable


@pytest.mark.parametrize(("when", "parted"), [(40.0, 40.0), (80.0, 80.0), (150.0, 60.0), (220.0, 220.0)])
def test_what_is_lost_begins_where_the_two_parted(when: float, parted: float) -> None:
    assert PAST.parted(when, math.inf) == parted


def test_one_that_was_never_replaced_has_one_line() -> None:
    assert Past().timeline(50.0) is None
    assert Past().line(50.0) == [(0.0, 50.0)]
    assert [backup.label for backup in Past().usable(BACKUPS, math.inf)] == [backup.label for backup in BACKUPS]
    assert Past().last == 0


def test_a_replacement_that_was_killed_counts_if_it_came_about(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    for data in (main, other):
        data.mkdir()
    state = State(settings_below(tmp_path))
    last = Replacement(300.0, 3, 250.0)
    state.keep_past(Past((*PAST.replacements, dataclasses.replace(last, coming=main.stat().st_ino))))
    assert state.past == Past((*PAST.replacements, last))
    state.keep_past(Past((*PAST.replacements, dataclasses.replace(last, coming=other.stat().st_ino))))
    assert state.past == PAST


def test_a_clock_that_went_back_ends_no_question() -> None:
    assert Past((Replacement(100.0, 1, 300.0),)).line(200.0) == [(100.0, 200.0), (0.0, 100.0)]
