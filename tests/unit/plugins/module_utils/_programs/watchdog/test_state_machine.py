# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog does about what it sees: whole stories, probe by probe, on a clock of their own."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    PROXY,
    SERVICE,
    Assessment,
    Condition,
    Inhibition,
    Outcome,
    Problem,
    Remedy,
    Step,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import (
    Phase,
    backoff,
    begin,
    end,
    resumed,
    turn,
)
from hypothesis import given
from hypothesis import strategies as st
from watch_story import ESCALATION, HUNG, MISSING, NGINX, RULES, Story, slow

DEPLOYMENT = Inhibition(Code.DEPLOYMENT, "a deployment is at work")
NO_DATABASE = Inhibition(Code.DATABASE_DOWN, "the database does not answer", "critical")


def test_two_bad_probes_are_no_reason_and_three_are() -> None:
    story = Story()
    assert [story.probe(HUNG), story.probe(HUNG), story.probe(None)] == [None, None, None]
    assert story.phase() is Phase.HEALTHY
    assert [story.probe(HUNG), story.probe(HUNG)] == [None, None]
    assert story.phase() is Phase.SUSPECT
    step = story.probe(HUNG)
    assert step == Step(SERVICE, Remedy.KILL_WORKER, HUNG, 1)
    assert story.phase() is Phase.RECOVERING


def test_what_is_certain_needs_no_other_probe() -> None:
    certain = dataclasses.replace(HUNG, certain=True)
    assert Story().probe(certain) == Step(SERVICE, Remedy.KILL_WORKER, certain, 1)


def test_what_is_certain_of_one_worker_is_not_of_those_that_earlier_probes_found() -> None:
    story = Story()
    story.probe(slow(0, 1))
    step = story.probe(dataclasses.replace(slow(1), certain=True))
    assert step is not None
    assert step.condition.workers == (1,)


def test_what_nothing_may_be_done_about_is_reported_once_and_when_it_is_over() -> None:
    story = Story()
    watched = Condition(Code.WORKER_HUNG, "process 7 does not answer", (), (0,))
    story.for_seconds(3600, watched)
    assert story.steps == []
    assert story.reported == [("problem", "worker_hung")]
    story.probe(None)
    assert story.reported[1:] == [("resolved", "worker_hung")]


NEAR_LIMIT = Condition(Code.MEMORY_NEAR_LIMIT, "worker 0 is large", (Remedy.RELOAD_WORKER,), (0,), "warning")


def test_workers_that_are_slow_in_turns_are_left_alone() -> None:
    story = Story()
    assert [story.probe(slow(number % 2)) for number in range(20)] == [None] * 20
    assert not story.events


def test_only_a_worker_that_each_probe_found_unhealthy_is_acted_on() -> None:
    story = Story()
    story.probe(slow(0))
    story.probe(slow(0, 1))
    step = story.probe(slow(0, 1, 2))
    assert step is not None
    assert step.condition.workers == (0,)


def test_of_workers_that_grow_alike_one_is_reloaded_although_each_probe_finds_another_one_larger() -> None:
    story = Story()
    both, turned = (dataclasses.replace(NEAR_LIMIT, workers=workers, at_once=1) for workers in [(0, 1), (1, 0)])
    steps = [story.probe(condition) for condition in (both, turned, both)]
    assert steps[:2] == [None, None]
    assert steps[2] is not None
    assert steps[2].condition.workers == (0,)


def test_one_slow_answer_is_no_reason_while_another_condition_lasts() -> None:
    story = Story()
    story.for_seconds(15, NEAR_LIMIT)
    story.now += 300
    assert [story.probe(slow(1)), story.probe(slow(1))] == [None, None]
    assert story.reported == [("problem", "memory_near_limit"), ("action", "reload_worker")]
    assert story.probe(slow(1)) is not None


def test_nobody_is_served_in_whichever_way_that_shows() -> None:
    story = Story()
    ways = (
        HUNG,
        Condition(Code.NO_ANSWER, "nothing listens", ESCALATION[1:]),
        Condition(Code.DAEMON_DEAD, "gone", ESCALATION[3:]),
    )
    assert [story.probe(way) is not None for way in ways] == [False, False, True]


