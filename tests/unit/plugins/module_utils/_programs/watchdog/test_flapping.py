# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Problems that last, and those that come and go."""

from __future__ import annotations

import dataclasses

from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.flapping import Steady
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    SERVICE,
    Condition,
    Problem,
    Remedy,
)
from watch_story import ESCALATION, HUNG, Story, slow

WRONG = Problem("proxy.proxy_wrong", Code.PROXY_WRONG, "critical", "answered 502")


def course(pattern: str, times: int = 1, steady: Steady | None = None) -> list[bool]:
    """For each probe whether the problem counts; x: it was found."""
    steady = steady or Steady(3)
    return [bool(steady.of([WRONG] if probe == "x" else [], 0.0)) for probe in pattern * times]


def test_three_in_a_row_count_as_long_as_they_last() -> None:
    assert course("xx.xxxx.x") == [False] * 5 + [True, True, False, False]


def test_what_comes_and_goes_counts_after_a_while_and_until_it_has_been_gone_for_one() -> None:
    steady = Steady(3)
    assert course("xx.", 6, steady) == [False] * 18
    assert all(course("xx.", 800, steady)[3:])
    assert course(".", 20, steady)[-1] is False
    assert course("xx.", 1, steady) == [False] * 3


def test_one_in_three_is_not_enough() -> None:
    assert not any(course("x..", 800))


def flap(story: Story, *pattern: Condition | None, times: int) -> None:
    for _time in range(times):
        for seen in pattern:
            story.probe(seen, after=2.0)


def test_what_is_never_unhealthy_long_enough_but_mostly_is_reported_and_acted_on() -> None:
    story = Story()
    flap(story, HUNG, HUNG, None, times=6)
    assert (story.steps, story.events) == ([], [])
    flap(story, HUNG, HUNG, None, times=2)
    assert [step.remedy for _time, step in story.steps] == [Remedy.KILL_WORKER]
    assert story.events[0].message == "worker 0 does not answer (it comes and goes)"
    # it goes on: the next steps, within the budget, and one alert of it
    flap(story, HUNG, HUNG, None, times=2400)
    assert [step.remedy for _time, step in story.steps[:4]] == list(ESCALATION)
    assert story.reported.count(("problem", "worker_hung")) == 1
    assert ("problem", "budget_spent") in story.reported


def test_what_came_and_went_is_over_after_a_while_of_health() -> None:
    story = Story()
    flap(story, HUNG, HUNG, None, times=8)
    flap(story, None, times=20)
    assert story.reported[-1] == ("resolved", "worker_hung")
    assert not story.state.problems
    assert story.state.targets[SERVICE].rank == -1


def test_one_bad_probe_in_three_is_not_flapping_nor_is_a_warning() -> None:
    story = Story()
    flap(story, HUNG, None, None, times=2400)
    flap(story, slow(0), slow(0), None, times=2400)
    assert (story.steps, story.events) == ([], [])


def test_a_problem_that_comes_and_goes_says_when_it_is_not_there() -> None:
    steady = Steady(failures=3)
    found = [steady.of([WRONG] if number % 2 else [], 0.0) for number in range(44)]
    assert [[problem.seen for problem in problems] for problems in found[-2:]] == [[False], [True]]


def test_what_was_open_when_the_last_watchdog_ended_needs_one_probe_to_stay_so() -> None:
    assert Steady(3, [WRONG]).of([WRONG], 0.0) == [WRONG]
    gone = Steady(3, [WRONG])
    assert gone.of([], 0.0) == gone.of([WRONG], 5.0) == []


def test_a_problem_does_not_change_its_severity_at_each_probe() -> None:
    """Of a crash loop now one worker serves, now none."""
    milder = dataclasses.replace(WRONG, severity="warning")
    steady = Steady(1)
    assert [steady.of([found], now)[0].severity for found, now in ((milder, 0.0), (WRONG, 5.0))] == [
        "warning",
        "critical",
    ]
    assert {steady.of([milder], now)[0].severity for now in (10.0, 124.0)} == {"critical"}
    assert steady.of([milder], 125.0) == [milder]
    assert Steady(1, [WRONG], 100.0).of([milder], 101.0)[0].severity == "critical"
