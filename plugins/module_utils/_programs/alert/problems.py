# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerting reports, from events to notices: once on change, reminders, the all-clear, no flapping. Pure.

An event is what the watchdog wrote (docs/alerting.md); a notice is one thing to report, not yet in any language.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

SEVERITIES = ("info", "warning", "critical")
RANKS = {"": 0, "info": 0, "warning": 1, "critical": 2}
# So many openings within the hour make a problem a flapping one, until it stays as it is for the quiet time.
FLAPPING_OPENINGS = 4
FLAPPING_HOUR = 3600.0
FLAPPING_QUIET = 1800.0
# The key of the watchdog's silence, which alerting finds out for itself.
HEARTBEAT = "watchdog.heartbeat"
_MOST_ACTIONS = 10
# Who writes events could make up keys without end. A problem with a key beyond these is not reported.
MOST_KEYS = 500


@dataclasses.dataclass(frozen=True)
class Event:
    """`kind` is problem, resolved, action or test; `key` names the problem, `code` the kind of it."""

    kind: str
    time: float
    key: str = ""
    code: str = ""
    severity: str = "info"
    message: str = ""
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Problem:
    """One that is open now. `reported` is the highest severity that was reported, empty for none."""

    code: str
    severity: str
    since: float
    message: str
    values: dict[str, Any]
    touched: float
    """When the last event about it was: the status of before says nothing against it."""
    reported: str = ""
    reminded: float = 0.0
    missing: float = 0.0
    """Since when Alertmanager has it no more; 0 while it has."""
    actions: list[str] = dataclasses.field(default_factory=list)
    """Codes of what was done about it."""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES or self.reported not in RANKS:
            raise ValueError(f"severity {self.severity!r}, reported {self.reported!r}")


@dataclasses.dataclass(frozen=True)
class Notice(Event):
    """`kind` is opened, worse, reminder, resolved, action, flapping, settled or test."""

    since: float | None = None
    actions: tuple[str, ...] = ()
    count: int = 0

    @property
    def urgent(self) -> bool:
        """Whether it may not wait for others."""
        return self.severity == "critical" and self.kind in ("opened", "worse", "flapping")


@dataclasses.dataclass
class Flapping:
    """A problem that comes and goes: what was reported of it, and when it last changed."""

    code: str
    severity: str
    changed: float

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity!r}")


@dataclasses.dataclass
class Ledger:
    """What is known of problems between two runs."""

    problems: dict[str, Problem] = dataclasses.field(default_factory=dict)
    openings: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    """When each was opened in the last hour."""
    flapping: dict[str, Flapping] = dataclasses.field(default_factory=dict)
    closed: dict[str, float] = dataclasses.field(default_factory=dict)
    """When each was resolved in the last hour."""

    def has_room(self, key: str) -> bool:
        """Whether a problem with this key may be opened."""
        known = self.problems.keys() | self.openings.keys() | self.flapping.keys() | self.closed.keys()
        return key in known or key == HEARTBEAT or len(known) < MOST_KEYS


def notify(ledger: Ledger, events: Iterable[Event], now: float, reminder: float, actions: bool) -> list[Notice]:
    """Bring the ledger to `now` and return what is to be reported, in order.

    `reminder` is the time between reminders of an open critical problem, 0 for none; `actions` reports each
    recovery step in a message of its own.
    """
    notices: list[Notice] = []
    for event in events:
        if event.kind == "problem" and event.key in ledger.problems:
            notices += _changed(ledger, event)
        elif event.kind == "problem" and ledger.has_room(event.key):
            notices += _opened(ledger, event)
        elif event.kind == "resolved":
            notices += _resolved(ledger, event)
        elif event.kind == "action":
            _attach(ledger, event)
            notices += [_notice("action", event)] if actions else []
        elif event.kind == "test":
            notices.append(_notice("test", event))
    for notice in notices:
        if notice.kind != "action" and notice.key in ledger.problems:
            # it may have begun long before anybody could report it
            ledger.problems[notice.key].reminded = now
    return notices + _settled(ledger, now) + _reminders(ledger, now, reminder)


def _notice(kind: str, event: Event, **more: Any) -> Notice:
    return Notice(**{**vars(event), "kind": kind}, **more)


