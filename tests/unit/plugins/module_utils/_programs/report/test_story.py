# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A problem is one thing from its begin to its end, on the time line too."""

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.module_utils._programs.history import Event
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.story import happenings, lines


def event(time: float, kind: str, key: str = "service", severity: str = "critical") -> Event:
    return Event(time, kind, key, "no_answer", severity, "")


def test_a_problem_and_its_end_are_one_thing() -> None:
    found = happenings([event(1, "problem"), event(2, "action"), event(5, "resolved"), event(9, "problem")])
    assert [(one.event.time, one.until, one.is_open) for one in found] == [
        (1, 5, False),
        (2, None, False),
        (9, None, True),
    ]


def test_a_problem_that_becomes_worse_is_the_same_one() -> None:
    found = happenings(
        [event(1, "problem", severity="warning"), event(2, "problem"), event(3, "problem", severity="warning")]
    )
    assert [(one.event.time, one.severity) for one in found] == [(1, "critical")]


def test_what_is_for_information_alone_and_an_end_without_a_begin_are_left_out() -> None:
    assert (
        happenings([event(1, "problem", severity="info"), event(2, "resolved"), event(3, "resolved", key="proxy")])
        == []
    )


def test_on_the_time_line_a_problem_lasts_and_what_was_over_before_is_not_there() -> None:
    happened = happenings(
        [
            event(1, "problem"),
            event(5, "resolved"),
            event(50, "problem", key="old"),
            event(120, "resolved", key="old"),
            event(130, "deployment", severity="info"),
            event(140, "deployment", severity="warning"),
            event(150, "problem", key="still"),
        ]
    )
    found = {(line.label, line.look): line.values for line in lines(happened, since=100, now=200)}
    assert found == {
        ("deployments", "a"): [(100, None), (200, None), (130, 3.0), (130, 3.0), (130, None)],
        ("deployments", "critical"): [(140, 3.0), (140, 3.0), (140, None)],
        ("recovery", "b"): [(100, None), (200, None)],
        ("alerts", "critical"): [
            (100, None),
            (200, None),
            (100, 1.0),
            (120, 1.0),
            (120, None),
            (150, 1.0),
            (200, 1.0),
            (200, None),
        ],
    }


def test_a_problem_that_the_watchdog_does_not_have_is_over_though_nobody_has_noted_it() -> None:
    events = [event(1, "problem"), event(2, "problem", key="proxy")]
    assert [one.is_open for one in happenings(events)] == [True, True]
    assert [one.is_open for one in happenings(events, {"proxy"})] == [False, True]
