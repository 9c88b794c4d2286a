# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the timers of the backups, which come each hour, find that something is due."""

from __future__ import annotations

import datetime
import time
import zoneinfo

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import (
    LastBackup,
    LastDrill,
    Record,
    is_backup_due,
    is_drill_due,
    is_full_due,
    wants_proof,
)

HOUR, DAY = 3600.0, 86400.0
MADE = LastBackup(1.0, "20270101F")


def at(hour: int, day: int = 15) -> float:
    return datetime.datetime(2027, 1, day, hour, 20).astimezone().timestamp()


@pytest.mark.parametrize(
    ("made", "given_up", "now", "due"),
    [
        (at(2), 0, at(14), False),
        (at(14, 14), 0, at(1), False),
        (at(14, 14), 0, at(2), True),
        (at(2, 13), 0, at(1), True),
        (at(2), at(12), at(14), True),
        (at(2), at(1), at(14), False),
        (at(2, 29), 0, at(14), True),
    ],
    ids=[
        "of today",
        "before its hour",
        "in its hour",
        "missed",
        "given up",
        "given up before",
        "a clock that was ahead",
    ],
)
def test_a_backup_is_due_each_day_since_its_hour_and_after_a_loss(
    made: float, given_up: float, now: float, due: bool
) -> None:
    assert is_backup_due(made, given_up, 2, now) is due


@pytest.mark.parametrize(
    ("made", "now", "due"),
    [
        ((24, 2, 20, 0), (25, 1, 20, 0), False),
        ((24, 2, 20, 0), (25, 2, 20, 0), True),
        ((25, 2, 20, 0), (25, 2, 20, 1), False),
        ((25, 2, 20, 0), (26, 1, 20, 0), False),
        ((25, 2, 20, 0), (26, 2, 20, 0), True),
    ],
    ids=["the night before", "the first time", "the second time", "the night after", "the next one"],
)
def test_an_hour_that_comes_twice_has_one_backup(
    made: tuple[int, int, int, int], now: tuple[int, int, int, int], due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of October; day, hour, minute and whether the clock was put back already."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    begun, asked = (
        datetime.datetime(2026, 10, day, hour, minute, fold=fold, tzinfo=zone).timestamp()
        for day, hour, minute, fold in (made, now)
    )
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        is_due = is_backup_due(begun, 0, 2, asked)
    time.tzset()
    assert is_due is due


@pytest.mark.parametrize(("days", "due"), [(0.1, False), (6.4, False), (6.6, True), (30, True)])
def test_a_full_backup_is_due_by_its_age_whatever_came_since(days: float, due: bool) -> None:
    now = at(2)
    assert is_full_due(now - days * DAY, 7, now) is due
    assert is_full_due(0.0, 7, now) is True


@pytest.mark.parametrize(
    ("backup", "drill", "hour", "due"),
    [
        (LastBackup(), LastDrill(), 4, False),
        (MADE, LastDrill(), 14, True),
        (MADE, LastDrill(at(4, 14), "20270101F"), 4, False),
        (MADE, LastDrill(at(4, 8), "20270101F"), 4, True),
        (MADE, LastDrill(at(4, 8), "20270101F"), 3, False),
        # off at that hour, which is no reason to wait for another day
        (MADE, LastDrill(at(4, 8), "20270101F"), 9, True),
        (MADE, LastDrill(at(4, 9), "20270101F"), 23, False),
        (MADE, LastDrill(at(4, 10), "20270101F", 1.0, ("A file is missing.",), tried=at(4, 14)), 4, True),
        (MADE, LastDrill(at(4, 10), "20270101F", 1.0, ("A file is missing.",), tried=at(4)), 14, False),
        (MADE, LastDrill(0, "", 0, ("A file is missing.",), tried=at(3)), 3, False),
        (MADE, LastDrill(0, "", 0, ("A file is missing.",), tried=at(3)), 14, True),
        (MADE, LastDrill(at(4, 29), "20270101F"), 4, True),
    ],
)
def test_a_drill_is_due_by_its_age_or_its_failure_once_there_is_a_backup(
    backup: LastBackup, drill: LastDrill, hour: int, due: bool
) -> None:
    assert is_drill_due(Record(backup, drill), 4, at(hour)) is due


@pytest.mark.parametrize(
    ("drill", "wanted"),
    [
        (LastDrill(), True),
        (LastDrill(at(2, 14), "32ec5651"), False),
        (LastDrill(at(2, 8), "32ec5651"), True),
        (LastDrill(at(2, 14), "32ec5651", 1.0, ("It is damaged.",)), True),
        (LastDrill(at(2, 29), "32ec5651"), True),
    ],
    ids=["none yet", "young", "old", "failed", "of a time to come"],
)
def test_a_proof_is_wanted_whatever_the_hour(drill: LastDrill, wanted: bool) -> None:
    assert wants_proof(Record(MADE, drill), at(2)) is wanted