def test_a_recovery_is_reported_from_its_condition_to_its_end() -> None:
    story = Story()
    story.for_seconds(15, HUNG)
    story.probe(None)
    assert story.reported == [("problem", "worker_hung"), ("action", "kill_worker"), ("resolved", "worker_hung")]
    assert story.events[0].severity == "critical"
    assert story.events[0].values == {"workers": [0]}
    # unhealthy from the first of the three probes on
    assert story.events[2].values == {"seconds": 16.0}


def test_recovery_escalates_each_step_with_its_grace_and_a_longer_back_off() -> None:
    story = Story(dataclasses.replace(RULES, restart_budget=100))
    story.for_seconds(1000, HUNG)
    remedies = [step.remedy for _time, step in story.steps]
    assert remedies[:5] == [*ESCALATION, Remedy.RESTART_DAEMON]
    waits = [round(later - earlier) for (earlier, _first), (later, _second) in itertools.pairwise(story.steps)]
    assert waits[0] >= 30
    assert all(abs(waited - wanted) <= 11 for waited, wanted in zip(waits, [30, 30, 40, 80, 160, 300], strict=False))
    assert [step.number for _time, step in story.steps[:3]] == [1, 2, 3]


def test_another_condition_of_the_same_time_continues_the_escalation() -> None:
    story = Story()
    story.for_seconds(15, HUNG)
    story.for_seconds(35, MISSING)
    assert [step.remedy for _time, step in story.steps] == [Remedy.KILL_WORKER, Remedy.RESTART_APP]
    assert story.reported.count(("problem", "worker_hung")) == 1
    assert ("problem", "worker_missing") not in story.reported


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (5000, 300)])
def test_back_off(attempts: int, seconds: float) -> None:
    assert backoff(attempts, RULES) == seconds


def test_a_condition_that_comes_back_soon_waits_longer_and_after_ten_healthy_minutes_not() -> None:
    story = Story()
    story.for_seconds(15, HUNG)
    story.for_seconds(20, None)
    story.for_seconds(15, HUNG)
    assert [step.remedy for _time, step in story.steps] == [Remedy.KILL_WORKER, Remedy.KILL_WORKER]
    assert story.state.targets[SERVICE].attempts == 2
    story.for_seconds(620, None)
    assert story.state.targets[SERVICE].attempts == 0


def test_a_spent_budget_is_reported_once_and_ends_with_health() -> None:
    story = Story()
    story.for_seconds(800, HUNG)
    assert len(story.steps) == 5
    assert story.phase() is Phase.EXHAUSTED
    assert story.reported.count(("problem", "budget_spent")) == 1
    story.probe(None)
    assert story.phase() is Phase.HEALTHY
    assert {("resolved", "budget_spent"), ("resolved", "worker_hung")} <= set(story.reported)


def test_a_spent_budget_ends_with_room_in_its_window_and_is_reported_once() -> None:
    story = Story()
    story.for_seconds(850, HUNG)
    assert (len(story.steps), story.phase()) == (5, Phase.EXHAUSTED)
    first = story.steps[0][0]
    story.for_seconds(first + RULES.restart_budget_window - story.now + 10, HUNG)
    assert len(story.steps) == 6
    assert story.steps[5][0] >= first + RULES.restart_budget_window
    story.for_seconds(7200, HUNG)
    # ever more slowly: the back-off is at its longest
    assert len(story.steps) <= 6 + 7200 / RULES.backoff_max
    assert [event for event in story.reported if event[1] == "budget_spent"] == [("problem", "budget_spent")]
    story.probe(None)
    assert ("resolved", "budget_spent") in story.reported


def test_what_the_proxy_spent_is_not_missing_for_the_service() -> None:
    story = Story()
    while story.phase(PROXY) is not Phase.EXHAUSTED:
        story.probe(None, proxy=NGINX)
    assert [step.target for _time, step in story.steps] == [PROXY] * 5
    for _probe in range(3):
        story.probe(HUNG, proxy=NGINX)
    assert story.steps[-1][1] == Step(SERVICE, Remedy.KILL_WORKER, HUNG, 1)


