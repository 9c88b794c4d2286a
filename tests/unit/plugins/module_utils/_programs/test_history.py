# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is recorded is there again, summed up, and takes no more room after a year than after four weeks."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import (
    DAY,
    HALF_HOUR,
    MINUTE,
    WEEKS,
    DamageError,
    Event,
    History,
    HistoryError,
    Kept,
    Point,
)

BEGIN = 1_764_028_800
"""Midnight."""
PROBLEM = Event(BEGIN, "problem", "service", "worker_hung", "critical", "Worker 3 hangs.")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def sizes(store: Path, *days: int) -> list[int]:
    """Of the file, after so many days of minutes each."""
    history, found = History(store), []
    # the disk is not what is measured
    history._database.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
    for begin, end in itertools.pairwise((0, *days)):
        for time in range(BEGIN + begin * DAY, BEGIN + end * DAY, MINUTE):
            history.record(time, dict.fromkeys(("rss", "requests"), (time / 7, time / 3)))
            if time % (6 * 3600) == 0:
                history.note(
                    [Event(time + n, "problem", "service", "x", "warning", "a" * 600) for n in range(60)], time
                )
        found.append(store.stat().st_size)
    return found


def test_minutes_are_there_as_they_were_and_summed_up(store: Path) -> None:
    history = History(store)
    for minute, value in enumerate((1.0, 2.0, 6.0)):
        history.record(BEGIN + minute * MINUTE, {"rss": (value, value * 2)})
    end = BEGIN + 2 * MINUTE
    assert history.points(MINUTE, BEGIN, end, MINUTE)["rss"] == [
        Point(BEGIN, 1.0, 2.0, 1),
        Point(BEGIN + MINUTE, 2.0, 4.0, 1),
        Point(end, 6.0, 12.0, 1),
    ]
    half_hour = [Point(BEGIN, 9.0, 12.0, 3)]
    assert history.points(MINUTE, BEGIN, end, HALF_HOUR)["rss"] == half_hour
    # before it is over
    assert history.points(HALF_HOUR, BEGIN, end, HALF_HOUR)["rss"] == half_hour
    assert half_hour[0].mean == 3.0
    assert history.points(MINUTE, end + 1, end + DAY, MINUTE) == {}


def test_half_hours_are_of_their_own_minutes(store: Path) -> None:
    history = History(store)
    for minute in (0, 29, 30, 1440 + 29):
        history.record(BEGIN + minute * MINUTE, {"count": (1.0, 1.0)})
    found = history.points(HALF_HOUR, BEGIN, BEGIN + 2 * DAY, HALF_HOUR)["count"]
    assert [(point.time - BEGIN, point.total) for point in found] == [(0, 2.0), (HALF_HOUR, 1.0), (DAY, 1.0)]


def test_the_next_one_in_its_place_leaves_nothing_of_a_minute(store: Path) -> None:
    history = History(store)
    history.record(BEGIN, {"worker.0.rss": (1.0, 1.0), "worker.1.rss": (1.0, 1.0)})
    history.record(BEGIN + DAY, {"worker.0.rss": (2.0, 2.0)})
    assert history.points(MINUTE, 0, BEGIN + DAY, MINUTE) == {"worker.0.rss": [Point(BEGIN + DAY, 2.0, 2.0, 1)]}


def test_after_four_weeks_it_does_not_grow(store: Path) -> None:
    month, two_months = sizes(store, 29, 57)
    assert month < 1_500_000
    assert two_months <= month * 1.02


@pytest.mark.soak
def test_after_a_year_it_is_as_large_as_after_a_month(store: Path) -> None:
    month, year = sizes(store, 29, 365)
    assert year <= month * 1.02


def test_no_more_than_so_many_series_take_room(store: Path) -> None:
    history = History(store)
    for minute in range(3):
        history.record(BEGIN + minute * MINUTE, {f"worker.{minute}.{n}": (1.0, 1.0) for n in range(1000)})
    assert len(history.points(MINUTE, BEGIN, BEGIN, MINUTE)) == 200
    assert len(history.points(HALF_HOUR, BEGIN, BEGIN, HALF_HOUR)) == 200


