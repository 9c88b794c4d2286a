# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json

from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.outbox import (
    FIRST_RETRY,
    LONGEST_RETRY,
    MOST_WAITING,
    Outbox,
    delivered,
    due,
    failed,
    know_channels,
    put,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import Notice
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.texts import Text
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import decode


class Words:
    def write(self, notice: Notice) -> Text:
        return Text(notice.key, notice.kind)

    def sum_up(self, count: int, titles: list[str]) -> Text:
        return Text(f"{count} more", "\n".join(titles))

    def limit_reached(self) -> str:
        return "limit"


def notice(number: int, severity: str = "warning", kind: str = "opened") -> Notice:
    return Notice(kind, float(number), f"n{number}", "code", severity)


def outbox(*names: str) -> Outbox:
    box = Outbox()
    know_channels(box, names)
    return box


def drain(box: Outbox, name: str, now: float, most: int = 1000) -> list[str]:
    """What a channel that works gets now."""
    titles = []
    while len(titles) < most and (message := due(box, name, now)):
        titles.append(message.title)
        delivered(box, name, message, now)
    return titles


def test_each_channel_gets_each_message_once_whatever_the_others_do() -> None:
    box = outbox("a", "b")
    put(box, [notice(1), notice(2)], 10, 20, Words())
    message = due(box, "b", 10)
    assert message
    failed(box, "b", 10, "HTTP status 500")
    assert drain(box, "a", 10) == ["n1", "n2"]
    assert drain(box, "a", 1000) == []
    assert due(box, "b", 11) is None
    assert drain(box, "b", 10 + FIRST_RETRY) == ["n1", "n2"]
    assert box.messages == []
    assert box.channels["b"].tries == 0


def test_a_channel_is_tried_less_and_less_often() -> None:
    box = outbox("a")
    put(box, [notice(1)], 0, 20, Words())
    waits = []
    now = 0.0
    for _try in range(7):
        failed(box, "a", now, "no answer")
        waits.append(box.channels["a"].next - now)
        now = box.channels["a"].next
    assert waits == [30, 60, 120, 240, LONGEST_RETRY, LONGEST_RETRY, LONGEST_RETRY]


def test_a_clock_that_is_set_back_does_not_stop_the_tries() -> None:
    box = outbox("a")
    put(box, [notice(1)], 100_000, 20, Words())
    failed(box, "a", 100_000, "no answer")
    assert due(box, "a", 1_000)


def test_a_test_message_has_everything_tried_at_once_and_is_not_limited() -> None:
    box = outbox("a")
    put(box, [notice(number) for number in range(4)], 0, 4, Words())
    failed(box, "a", 0, "no answer")
    put(box, [notice(9, "info", "test")], 1, 4, Words())
    assert drain(box, "a", 1) == ["n0", "n1", "n2", "n9"]


def test_beyond_the_limit_one_message_comes_when_there_is_room() -> None:
    box = outbox("a")
    put(box, [notice(number) for number in range(10)], 0, 4, Words())
    assert drain(box, "a", 0) == ["n0", "n1", "n2"]
    put(box, [notice(10)], 3599, 4, Words())
    assert drain(box, "a", 3599) == []
    put(box, [], 3600, 4, Words())
    assert drain(box, "a", 3600) == ["8 more"]
    put(box, [notice(11)], 3601, 4, Words())
    assert drain(box, "a", 3601) == ["n11"]


def test_the_message_that_reaches_the_limit_says_so() -> None:
    box = outbox("a")
    put(box, [notice(number) for number in range(4)], 0, 4, Words())
    assert [message.body for message in box.messages] == ["opened", "opened", "opened\nlimit"]


def test_what_is_critical_has_a_quarter_for_itself_but_no_more() -> None:
    box = outbox("a")
    put(box, [notice(number) for number in range(5)], 0, 4, Words())
    put(box, [notice(7, "critical"), notice(8, "critical")], 1, 4, Words())
    assert drain(box, "a", 1) == ["n0", "n1", "n2", "n7"]


def test_a_channel_that_is_gone_gets_nothing_and_a_new_one_nothing_old() -> None:
    box = outbox("a", "b")
    put(box, [notice(1)], 0, 20, Words())
    know_channels(box, ["b", "c"])
    put(box, [notice(2)], 1, 20, Words())
    assert (drain(box, "b", 1), drain(box, "c", 1)) == (["n1", "n2"], ["n2"])
    assert box.messages == []


def test_an_outage_of_days_does_not_fill_the_disk() -> None:
    box = outbox("a")
    for number in range(MOST_WAITING + 7):
        put(box, [notice(number)], number * 3600.0, 20, Words())
    assert len(box.messages) == MOST_WAITING
    assert box.dropped == 7
    assert drain(box, "a", 1e9, 1) == ["n7"]


def test_it_survives_its_file() -> None:
    box = outbox("a", "b")
    put(box, [notice(number) for number in range(30)], 0, 4, Words())
    failed(box, "b", 5, "HTTP status 404")
    assert decode(Outbox, json.loads(json.dumps(dataclasses.asdict(box)))) == box
