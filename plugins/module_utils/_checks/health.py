# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the service healthy? Reads an HTTP answer; judges status code, JSON expectations and what the body says."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .._net.http import Answer, HttpError, HttpTimeoutError, Request, fetch
from .findings import CRITICAL, OK, WARNING, Finding, fails, rank, worst_of

# The words that services and health libraries use for their own state. A word that is in neither set is reported only.
_WARNING_WORDS = frozenset({"warning", "warn", "degraded", "exhausted"})
_CRITICAL_WORDS = frozenset({"error", "critical", "fail", "failed", "down", "unhealthy", "disconnected", "unavailable"})
# From here to there an answer says that something else is at that path, or that one has to log in.
_REDIRECTION, _SERVER_ERROR = 300, 500
_PARTS = ("database", "websocket")
_SHOWN_DEPTH = 4
_SHOWN_ITEMS = 50
_SHOWN_TEXT = 200
# No pool has more: what a service says of itself may be any number.
_MOST_CONNECTIONS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What a healthy answer looks like."""

    status_codes: tuple[int, ...] = (200,)
    json: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Dotted path in the body -> the value it must have, or a list of the values that are allowed."""


@dataclasses.dataclass(frozen=True)
class HealthReading:
    answer: Answer | None
    error: str = ""
    attempts: int = 1
    timed_out: bool = False

    @property
    def body(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.answer.body) if self.answer else None
        except (ValueError, RecursionError):
            return None

    def as_dict(self) -> dict[str, Any]:
        return {
            "status_code": self.answer.status if self.answer else None,
            "elapsed_ms": self.answer.elapsed_ms if self.answer else None,
            "url": self.answer.url if self.answer else None,
            "attempts": self.attempts,
            "error": self.error,
            "json": trimmed(self.body),
        }


def check_health(
    request: Request, expectation: Expectation, retries: int = 0, delay: float = 1.0, fail_on: str = CRITICAL
) -> tuple[list[Finding], HealthReading]:
    """Ask up to 1 + `retries` times, `delay` seconds apart, until the answer would not fail the caller."""
    threshold = CRITICAL if fail_on == "never" else fail_on
    for attempt in range(1, retries + 2):
        reading = dataclasses.replace(read_health(request), attempts=attempt)
        findings = judge_health(reading, expectation)
        if not fails(worst_of(findings), threshold):
            break
        if attempt <= retries:
            time.sleep(delay)
    return findings, reading


def read_health(request: Request) -> HealthReading:
    try:
        return HealthReading(fetch(request))
    except HttpError as error:
        return HealthReading(None, str(error), timed_out=isinstance(error, HttpTimeoutError))


def judge_workers(readings: Sequence[HealthReading], expectation: Expectation) -> list[Finding]:
    """Judge several answers as one: the worst counts, and where only some are bad it is said how many."""
    judged = [judge_health(reading, expectation) for reading in readings]
    worst_findings = max(judged, key=lambda findings: rank(worst_of(findings)))
    bad = sum(worst_of(findings) == worst_of(worst_findings) for findings in judged)
    if bad == len(judged) or worst_of(worst_findings) == OK:
        return worst_findings
    note = f"{bad} of {len(judged)} answers: "
    return [
        dataclasses.replace(finding, message=note + finding.message) if finding.status != OK else finding
        for finding in worst_findings
    ]


def pid_of(body: Any) -> int | None:
    """The process that a health body names as its own."""
    pid = body.get("pid") if isinstance(body, dict) else None
    return pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0 else None


def pool_of(body: Any) -> dict[str, int] | None:
    """What a health body says of its process' pool of database connections, by the names that pg has for it."""
    database = body.get("database") if isinstance(body, dict) else None
    pool = database.get("pool") if isinstance(database, dict) else None
    names = ("total", "idle", "waiting", "max")
    found = {name: pool.get(name) for name in names} if isinstance(pool, dict) else {}
    counts = {
        name: value for name, value in found.items() if isinstance(value, int) and 0 <= value <= _MOST_CONNECTIONS
    }
    return counts if counts.get("max") and len(counts) == len(names) else None


def problem_of(reading: HealthReading) -> str:
    """What is wrong with an answer; "" when nothing is critical."""
    findings = judge_health(reading, Expectation())
    return next((finding.message for finding in findings if finding.status == CRITICAL), "")


def judge_health(reading: HealthReading, expectation: Expectation) -> list[Finding]:
    answer = reading.answer
    if answer is None:
        advice = "See whether the service runs and what its error log says."
        return [Finding("http", CRITICAL, f"{reading.error}. {advice}", timed=reading.timed_out)]
    body = reading.body
    findings = [_judge_status_code(answer, expectation.status_codes, body)]
    findings += [_judge_json(body, path, allowed) for path, allowed in expectation.json.items()]
    if isinstance(body, dict):
        findings += _judge_body(body, expected=expectation.json)
    return findings