def test_a_person_can_have_it_go_on() -> None:
    story = Story()
    story.for_seconds(1800, HUNG)
    story.state = resumed(story.state, story.now)
    assert story.phase() is Phase.SUSPECT
    assert (story.state.targets[SERVICE].actions, story.state.actions_total) == ((), len(story.steps))
    assert [story.probe(HUNG), story.probe(HUNG)] == [None, None]
    assert story.probe(HUNG) == Step(SERVICE, Remedy.KILL_WORKER, HUNG, 1)


def test_nothing_is_done_while_inhibited_and_afterwards_the_condition_shows_itself_again() -> None:
    story = Story()
    story.for_seconds(600, HUNG, inhibition=DEPLOYMENT)
    assert not story.steps
    assert not story.events
    assert [story.probe(HUNG), story.probe(HUNG)] == [None, None]
    assert story.probe(HUNG) is not None


def test_a_start_that_never_ends_inhibits_nothing_any_more() -> None:
    story = Story()
    starting = Inhibition(Code.STARTING, "the workers are starting", expires_after=330)
    story.for_seconds(330, HUNG, inhibition=starting)
    assert not story.steps
    story.for_seconds(20, HUNG, inhibition=starting)
    assert [step.remedy for _time, step in story.steps] == [Remedy.KILL_WORKER]


def test_a_condition_under_a_deployment_without_end_is_reported_though_nothing_is_done() -> None:
    story = Story()
    story.for_seconds(1000, HUNG, inhibition=DEPLOYMENT)
    assert not story.steps
    (event,) = story.events
    assert (event.kind, event.code) == ("problem", "worker_hung")
    assert event.message == "worker 0 does not answer. No action is taken: a deployment is at work, for 15 minutes now."


def test_what_is_held_back_from_for_longer_than_changes_take_is_reported() -> None:
    story = Story()
    story.for_seconds(20, HUNG, inhibition=dataclasses.replace(DEPLOYMENT, reported_after=10.0))
    assert not story.steps
    (event,) = story.events
    assert "No action is taken: a deployment is at work, for 1" in event.message
    assert event.message.endswith(" s now.")


def test_an_inhibition_that_passes_is_no_end_of_a_condition_that_was_reported() -> None:
    story = Story()
    story.for_seconds(15, HUNG)
    story.for_seconds(60, HUNG, inhibition=DEPLOYMENT)
    story.probe(HUNG)
    assert story.reported == [("problem", "worker_hung"), ("action", "kill_worker")]


def test_an_inhibition_that_the_operator_must_end_is_reported_in_place_of_the_condition() -> None:
    story = Story()
    story.for_seconds(60, HUNG, inhibition=NO_DATABASE)
    story.probe(None)
    assert story.reported == [("problem", "database_down"), ("resolved", "database_down")]


def test_an_inhibition_that_passes_is_not_reported() -> None:
    story = Story()
    story.for_seconds(10, HUNG, inhibition=NO_DATABASE)
    story.probe(None)
    assert not story.events


def test_the_inhibition_of_a_healthy_service_is_no_news() -> None:
    story = Story()
    story.for_seconds(60, None, inhibition=NO_DATABASE)
    assert not story.events


def test_a_pause_inhibits_everything() -> None:
    story = Story()
    for _probe in range(50):
        story.probe(HUNG, proxy=NGINX, paused=True)
    assert (story.steps, story.events) == ([], [])


def test_the_proxy_has_its_own_escalation_and_one_step_is_taken_at_a_time() -> None:
    story = Story()
    for _probe in range(3):
        story.probe(HUNG, proxy=NGINX)
    assert story.probe(None, proxy=NGINX) == Step(PROXY, Remedy.RESTART_PROXY, NGINX, 1)
    assert [step.target for _time, step in story.steps] == [SERVICE, PROXY]