def _opened(ledger: Ledger, event: Event) -> list[Notice]:
    problem = Problem(event.code, event.severity, event.time, event.message, dict(event.values), event.time)
    ledger.problems[event.key] = problem
    if RANKS[event.severity] == 0:
        return []
    recent = [time for time in ledger.openings.get(event.key, []) if abs(event.time - time) < FLAPPING_HOUR]
    ledger.openings[event.key] = [*recent, event.time][-FLAPPING_OPENINGS * 2 :]
    if event.key in ledger.flapping:
        return _flaps(ledger, event)
    problem.reported, problem.reminded = event.severity, event.time
    if len(recent) + 1 < FLAPPING_OPENINGS:
        return [_notice("opened", event)]
    ledger.flapping[event.key] = Flapping(event.code, event.severity, event.time)
    return [_notice("flapping", event, count=len(recent) + 1)]


def _flaps(ledger: Ledger, event: Event) -> list[Notice]:
    """A change of a flapping problem is reported only where it is worse than what was reported."""
    flap, problem = ledger.flapping[event.key], ledger.problems[event.key]
    flap.changed = event.time
    worse = RANKS[event.severity] > RANKS[flap.severity]
    if worse:
        flap.code, flap.severity = event.code, event.severity
    problem.reported, problem.reminded = flap.severity, event.time
    return [_notice("worse", event, since=problem.since)] if worse else []


def _changed(ledger: Ledger, event: Event) -> list[Notice]:
    problem = ledger.problems[event.key]
    problem.code, problem.severity, problem.message = event.code, event.severity, event.message
    problem.values, problem.touched = dict(event.values), event.time
    if RANKS[event.severity] <= RANKS[problem.reported]:
        return []
    if event.key in ledger.flapping:
        return _flaps(ledger, event)
    kind = "worse" if problem.reported else "opened"
    problem.reported, problem.reminded = event.severity, event.time
    return [_notice(kind, event, since=problem.since)]


def _resolved(ledger: Ledger, event: Event) -> list[Notice]:
    problem = ledger.problems.pop(event.key, None)
    if problem is None:
        return []
    ledger.closed[event.key] = event.time
    if event.key in ledger.flapping:
        ledger.flapping[event.key].changed = event.time
        return []
    return [_of_problem("resolved", event.key, problem, event.time)] if problem.reported else []


def _of_problem(kind: str, key: str, problem: Problem, time: float, severity: str = "info") -> Notice:
    message, values, actions = problem.message, problem.values, tuple(problem.actions)
    return Notice(kind, time, key, problem.code, severity, message, values, problem.since, actions)


def _attach(ledger: Ledger, event: Event) -> None:
    """To the problem it was done about; where that is not named, to all of the same target. Not where it failed."""
    if event.values.get("done") is False:
        return
    target = _target(event.key)
    keys = [event.key] if event.key in ledger.problems else [key for key in ledger.problems if _target(key) == target]
    for key in keys:
        done = ledger.problems[key].actions
        if len(done) < _MOST_ACTIONS:
            done.append(event.code)


def _target(key: str) -> str:
    return key.partition(".")[0]


def _settled(ledger: Ledger, now: float) -> list[Notice]:
    notices = []
    for key, flap in list(ledger.flapping.items()):
        flap.changed = min(flap.changed, now)  # the clock may have been set back
        if now - flap.changed < FLAPPING_QUIET:
            continue
        del ledger.flapping[key]
        ledger.openings.pop(key, None)
        problem = ledger.problems.get(key)
        if problem is None:
            notices.append(Notice("settled", now, key, flap.code))
        else:
            problem.reported, problem.reminded = problem.severity, now
            notices.append(_of_problem("settled", key, problem, now, problem.severity))
    ledger.openings = {key: times for key, times in ledger.openings.items() if now - times[-1] <= FLAPPING_HOUR}
    ledger.closed = {key: time for key, time in ledger.closed.items() if now - time <= FLAPPING_HOUR}
    return notices


def _reminders(ledger: Ledger, now: float, every: float) -> list[Notice]:
    notices = []
    for key, problem in ledger.problems.items():
        problem.reminded = min(problem.reminded, now)  # the clock may have been set back
        if every <= 0 or problem.reported != "critical" or problem.severity != "critical" or key in ledger.flapping:
            continue
        if now - problem.reminded >= every:
            problem.reminded = now
            notices.append(_of_problem("reminder", key, problem, now, problem.severity))
    return notices
