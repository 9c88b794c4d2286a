# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.heartbeat import missed_events
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.outbox import know_channels, put
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.problems import (
    HEARTBEAT,
    Event,
    Ledger,
    notify,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.record import EventError, parse
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.store import State
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.texts import Writer
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import decode
from hypothesis import given
from hypothesis import strategies as st

NOW = 1000.0
EVENT = {"time": 5.0, "kind": "problem", "key": "service.x", "code": "x", "severity": "critical", "message": "m"}

# What a hostile writer can put into JSON; the last three are no JSON to others, and are to Python.
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 1e308, "\ud800", "\x1b[2J", float("nan"), float("inf"), float("-inf")]),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)
CODES = st.sampled_from(["worker_hung", "finding", "disk_short", "watchdog_silent"]) | ANYTHING
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["problem", "resolved", "action", "test"]) | ANYTHING,
        "key": st.sampled_from(["service.x", "watchdog.heartbeat", "finding.memory"]) | ANYTHING,
        "code": CODES,
        "severity": st.sampled_from(["info", "warning", "critical"]) | ANYTHING,
        "message": ANYTHING,
        "time": st.floats() | st.just(10**400) | ANYTHING,
        "since": ANYTHING,
        "values": st.dictionaries(
            st.sampled_from(["seconds", "count", "done", "check", "value", "threshold", "unit", "worker"]), ANYTHING
        )
        | ANYTHING,
    },
)


@given(st.lists(RECORDS, max_size=6), st.sampled_from(["en", "zh"]))
def test_whatever_is_written_there_makes_messages_or_is_refused(records: list[dict[str, Any]], language: str) -> None:
    state, events = State(), []
    know_channels(state.outbox, ["a"])
    for record in records:
        try:
            events.append(parse(json.dumps(record).encode(), NOW))
        except EventError:
            continue
    events += missed_events(state.ledger, {"problems": records, "time": 10**400}, NOW)
    for now in (NOW, NOW + 7200):
        notices = notify(state.ledger, events, now, 60, actions=True)
        put(state.outbox, notices, now, 20, Writer("shop", "web1", language))
    assert decode(State, json.loads(json.dumps(dataclasses.asdict(state)))).ledger == state.ledger


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"time": 1' + b"0" * 5000 + b"}", "no JSON"),
        (json.dumps({**EVENT, "kind": "x"}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "severity": "bad"}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "severity": []}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "message": 5}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "time": "now"}).encode(), "time"),
        (json.dumps({**EVENT, "time": True}).encode(), "time"),
        (json.dumps({**EVENT, "time": float("nan")}).encode(), "time"),
        (json.dumps({**EVENT, "time": 10**400}).encode(), "time"),
        (json.dumps({**EVENT, "time": -1}).encode(), "time"),
        (json.dumps({**EVENT, "key": ""}).encode(), "lacks a key"),
        (json.dumps({**EVENT, "key": "k" * 201}).encode(), "longer"),
        (json.dumps({**EVENT, "values": [1]}).encode(), "values"),
        (json.dumps({**EVENT, "key": "watchdog.heartbeat"}).encode(), "only alerting itself"),
    ],
)
def test_what_is_no_event_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(EventError, match=why):
        parse(content, NOW)


def test_what_is_large_is_cut_and_the_future_is_now() -> None:
    values = {"done": False, "count": 3, "size": 10**400, "many": [1], "text": "x" * 999, "none": None}
    event = parse(json.dumps({**EVENT, "time": 1e18, "message": "m" * 5000, "values": values}).encode(), NOW)
    assert (event.time, len(event.message)) == (NOW, 1000)
    assert event.values == {"done": False, "count": 3, "text": "x" * 200, "none": None}


def test_made_up_keys_come_to_an_end_and_what_alerting_finds_itself_is_reported_all_the_same() -> None:
    ledger = Ledger()
    events = [parse(json.dumps({**EVENT, "key": f"service.{number}"}).encode(), NOW) for number in range(600)]
    assert len(notify(ledger, events, NOW, 0, actions=False)) == 500
    assert len(ledger.problems) == 500
    silent = Event("problem", NOW, HEARTBEAT, "watchdog_silent", "critical")
    assert [notice.key for notice in notify(ledger, [silent], NOW, 0, actions=False)] == [HEARTBEAT]