def test_a_step_that_could_not_be_taken_has_no_grace_but_its_back_off() -> None:
    story = Story()
    story.for_seconds(10, HUNG)
    story.now += 5
    came = turn(story.state, Assessment({SERVICE: HUNG}), story.now, RULES)
    assert came.step is not None
    state = begin(came.state, came.step, story.now, RULES)
    ended = end(state, came.step, Outcome(False, "refused"), story.now, RULES)
    assert [(event.kind, event.severity) for event in ended.events] == [("action", "warning")]
    assert turn(ended.state, Assessment({SERVICE: HUNG}), story.now + 9, RULES).step is None
    later = turn(ended.state, Assessment({SERVICE: HUNG}), story.now + 10, RULES).step
    assert later == Step(SERVICE, Remedy.RESTART_APP, HUNG, 2)


def test_a_watchdog_killed_in_a_step_waits_for_that_step_s_grace() -> None:
    story = Story()
    story.for_seconds(10, HUNG)
    came = turn(story.state, Assessment({SERVICE: HUNG}), story.now + 5, RULES)
    assert came.step is not None
    left_behind = begin(came.state, came.step, story.now + 5, RULES)
    assert turn(left_behind, Assessment({SERVICE: HUNG}), story.now + 30, RULES).step is None
    after = turn(left_behind, Assessment({SERVICE: HUNG}), story.now + 36, RULES).step
    assert after == Step(SERVICE, Remedy.RESTART_APP, HUNG, 2)


def test_a_condition_that_has_become_another_one_is_reported_again_but_not_at_each_change() -> None:
    story = Story(dataclasses.replace(RULES, failure_threshold=1, start_grace=600))
    for seen in (HUNG, MISSING, HUNG):
        story.probe(seen)
    assert [code for kind, code in story.reported if kind == "problem"] == ["worker_hung"]
    story.for_seconds(60, MISSING)
    assert [event.message for event in story.events if event.kind == "problem"] == [HUNG.message, MISSING.message]
    story.probe()
    assert story.events[-1].message.startswith("over after 7")


def test_a_problem_is_reported_when_it_comes_rises_and_goes() -> None:
    story = Story()
    full = Problem("diagnose.disk", Code.FINDING, "warning", "86 %")
    worse = Problem("diagnose.disk", Code.FINDING, "critical", "96 %")
    for seen in ([full], [full], [worse], [worse], [], []):
        story.probe(problems=seen)
    assert [(event.kind, event.severity) for event in story.events] == [
        ("problem", "warning"),
        ("problem", "critical"),
        ("resolved", "info"),
    ]


PROBES = st.lists(
    st.tuples(
        st.sampled_from([None, HUNG, HUNG, HUNG, MISSING]),
        st.sampled_from([None, None, NGINX]),
        st.sampled_from([None, None, None, DEPLOYMENT, NO_DATABASE]),
        st.booleans().map(lambda paused: paused),
        st.sampled_from([1.0, 5.0, 5.0, 60.0, 400.0]),
    ),
    max_size=120,
)


@given(PROBES)
def test_whatever_happens_the_budget_holds_and_nothing_is_done_while_inhibited(
    probes: list[tuple[object, ...]],
) -> None:
    story = Story()
    for service, proxy, inhibition, paused, after in probes:
        step = story.probe(service, proxy=proxy, inhibition=inhibition, paused=paused, after=after)  # type: ignore[arg-type]
        assert not (step and paused)
        assert not (step and step.target == SERVICE and inhibition)
        assert not (step and step.target == SERVICE and service is None)
    for target in (SERVICE, PROXY):
        times = [time for time, step in story.steps if step.target == target]
        for index, first in enumerate(times):
            assert (
                sum(first <= time < first + RULES.restart_budget_window for time in times[index:])
                <= RULES.restart_budget
            )
    for _probe in range(11):
        story.probe(None)
    assert not story.state.problems
    opened = [event.key for event in story.events if event.kind == "problem"]
    closed = [event.key for event in story.events if event.kind == "resolved"]
    assert set(opened) == set(closed)
