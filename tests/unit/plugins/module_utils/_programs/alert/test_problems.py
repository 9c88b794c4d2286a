# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import Event, Ledger, notify
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import decode

HUNG = "service.worker_hung"
HOUR = 3600.0


def opened(time: float, severity: str = "critical", key: str = HUNG) -> Event:
    return Event("problem", time, key, key.partition(".")[2], severity, "A worker hangs.")


def resolved(time: float, key: str = HUNG) -> Event:
    return Event("resolved", time, key)


def action(time: float, code: str, key: str = HUNG, done: bool = True) -> Event:
    return Event("action", time, key, code, values={"done": done})


class Story:
    """A ledger that goes through a file between two runs, as it does on a host."""

    def __init__(self, reminder: float = 4 * HOUR, actions: bool = False) -> None:
        self.ledger = Ledger()
        self._settings = (reminder, actions)

    def reported(self, now: float, *events: Event) -> list[str]:
        return [notice.kind for notice in self.notices(now, *events)]

    def notices(self, now: float, *events: Event) -> Any:
        self.ledger = decode(Ledger, json.loads(json.dumps(dataclasses.asdict(self.ledger))))
        return notify(self.ledger, events, now, *self._settings)


def test_a_problem_is_reported_once_and_its_end_with_its_duration() -> None:
    story = Story()
    assert story.reported(1000, opened(1000)) == ["opened"]
    assert story.reported(1005, opened(1005)) == []
    assert story.reported(1010) == []
    (end,) = story.notices(1060, resolved(1060))
    assert (end.kind, end.severity, end.since, end.time) == ("resolved", "info", 1000, 1060)
    assert story.reported(1070, resolved(1070)) == []


def test_what_opened_and_closed_between_two_runs_is_reported_in_order() -> None:
    assert Story().reported(2000, opened(1000), resolved(1010), opened(1020), resolved(1030)) == [
        "opened",
        "resolved",
        "opened",
        "resolved",
    ]


def test_a_rise_is_reported_and_a_fall_is_not() -> None:
    story = Story()
    assert story.reported(0, opened(0, "warning")) == ["opened"]
    assert story.reported(1, opened(1, "critical")) == ["worse"]
    assert story.reported(2, opened(2, "warning")) == []
    assert story.reported(3, opened(3, "critical")) == []


def test_what_is_known_and_wanted_is_not_reported_until_it_becomes_worse() -> None:
    story = Story()
    assert story.reported(0, opened(0, "info"), resolved(1)) == []
    assert story.reported(2, opened(2, "info"), opened(3, "warning")) == ["opened"]


def test_reminders_come_for_critical_problems_alone() -> None:
    story = Story()
    story.reported(0, opened(0), opened(0, "warning", "diagnose.disk"))
    assert story.reported(4 * HOUR - 1) == []
    (reminder,) = story.notices(4 * HOUR)
    assert (reminder.kind, reminder.key, reminder.since) == ("reminder", HUNG, 0)
    assert story.reported(4 * HOUR + 60) == []
    assert story.reported(8 * HOUR) == ["reminder"]


def test_steps_of_recovery_put_no_reminder_off() -> None:
    story = Story(actions=True)
    story.reported(0, opened(0))
    for hour in (1, 2, 3):
        assert story.reported(hour * HOUR, action(hour * HOUR, "restart_worker")) == ["action"]
    assert story.reported(4 * HOUR) == ["reminder"]


def test_no_reminders_where_none_are_wanted() -> None:
    story = Story(reminder=0)
    story.reported(0, opened(0))
    assert story.reported(1000 * HOUR) == []


def test_a_clock_that_is_set_back_does_not_silence_the_reminders() -> None:
    story = Story()
    story.reported(100 * HOUR, opened(100 * HOUR))
    assert story.reported(1 * HOUR) == []
    assert story.reported(5 * HOUR) == ["reminder"]


def test_a_flapping_problem_is_reported_as_such_once_and_when_it_stays() -> None:
    story = Story()
    kinds = [kind for n in range(40) for kind in story.reported(n * 20, opened(n * 20), resolved(n * 20 + 10))]
    assert kinds == ["opened", "resolved"] * 3 + ["flapping"]
    assert story.reported(40 * 20 + 1700) == []
    assert story.reported(40 * 20 + 1800) == ["settled"]
    assert story.reported(9000, opened(9000)) == ["opened"]


def test_a_flapping_problem_that_stays_is_reported_to_be_there() -> None:
    story = Story()
    for n in range(6):
        story.reported(n * 20, opened(n * 20), *([resolved(n * 20 + 10)] if n < 5 else []))
    (settled,) = story.notices(2000)
    assert (settled.kind, settled.severity) == ("settled", "critical")
    assert story.reported(3000, resolved(3000)) == ["resolved"]


def test_a_flapping_warning_that_becomes_critical_is_reported() -> None:
    story = Story()
    for n in range(6):
        story.reported(n * 20, opened(n * 20, "warning"), resolved(n * 20 + 10))
    assert story.reported(200, opened(200, "critical")) == ["worse"]
    assert (
        story.reported(210, resolved(210), opened(220, "critical"), opened(230, "warning"), opened(240, "critical"))
        == []
    )
    assert story.reported(250, resolved(250)) == []
    (settled,) = story.notices(3000)
    assert (settled.kind, settled.code, settled.severity) == ("settled", "worker_hung", "info")


def test_flapping_of_one_problem_hides_no_other() -> None:
    story = Story()
    for n in range(10):
        story.reported(n * 20, opened(n * 20), resolved(n * 20 + 10))
    assert story.reported(300, opened(300, key="proxy.proxy_dead")) == ["opened"]


def test_what_was_done_is_reported_with_the_end() -> None:
    story = Story()
    assert story.reported(0, opened(0), action(1, "kill_worker"), action(2, "restart_app", "service.restart_app")) == [
        "opened"
    ]
    assert story.reported(3, action(3, "restart_daemon", done=False)) == []
    (end,) = story.notices(30, resolved(30))
    assert end.actions == ("kill_worker", "restart_app")


def test_each_step_is_reported_where_that_is_wanted() -> None:
    assert Story(actions=True).reported(9, opened(0), action(1, "kill_worker"), resolved(9)) == [
        "opened",
        "action",
        "resolved",
    ]


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {
            "problems": {},
            "openings": {},
            "flapping": {"a": {"code": "x", "severity": "bad", "changed": 1}},
            "closed": {},
        },
        {"problems": [], "openings": {}, "flapping": {}, "closed": {}},
        {"problems": {"a": {"code": "x"}}, "openings": {}, "flapping": {}, "closed": {}},
        {"problems": {}, "openings": {"a": ["x"]}, "flapping": {}, "closed": {}},
    ],
)
def test_a_ledger_that_is_none_is_refused(content: Any) -> None:
    with pytest.raises(ValueError):
        decode(Ledger, content)
