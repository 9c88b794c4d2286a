# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's state machine: from what a probe came to, to what is done about it. Pure: time is an argument.

Each target (the service, the proxy) is healthy, suspect, recovering or exhausted. Recovery escalates, mildest remedy
first; each step gets its start grace, waits for a back-off that doubles from step to step, and is taken from the
target's own budget. All times are seconds since this boot, which no setting of the clock changes.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from ..codes import Code
from .flapping import EMPTY, Bucket
from .model import TARGETS, Assessment, Condition, Event, Inhibition, Outcome, OwnStop, Problem, Remedy, Step

PAUSED = Inhibition(Code.PAUSED, "recovery is paused")
_MINUTE = 60.0
# A problem that has become another one, as a worker that hung and now is missing, is reported again, but no more often.
_RETOLD_SECONDS = 60.0


class Phase(enum.StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    RECOVERING = "recovering"
    EXHAUSTED = "exhausted"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """Times in seconds."""

    failure_threshold: int
    """So many probes in a row must find a target unhealthy before anything is done."""
    start_grace: float
    """So long a remedy has to work before the next one is tried."""
    backoff_initial: float
    backoff_max: float
    healthy_reset: float
    """After so long a healthy time the back-off begins again."""
    restart_budget: int
    """So many steps for each target within the window."""
    restart_budget_window: float


@dataclasses.dataclass(frozen=True)
class TargetState:
    phase: Phase = Phase.HEALTHY
    since: float = 0.0
    """Begin of the phase."""
    failures: int = 0
    """Probes in a row that found it unhealthy in the same way."""
    code: str = ""
    severity: str = ""
    workers: tuple[int, ...] = ()
    """What they found; of the workers those that each of them did."""
    unhealthy_since: float = 0.0
    rank: int = -1
    """Rank of the last remedy that was tried for this condition; -1 when none was."""
    steps: int = 0
    """Steps taken for this condition."""
    attempts: int = 0
    """Steps since the last healthy time that was long enough: what the back-off doubles with."""
    acted_at: float = 0.0
    grace_until: float = 0.0
    inhibited: bool = False
    """Whether the last probe found it unhealthy with an inhibition in force."""
    inhibition: str = ""
    inhibition_since: float = 0.0
    """Code of the inhibition that the last probe saw, in force or not any more, and since when there is that one."""

    actions: tuple[float, ...] = ()
    """When steps were begun, within the budget's window."""
    spent: bool = False
    """Whether the budget was spent for what is wrong now: reported until it is over, also when there is room again."""
    bucket: Bucket = EMPTY
    """Of the critical probes that were too few in a row to count."""

    @property
    def inhibited_by(self) -> str:
        """Code of the inhibition in force; empty without one."""
        return self.inhibition if self.inhibited else ""


@dataclasses.dataclass(frozen=True)
class Open:
    """A problem that was reported and is not over yet."""

    problem: Problem
    since: float
    reported: float = 0.0
    """When it was last reported."""


@dataclasses.dataclass(frozen=True)
class State:
    targets: Mapping[str, TargetState] = dataclasses.field(
        default_factory=lambda: {target: TargetState() for target in TARGETS}
    )
    actions_total: int = 0
    """Steps that were ever begun."""
    problems: Mapping[str, Open] = dataclasses.field(default_factory=dict)
    """By key."""
    restarts: tuple[float, ...] = ()
    """Of workers, none by the watchdog, within the window of a crash loop: when each was seen."""
    own_stops: tuple[OwnStop, ...] = ()
    """Of workers that a step was about to stop, and that no probe has seen running since."""

    def __post_init__(self) -> None:
        if self.targets.keys() != set(TARGETS):
            raise ValueError(f"the targets are {', '.join(self.targets)} instead of {', '.join(TARGETS)}")

    @property
    def phase(self) -> Phase:
        """The worst of the targets'."""
        return max((target.phase for target in self.targets.values()), key=list(Phase).index)


@dataclasses.dataclass(frozen=True)
class Turn:
    """What a probe, or the end of a step, led to."""

    state: State
    step: Step | None
    events: tuple[Event, ...]


def turn(state: State, seen: Assessment, now: float, rules: Rules, paused: bool = False) -> Turn:
    """What follows from one probe: at most one step, the service's before the proxy's."""
    targets: dict[str, TargetState] = {}
    problems = {problem.key: Open(problem, now) for problem in seen.problems}
    step = None
    for target in TARGETS:
        condition = seen.conditions.get(target)
        inhibition = PAUSED if paused else seen.inhibitions.get(target)
        after = _probe(state.targets[target], condition, inhibition, now, rules)
        due = _due(target, after, condition, now, rules) if condition and not after.inhibited else None
        if due and len(after.actions) >= rules.restart_budget:
            if after.phase is not Phase.EXHAUSTED:
                after = dataclasses.replace(after, phase=Phase.EXHAUSTED, since=now, spent=True)
        elif step is None:
            step = due
        targets[target] = after
        problems |= _problems(target, after, condition, inhibition, rules=rules, now=now)
        replaced = after.inhibited and inhibition is not None and inhibition.severity != "info"
        if target in state.problems and (condition or after.bucket.flapping) and not replaced:
            # unhealthy in another way, or inhibited: it must show itself again before anything is done, but is not over
            problems.setdefault(target, state.problems[target])
    events, still_open = _differences(state.problems, problems, now)
    after_all = dataclasses.replace(state, targets=targets, problems=still_open)
    return Turn(after_all, step, tuple(events))


def begin(state: State, step: Step, now: float, rules: Rules) -> State:
    """The state to be kept before a step is taken: a watchdog that is killed meanwhile knows of it afterwards."""
    before = state.targets[step.target]
    after = dataclasses.replace(
        before,
        phase=Phase.RECOVERING,
        since=before.since if before.phase is Phase.RECOVERING else now,
        rank=step.remedy.rank,
        steps=step.number,
        attempts=before.attempts + 1,
        acted_at=now,
        grace_until=now + rules.start_grace,
        actions=(*before.actions, now),
    )
    targets = {**state.targets, step.target: after}
    return dataclasses.replace(state, targets=targets, actions_total=state.actions_total + 1)


def end(state: State, step: Step, outcome: Outcome, now: float, rules: Rules) -> Turn:
    """After a step: its grace begins, unless there is nothing to wait for."""
    grace = now + rules.start_grace if outcome.done else now
    after = dataclasses.replace(state.targets[step.target], acted_at=now, grace_until=grace)
    values = {
        "number": step.number,
        "done": outcome.done,
        "seconds": round(outcome.seconds, 1),
        "because": step.condition.code,
        "workers": list(step.condition.workers),
    }
    code = step.remedy.value
    severity = "info" if outcome.done else "warning"
    event = Event("action", f"{step.target}.{code}", code, severity, outcome.message, values)
    return Turn(dataclasses.replace(state, targets={**state.targets, step.target: after}), None, (event,))


def resumed(state: State, now: float) -> State:
    """Resumed by the operator: with the whole budget and no back-off; the condition must show itself again."""
    fresh = TargetState(since=now)
    targets = {
        name: fresh if target.phase is Phase.HEALTHY else _suspect(fresh) for name, target in state.targets.items()
    }
    return dataclasses.replace(state, targets=targets)


def unwatched(state: State) -> State:
    """No probe for long (the host slept, the watchdog was stopped): then three in a row are counted from zero."""
    return dataclasses.replace(
        state, targets={name: dataclasses.replace(target, failures=0) for name, target in state.targets.items()}
    )


def _suspect(state: TargetState) -> TargetState:
    return dataclasses.replace(state, phase=Phase.SUSPECT, failures=0)


def _probe(
    state: TargetState, condition: Condition | None, inhibition: Inhibition | None, now: float, rules: Rules
) -> TargetState:
    state = _with_room(state, now, rules)
    if condition is None:
        return _healthy(state, now, rules)
    code = inhibition.code if inhibition else ""
    if code != state.inhibition:
        state = dataclasses.replace(state, inhibition=code, inhibition_since=now)
    if inhibition is not None and _in_force(state, inhibition, now):
        return _inhibited(state, condition, now)
    if state.inhibited:
        # nothing counts that was seen while inhibited: the condition must show itself again
        state = dataclasses.replace(state, inhibited=False, failures=0)
    if state.phase is Phase.HEALTHY:
        state = dataclasses.replace(state, phase=Phase.SUSPECT, since=now)
    state = _failed(state, condition, now)
    if condition.certain:
        state = dataclasses.replace(
            state, failures=max(state.failures, rules.failure_threshold), workers=condition.workers
        )
    if state.severity == "critical" and state.failures < rules.failure_threshold:
        # those in a row that are enough speak for themselves
        state = dataclasses.replace(state, bucket=state.bucket.unhealthy())
    return state


def _with_room(state: TargetState, now: float, rules: Rules) -> TargetState:
    """What left the budget's window; with room in it the target is not exhausted any more."""
    recent = tuple(begun for begun in state.actions if now - begun < rules.restart_budget_window)
    state = dataclasses.replace(state, actions=recent)
    if state.phase is Phase.EXHAUSTED and len(recent) < rules.restart_budget:
        state = dataclasses.replace(state, phase=Phase.SUSPECT, since=now)
    return state


def _in_force(state: TargetState, inhibition: Inhibition, now: float) -> bool:
    return inhibition.expires_after is None or now - state.inhibition_since < inhibition.expires_after


def _failed(state: TargetState, condition: Condition, now: float) -> TargetState:
    common = _in_common(state, condition) if state.failures else None
    if common is None:
        # a worker that was slow once is not unhealthy because another one was before
        state = dataclasses.replace(state, failures=0, unhealthy_since=now)
    return dataclasses.replace(
        state,
        failures=state.failures + 1,
        code=condition.code,
        severity=condition.severity,
        workers=condition.workers if common is None else common,
    )


def _in_common(state: TargetState, condition: Condition) -> tuple[int, ...] | None:
    """The workers that this probe and those before found unhealthy; None where they found different things."""
    both = tuple(number for number in condition.workers if number in state.workers)
    if state.severity == condition.severity == "critical":
        # nobody is served, in whichever way that shows
        return both or condition.workers
    same = state.code == condition.code and (both or not (state.workers or condition.workers))
    return both if same else None


def _healthy(state: TargetState, now: float, rules: Rules) -> TargetState:
    state = dataclasses.replace(state, bucket=state.bucket.healthy())
    if state.phase is not Phase.HEALTHY:
        state = dataclasses.replace(state, phase=Phase.HEALTHY, since=now, failures=0, inhibited=False, inhibition="")
    if not state.bucket.flapping:
        state = dataclasses.replace(state, rank=-1, steps=0, spent=False)
    if state.attempts and now - state.since >= rules.healthy_reset:
        state = dataclasses.replace(state, attempts=0)
    return state


def _inhibited(state: TargetState, condition: Condition, now: float) -> TargetState:
    """Probes are counted, to report an inhibition that lasts, but lead to nothing."""
    if not state.inhibited:
        state = dataclasses.replace(state, inhibited=True, failures=0)
    if state.phase not in (Phase.SUSPECT, Phase.EXHAUSTED):
        state = dataclasses.replace(state, phase=Phase.SUSPECT, since=now, rank=-1, steps=0)
    return _failed(state, condition, now)


def _due(target: str, state: TargetState, condition: Condition, now: float, rules: Rules) -> Step | None:
    """The step that is due, were there no budget. A condition without a remedy is only reported."""
    if not _counts(state, rules) or not condition.escalation:
        return None
    waits_until = max(state.grace_until if state.steps else 0.0, state.acted_at + backoff(state.attempts, rules))
    if now < waits_until and not condition.certain:
        return None
    named = dataclasses.replace(condition, workers=state.workers[: condition.at_once])
    return Step(target, _next_remedy(condition, state.rank), named, state.steps + 1)


def _counts(state: TargetState, rules: Rules) -> bool:
    return state.failures >= rules.failure_threshold or (state.bucket.flapping and state.severity == "critical")


def backoff(attempts: int, rules: Rules) -> float:
    """Seconds between the last of so many steps and the next one."""
    if attempts == 0:
        return 0.0
    # the exponent is bounded: a float has no room for that of a long night
    return min(rules.backoff_max, rules.backoff_initial * 2.0 ** min(attempts - 1, 32))


def _next_remedy(condition: Condition, rank: int) -> Remedy:
    """The mildest one beyond what was tried; the strongest again when all were."""
    return next((remedy for remedy in condition.escalation if remedy.rank > rank), condition.escalation[-1])


def _problems(
    target: str,
    state: TargetState,
    condition: Condition | None,
    inhibition: Inhibition | None,
    *,
    rules: Rules,
    now: float,
) -> dict[str, Open]:
    """What is to be reported of a target: its condition, or why nothing is done about it."""
    found = []
    if condition and not state.inhibited and _counts(state, rules):
        message = f"{condition.message} (it comes and goes)" if state.bucket.flapping else condition.message
        values = {"workers": list(condition.workers)}
        found.append(Problem(target, condition.code, condition.severity, message, values))
    seconds = now - state.inhibition_since
    lasts = inhibition and inhibition is not PAUSED and seconds >= inhibition.reported_after
    if condition and inhibition and lasts and state.inhibited and inhibition.severity == "info":
        long = f"{seconds / _MINUTE:.0f} minutes" if seconds >= _MINUTE else f"{seconds:.0f} s"
        why = f"No action is taken: {inhibition.message}, for {long} now."
        found.append(Problem(target, condition.code, condition.severity, f"{condition.message}. {why}"))
    if inhibition and state.inhibited and inhibition.severity != "info" and state.failures >= rules.failure_threshold:
        found.append(Problem.of(target, inhibition.code, inhibition.severity, inhibition.message))
    still_open = {problem.key: Open(problem, state.unhealthy_since) for problem in found}
    if state.spent:
        key = f"{target}.budget"
        message = (
            f"{rules.restart_budget} recovery steps within {rules.restart_budget_window / 60:g} minutes did not help"
            " for long. The next one waits until the first of them is as long ago, or for `resume`: see recovery.log"
            " and the service's error log."
        )
        still_open[key] = Open(Problem(key, Code.BUDGET_SPENT, "critical", message), state.since)
    return still_open


def _differences(
    before: Mapping[str, Open], now_open: Mapping[str, Open], now: float
) -> tuple[list[Event], dict[str, Open]]:
    """What is to be reported, and what is open afterwards.

    The same key is reported again when it is more or less severe and, after a while, when it stands for something else.
    """
    events = [_resolved(key, was, now) for key, was in before.items() if key not in now_open]
    after = {}
    for key, new in now_open.items():
        was = before.get(key)
        if was is not None and _is_told(was, new.problem, now):
            after[key] = was
            continue
        after[key] = dataclasses.replace(new, since=new.since if was is None else was.since, reported=now)
        problem = new.problem
        events.append(Event("problem", key, problem.code, problem.severity, problem.message, {**problem.values}))
    return events, after


def _is_told(was: Open, problem: Problem, now: float) -> bool:
    same = was.problem.code == problem.code or now - was.reported < _RETOLD_SECONDS
    return same and was.problem.severity == problem.severity


def _resolved(key: str, was: Open, now: float) -> Event:
    seconds = max(0.0, now - was.since)
    message = f"over after {seconds:.0f} s: {was.problem.message}"
    return Event("resolved", key, was.problem.code, "info", message, {"seconds": round(seconds, 1)})