def test_events_are_kept_once_the_latest_of_four_weeks(store: Path) -> None:
    history, now = History(store), BEGIN + DAY
    many = [Event(BEGIN + n, "problem", "service", "x", "warning", "a" * 9000) for n in range(2000)]
    odd = [
        Event(now + DAY, "problem", "service", "", "", "to come"),
        Event(now - WEEKS - 1, "action", "", "", "", "old"),
    ]
    history.note([*many, *odd, PROBLEM], now)
    history.note(many, now)
    kept = history.events(0)
    assert [event.time for event in kept] == [BEGIN + n for n in range(1000, 2000)]
    assert {len(event.message) for event in kept} == {500}
    history.note([Event(now, "deployment", "r1", "succeeded", "info", "r1")], now)
    assert [event.message for event in history.events(0, "deployment")] == ["r1"]
    assert history.events(now + 1) == []
    history.note([], BEGIN + 3 * WEEKS)
    assert history.events(0) == []


def test_another_reads_and_can_not_write(store: Path) -> None:
    with pytest.raises(HistoryError, match="unable to open"):
        Kept(store)
    History(store).note([PROBLEM], BEGIN)
    assert store.stat().st_mode & 0o777 == 0o600
    kept = Kept(store)
    assert kept.events(0) == [PROBLEM]
    with pytest.raises(HistoryError, match="readonly"):
        kept.note([PROBLEM], BEGIN)


@pytest.mark.parametrize("damage", [b"no database" * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_what_is_damaged_is_begun_again(store: Path, damage: bytes) -> None:
    store.write_bytes(damage)
    with pytest.raises(HistoryError):
        Kept(store).events(0)
    History(store).note([PROBLEM], BEGIN)
    assert Kept(store).events(0) == [PROBLEM]


def test_a_damaged_page_is_found_when_it_is_opened_and_the_whole_begun_again(store: Path) -> None:
    history = History(store)
    for minute in range(300):
        history.record(BEGIN + minute * MINUTE, {f"series.{number}": (1.0, 1.0) for number in range(20)})
    history.close()
    content = bytearray(store.read_bytes())
    content[3 * 4096 : 8 * 4096] = b"\xff" * (5 * 4096)
    store.write_bytes(content)
    with pytest.raises(DamageError):
        Kept(store).points(MINUTE, 0, BEGIN + DAY, MINUTE)
    History(store).note([PROBLEM], BEGIN)
    assert Kept(store).events(0) == [PROBLEM]


def test_a_flood_of_events_takes_no_more_room_also_of_one_moment(store: Path) -> None:
    history = History(store)
    for flood in range(5):
        history.note((dataclasses.replace(PROBLEM, key=f"{flood}.{number}") for number in range(1000)), BEGIN)
    assert len(history.events(0)) == 1000


def test_what_has_not_happened_yet_is_forgotten_once_the_clock_is_right(store: Path) -> None:
    history = History(store)
    history.note([dataclasses.replace(PROBLEM, time=BEGIN + 300 * DAY)], BEGIN + 300 * DAY)
    history.note([PROBLEM], BEGIN)
    assert history.events(0) == [PROBLEM]


def test_half_a_character_is_no_reason_to_end(store: Path) -> None:
    history = History(store)
    history.note([dataclasses.replace(PROBLEM, message="\ud800 hangs")], BEGIN)
    assert [event.message for event in history.events(0)] == ["? hangs"]


def test_what_can_not_be_written_is_said_and_nothing_of_it_is_there(store: Path) -> None:
    history = History(store)
    busy = sqlite3.connect(store)
    busy.execute("BEGIN EXCLUSIVE")
    history._database.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(HistoryError, match="locked"):
        history.record(BEGIN, {"rss": (1.0, 1.0)})
    busy.close()
    assert history.points(MINUTE, 0, BEGIN, MINUTE) == {}