def _judge_status_code(answer: Answer, allowed: tuple[int, ...], body: Any) -> Finding:
    expected = " or ".join(str(code) for code in allowed)
    if answer.status in allowed:
        return Finding("http", OK, f"answered {answer.status} in {answer.elapsed_ms:g} ms", answer.status, expected)
    said = _said(body)
    elsewhere = _REDIRECTION <= answer.status < _SERVER_ERROR
    advice = "Is service_health_path the right path?" if elsewhere else "See the service's error log."
    message = f"{answer.url} answered {answer.status} instead of {expected}{said}. {advice}"
    return Finding("http", CRITICAL, message, answer.status, expected)


def _judge_json(body: Any, path: str, expected: Any) -> Finding:
    allowed = expected if isinstance(expected, list) else [expected]
    words = " or ".join(_short(value) for value in allowed)
    check = f"json.{path}"
    try:
        value = look_up(body, path)
    except LookupError:
        reason = f"the answer has no {path}" if isinstance(body, dict | list) else "the answer is not JSON"
        message = f"{reason}, which must be {words}. Correct the service or the expectation."
        return Finding(check, CRITICAL, message, None, words)
    if any(_same(value, candidate) for candidate in allowed):
        return Finding(check, OK, f"{path} is {_short(value)}", _short(value), words)
    message = f"{path} is {_short(value)}, not {words}{_said(body)}. See what the service reports about it."
    return Finding(check, CRITICAL, message, _short(value), words)


def _judge_body(body: Mapping[str, Any], expected: Mapping[str, Any]) -> list[Finding]:
    """The parts of a health body that services report about themselves, unless an expectation has judged them."""
    findings = []
    own = body.get("status")
    if isinstance(own, str) and "status" not in expected:
        status = _word_status(own)
        advice = "" if status == OK else f"{_said(body)}. Look at what the service names as the reason."
        findings.append(Finding("health", status, f"the service reports {_short(own)}{advice}", _clip(own), None))
    for part in _PARTS:
        word = _part_word(body.get(part))
        if word is None or any(path.split(".")[0] == part for path in expected):
            continue
        # The service knows best what its parts mean to it: a bad part is critical through the service's own status.
        status = OK if _word_status(word) == OK else WARNING
        findings.append(Finding(f"health.{part}", status, _part_message(part, word, body[part], status), _clip(word)))
    return findings


def _part_word(part: Any) -> str | None:
    value = part.get("status") if isinstance(part, dict) else part
    if isinstance(value, bool):
        return "connected" if value else "disconnected"
    return value if isinstance(value, str) else None


def _part_message(part: str, word: str, details: Any, status: str) -> str:
    connections = details.get("connections") if isinstance(details, dict) else None
    count = f", {connections} connections" if isinstance(connections, int) else ""
    advice = "" if status == OK else f". Look at the service's {part}."
    return f"the service reports its {part} as {_short(word)}{count}{advice}"


def _word_status(word: str) -> str:
    lower = word.strip().lower()
    if lower in _CRITICAL_WORDS:
        return CRITICAL
    return WARNING if lower in _WARNING_WORDS else OK


def look_up(body: Any, path: str) -> Any:
    """The value at a dotted path; numbers index lists. Raises LookupError."""
    for key in path.split("."):
        if isinstance(body, dict):
            body = body[key]
        elif isinstance(body, list) and key.isascii() and key.isdigit():
            body = body[int(key)]
        else:
            raise LookupError(path)
    return body


def trimmed(value: Any, depth: int = _SHOWN_DEPTH) -> Any:
    """A body small enough to show: cut in depth, number of items and length of texts."""
    if isinstance(value, dict):
        if depth == 0:
            return "..."
        return {_clip(str(key)): trimmed(item, depth - 1) for key, item in list(value.items())[:_SHOWN_ITEMS]}
    if isinstance(value, list):
        return [trimmed(item, depth - 1) for item in value[:_SHOWN_ITEMS]] if depth else "..."
    return _clip(value) if isinstance(value, str) else value


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON, where true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _said(body: Any) -> str:
    message = body.get("message") if isinstance(body, dict) else None
    return f" ({_clip(message)})" if isinstance(message, str) and message else ""


def _short(value: Any) -> str:
    return _clip(json.dumps(value, ensure_ascii=False, default=str))


def _clip(text: str) -> str:
    """No control characters, and not endless: what a service sends ends up on terminals and in logs."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= _SHOWN_TEXT else clean[:_SHOWN_TEXT] + "..."
