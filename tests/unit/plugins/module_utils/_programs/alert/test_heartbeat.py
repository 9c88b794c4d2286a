# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.heartbeat import (
    HEARTBEAT,
    MONITORING,
    Clock,
    Sight,
    Unit,
    heartbeat_events,
    missed_events,
    observe,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import Event, Ledger, notify

LIMIT = 90.0
RUNNING = Unit("loaded", "active", "success")
NANO = 1_000_000_000


class Host:
    """A host's clocks, and a watchdog that wrote its status at the given wall time."""

    def __init__(self) -> None:
        self.clock = Clock(100_000.0, 500.0, "boot")
        self.sight = Sight()

    def passes(self, seconds: float, jump: float = 0.0) -> None:
        wall, boot = self.clock.wall + seconds + jump, self.clock.boot + seconds
        self.clock = dataclasses.replace(self.clock, wall=wall, boot=boot)

    def fresh(self, written: float | None) -> bool:
        mtime_ns = 0 if written is None else int(written * NANO)
        self.sight, fresh = observe(self.sight, mtime_ns, self.clock, LIMIT)
        return fresh


def test_silence_is_seen_by_the_age_of_the_status() -> None:
    host = Host()
    written = host.clock.wall
    assert host.fresh(written)
    host.passes(60)
    assert host.fresh(written)
    host.passes(31)
    assert not host.fresh(written)
    assert host.fresh(host.clock.wall)


def test_a_watchdog_that_never_began_is_given_its_time() -> None:
    host = Host()
    assert host.fresh(None)
    host.passes(89)
    assert host.fresh(None)
    host.passes(1)
    assert not host.fresh(None)


def test_a_status_that_is_gone_is_no_new_sign() -> None:
    host = Host()
    assert host.fresh(host.clock.wall)
    host.passes(60)
    assert host.fresh(None)
    host.passes(31)
    assert not host.fresh(None)
    assert host.fresh(host.clock.wall)


def test_a_clock_that_jumps_ahead_is_no_silence() -> None:
    host = Host()
    assert host.fresh(host.clock.wall)
    written = host.clock.wall + 55
    host.passes(60, jump=7200)
    assert host.fresh(written)
    host.passes(60)
    assert host.fresh(host.clock.wall - 3)


def test_a_clock_that_was_set_back_hides_no_silence() -> None:
    host = Host()
    written = host.clock.wall
    assert host.fresh(written)
    host.passes(60, jump=-7200)
    assert host.fresh(written)
    host.passes(31)
    assert not host.fresh(written)


def test_a_boot_begins_again() -> None:
    host = Host()
    assert host.fresh(host.clock.wall)
    host.clock = Clock(host.clock.wall + 600, 20.0, "next boot")
    assert host.fresh(None)


def test_silence_is_a_problem_of_its_own_until_there_is_a_sign() -> None:
    ledger = Ledger()
    events = heartbeat_events(ledger, False, Unit("loaded", "failed", "watchdog"), 900 * NANO, 1000)
    assert [(event.code, event.severity) for event in events] == [("watchdog_silent", "critical")]
    assert [notice.kind for notice in notify(ledger, events, 1000, 0, False)] == ["opened"]
    assert heartbeat_events(ledger, False, Unit("loaded", "failed", "watchdog"), 900 * NANO, 1060) == []
    events = heartbeat_events(ledger, True, RUNNING, 1100 * NANO, 1101)
    assert [notice.kind for notice in notify(ledger, events, 1101, 0, False)] == ["resolved"]
    assert heartbeat_events(ledger, True, RUNNING, 1150 * NANO, 1151) == []


def test_a_watchdog_that_was_stopped_by_an_operator_is_a_warning_and_its_later_death_is_critical() -> None:
    ledger = Ledger()
    stopped, dead = Unit("loaded", "inactive", "success"), Unit("loaded", "failed", "signal")
    first = heartbeat_events(ledger, False, stopped, 0, 1000)
    assert [(event.code, event.severity) for event in first] == [("watchdog_stopped", "warning")]
    notify(ledger, first, 1000, 0, False)
    second = heartbeat_events(ledger, False, dead, 0, 1060)
    assert [notice.kind for notice in notify(ledger, second, 1060, 0, False)] == ["worse"]


def test_a_monitoring_that_is_not_there_any_more_is_missed() -> None:
    for unit, code in (
        (Unit("masked", "inactive", "success"), "monitoring_stopped"),
        (RUNNING, "monitoring_silent"),
        (Unit(), "monitoring_silent"),
    ):
        (event,) = heartbeat_events(Ledger(), False, unit, 0, 1000, codes=MONITORING, why="connection refused")
        assert (event.code, event.message) == (code, "There is no sign of it. connection refused")


def test_where_no_watchdog_is_installed_none_is_missed() -> None:
    assert heartbeat_events(Ledger(), False, Unit(), 0, 1000) == []
    ledger = Ledger()
    notify(ledger, [Event("problem", 0, HEARTBEAT, "watchdog_silent", "critical")], 0, 0, False)
    assert [event.kind for event in heartbeat_events(ledger, False, Unit(), 0, 1000)] == ["resolved"]


def status(time: float, *keys: str, since: float = 0.0) -> dict[str, object]:
    problems = [{"key": key, "code": "x", "severity": "critical", "since": since, "message": "m"} for key in keys]
    return {"time": time, "problems": problems}


def test_what_no_event_reported_is_taken_from_the_status() -> None:
    ledger = Ledger()
    assert missed_events(ledger, status(20, "service.x"), 20) == []
    events = missed_events(ledger, status(31, "service.x"), 31)
    assert [(event.kind, event.key, event.time) for event in events] == [("problem", "service.x", 0)]
    notify(ledger, events, 31, 0, False)
    assert missed_events(ledger, status(500, "service.x"), 500) == []
    assert missed_events(ledger, status(100), 100) == []
    gone = missed_events(ledger, status(121), 121)
    assert [(event.kind, event.key) for event in gone] == [("resolved", "service.x")]


def test_that_a_problem_became_worse_is_taken_from_the_status_too() -> None:
    ledger = Ledger()
    notify(ledger, [Event("problem", 100, "service.x", "x", "warning")], 100, 0, False)
    assert missed_events(ledger, status(125, "service.x"), 125) == []
    events = missed_events(ledger, status(131, "service.x"), 131)
    assert [notice.kind for notice in notify(ledger, events, 131, 0, False)] == ["worse"]
    assert missed_events(ledger, status(500, "service.x"), 500) == []


def test_an_older_status_opens_nothing_that_an_event_has_closed() -> None:
    ledger = Ledger()
    notify(
        ledger, [Event("problem", 0, "service.x", "x", "critical"), Event("resolved", 100, "service.x")], 100, 0, False
    )
    assert missed_events(ledger, status(99, "service.x"), 101) == []
    assert missed_events(ledger, status(125, "service.x"), 126) == []


def test_silence_itself_is_not_in_the_status_and_stays() -> None:
    ledger = Ledger()
    notify(ledger, [Event("problem", 0, HEARTBEAT, "watchdog_silent", "critical")], 0, 0, False)
    assert missed_events(ledger, status(1000), 1000) == []


def test_a_status_of_another_shape_is_no_reason_to_fail() -> None:
    for content in ({}, {"problems": None}, {"problems": [1, {}, {"key": "a", "code": "b", "severity": []}]}):
        assert missed_events(Ledger(), content, 1000) == []
