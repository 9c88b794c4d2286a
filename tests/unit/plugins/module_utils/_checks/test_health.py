# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING, worst_of
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import (
    Expectation,
    HealthReading,
    judge_health,
    judge_workers,
    look_up,
    trimmed,
)
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Answer
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["status", "database"]), inner),
    max_leaves=10,
)
BODY = {
    "status": "ok",
    "memory": {"heapUsed": 93.1, "heapTotal": 120},
    "database": {"status": "ok", "pool": {"total": 5}},
    "websocket": {"connections": 3, "status": "ok"},
}


def reading(body: Any, status: int = 200) -> HealthReading:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HealthReading(Answer(status, {}, content, 3.0, "http://127.0.0.1/health"))


def statuses(read: HealthReading, **expectation: Any) -> dict[str, str]:
    return {finding.check: finding.status for finding in judge_health(read, Expectation(**expectation))}


def test_a_healthy_body_shows_its_parts() -> None:
    assert statuses(reading(BODY)) == {"http": OK, "health": OK, "health.database": OK, "health.websocket": OK}


@pytest.mark.parametrize("body", [b"OK", b"", b"\xff\xfe", b"[" * 100000, {}, [], 7])
def test_a_plain_200_is_healthy(body: Any) -> None:
    assert statuses(reading(body)) == {"http": OK}


@pytest.mark.parametrize(
    ("word", "expected"),
    [("warning", WARNING), ("degraded", WARNING), ("error", CRITICAL), ("DOWN", CRITICAL), ("pass", OK)],
)
def test_the_services_own_word_counts(word: str, expected: str) -> None:
    assert statuses(reading({"status": word}))["health"] == expected


def test_the_services_message_is_passed_on_without_control_characters() -> None:
    body = {"status": "warning", "message": "heap at 91 %\x1b[2J"}
    message = judge_health(reading(body), Expectation())[1].message
    assert "heap at 91 % [2J" in message


@pytest.mark.parametrize(
    ("database", "expected"),
    [("disconnected", WARNING), ({"status": "error"}, WARNING), (False, WARNING), ("disabled", OK), (True, OK)],
)
def test_a_bad_part_of_a_service_that_calls_itself_well_is_a_warning(database: Any, expected: str) -> None:
    assert statuses(reading({"status": "ok", "database": database}))["health.database"] == expected


def test_a_wrong_status_code_is_critical_with_the_reason_that_the_service_gives() -> None:
    findings = judge_health(reading({"status": "error", "message": "no database"}, 503), Expectation())
    assert findings[0].status == CRITICAL
    assert "503 instead of 200 (no database)" in findings[0].message
    assert statuses(reading(b"", 503), status_codes=(200, 503))["http"] == OK


@pytest.mark.parametrize(
    ("path", "expected", "status"),
    [
        ("database.status", "ok", OK),
        ("database.status", ["ready", "ok"], OK),
        ("database.status", "ready", CRITICAL),
        ("database.pool.total", 5, OK),
        ("database.pool.total", "5", CRITICAL),
        ("database.pool.total", True, CRITICAL),
        ("database.missing", None, CRITICAL),
        ("status.deeper", 1, CRITICAL),
    ],
)
def test_expectations(path: str, expected: Any, status: str) -> None:
    assert statuses(reading(BODY), json={path: expected})[f"json.{path}"] == status


def test_an_expectation_replaces_the_own_judgement() -> None:
    judged = statuses(reading({"status": "warning"}), json={"status": ["ok", "warning"]})
    assert judged == {"http": OK, "json.status": OK}


def test_expectations_of_a_plain_answer_fail() -> None:
    finding = judge_health(reading(b"OK"), Expectation(json={"status": "ok"}))[1]
    assert (finding.status, "not JSON" in finding.message) == (CRITICAL, True)


def test_no_answer_is_critical() -> None:
    assert statuses(HealthReading(None, "/x.sock: connection refused")) == {"http": CRITICAL}


def test_one_bad_worker_among_good_ones_is_told() -> None:
    findings = judge_workers([reading(BODY), HealthReading(None, "no answer"), reading(BODY)], Expectation())
    assert worst_of(findings) == CRITICAL
    assert findings[0].message.startswith("1 of 3 answers: ")


def test_a_list_is_indexed_by_number() -> None:
    assert look_up({"items": [{"id": 7}]}, "items.0.id") == 7
    with pytest.raises(LookupError):
        look_up({"items": []}, "items.0.id")


def test_a_big_body_is_cut() -> None:
    shown = trimmed({"a": {"b": {"c": {"d": {"e": 1}}}}, "long": "x" * 5000, "many": list(range(1000))})
    assert shown["a"]["b"]["c"]["d"] == "..."
    assert len(shown["long"]) < 250
    assert len(shown["many"]) == 50


@given(JSON)
def test_whatever_the_body_is_it_is_judged(body: Any) -> None:
    assert statuses(reading(body))["http"] == OK
    json.dumps(reading(body).as_dict())
