# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events out of what the service's user wrote, who may be hostile. Pure and total: a record is an event, or EventError.

What comes out is small, its numbers are finite and its time is not in the future, so that nothing later can fail on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._host.errors import StabilityError
from ..records import number
from .problems import HEARTBEAT, SEVERITIES, Event

LONGEST_NAME = 200
_LONGEST_MESSAGE = 1000
_MOST_VALUES = 30
_KINDS = ("problem", "resolved", "action", "test")


class EventError(StabilityError):
    """What is no event; the message says why."""


def parse(content: bytes, now: float) -> Event:
    """The event that a file holds. Raises EventError."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EventError("it is no JSON") from error
    if not isinstance(record, dict):
        raise EventError("it is no JSON object")
    return event_of(record, now)


def event_of(record: Mapping[str, Any], now: float) -> Event:
    """Raises EventError."""
    texts = {name: record.get(name, "") for name in ("kind", "key", "code", "message")}
    severity, time, values = record.get("severity", "info"), number(record.get("time")), record.get("values") or {}
    if (
        texts["kind"] not in _KINDS
        or severity not in SEVERITIES
        or not all(isinstance(text, str) for text in texts.values())
    ):
        raise EventError("it lacks a kind, a severity, a key, a code or a message")
    if time is None or time < 0:
        raise EventError("its time is no number of seconds")
    if not isinstance(values, Mapping) or (texts["kind"] != "test" and not texts["key"]):
        raise EventError("it lacks a key, or its values are no object")
    if max(len(texts["key"]), len(texts["code"])) > LONGEST_NAME:
        raise EventError(f"its key or its code is longer than {LONGEST_NAME} characters")
    if texts["key"] == HEARTBEAT:
        raise EventError(f"only alerting itself says {HEARTBEAT}: that the watchdog is silent")
    texts["message"] = texts["message"][:_LONGEST_MESSAGE]
    return Event(time=min(time, now), severity=severity, values=_small(values), **texts)


def _small(values: Mapping[str, Any]) -> dict[str, Any]:
    """As many of the values as are reported, none of them large."""
    found: dict[str, Any] = {}
    for name, value in list(values.items())[:_MOST_VALUES]:
        if isinstance(value, str):
            found[name[:LONGEST_NAME]] = value[:LONGEST_NAME]
        elif value is None or isinstance(value, bool) or number(value) is not None:
            found[name[:LONGEST_NAME]] = value
    return found
