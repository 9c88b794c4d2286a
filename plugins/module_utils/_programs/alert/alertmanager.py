# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the monitor's host: what Alertmanager has is what is open, as the watchdog's status is on an app host.

Labels and annotations have texts of the hosts, of which a service may be hostile: they are texts here, cut to size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..._host.errors import StabilityError
from ..._net.http import HttpError, Request, fetch
from ..codes import Code
from ..records import mapping, mappings
from ..words import words_of
from .problems import HEARTBEAT, MOST_KEYS, Event, Ledger
from .record import LONGEST_NAME, EventError, event_of

# The rule that always fires: without it nobody knows whether an alert that is not there is over.
_ALWAYS = "NodejsServiceMonitoring"
_SECONDS = 10.0
_LARGEST = 8 * 1024 * 1024
_SEVERITIES = ("critical", "warning")
# What inhibits an alert may fire one evaluation later.
_GRACE_OPEN = 15.0
# After a restart of Alertmanager, Prometheus sends each alert within 75 s. What was a warning and is to be critical is
# neither for as long.
_GRACE_GONE = 90.0
# Labels that say where an alert is from, or what all alerts of a rule have alike.
_COMMON = ("alertname", "instance", "job", "service", "severity")


@dataclasses.dataclass(frozen=True)
class Monitor:
    """Whom to ask, and whose alerts are reported besides those with the service's name on them."""

    url: str
    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Alerts:
    """One answer. Where there is none, `reason` says why."""

    sign_ns: int = 0
    """When Prometheus last said that it evaluates its rules; 0 where it does not say so."""
    firing: Mapping[str, Event] = dataclasses.field(default_factory=dict)
    """Problems by their keys, `<instance>/<what>`; without an instance for what is of all hosts."""
    muted: frozenset[str] = frozenset()
    """Keys of what is neither to be reported nor over: silenced, inhibited, too new to know that, or too many."""
    reason: str = ""


def ask(monitor: Monitor, service: str, now: float) -> Alerts:
    """What Alertmanager has of the service, of its hosts and of itself."""
    # an alert without the label is one with an empty label
    matcher = f'service=~"{service}|"'
    try:
        answer = fetch(
            Request(
                f"{monitor.url}/api/v2/alerts?filter={quote(matcher)}",
                timeout=_SECONDS,
                max_body=_LARGEST,
                follow=False,
            )
        )
        if answer.status != 200:  # noqa: PLR2004
            raise HttpError(f"{monitor.url} answers with status {answer.status}")
        content = json.loads(answer.body)
    except StabilityError as error:
        return Alerts(reason=str(error))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, list):
        return Alerts(reason=f"{monitor.url} does not answer as Alertmanager does")
    return read(content, monitor, service, now)


def read(content: list[Any], monitor: Monitor, service: str, now: float) -> Alerts:
    """The alerts of an answer, by their keys. Pure."""
    sign = 0.0
    firing: dict[str, Event] = {}
    muted = set()
    for entry in sorted(mappings(content), key=_rank):
        labels = mapping(entry.get("labels"))
        if labels.get("alertname") == _ALWAYS:
            sign = max(sign, _time(entry.get("updatedAt")))
        elif labels.get("severity") in _SEVERITIES and _is_ours(labels, monitor, service):
            with contextlib.suppress(EventError):
                since, event = _time(entry.get("startsAt")), event_of(_record(entry, labels), now)
                active = mapping(entry.get("status")).get("state") == "active"
                if active and not 0 <= now - since < _GRACE_OPEN and len(firing) < MOST_KEYS:
                    firing.setdefault(event.key, event)
                else:
                    muted.add(event.key)
    return Alerts(int(sign * 1e9), firing, frozenset(muted - firing.keys()))


def changes(ledger: Ledger, alerts: Alerts, believed: bool, now: float) -> list[Event]:
    """What is new, worse or milder, and what is over: that only where the answer is believed, and for long enough."""
    events = [event for event in alerts.firing.values() if _differs(ledger, event)]
    for key, problem in ledger.problems.items():
        if key in alerts.muted:
            problem.reminded = now
        if not believed or key in alerts.firing or key in alerts.muted or key == HEARTBEAT:
            problem.missing = 0.0
            continue
        problem.missing = min(problem.missing or now, now)  # the clock may have been set back
        if now - problem.missing >= _GRACE_GONE:
            events.append(Event("resolved", problem.missing, key))
    return events


def _differs(ledger: Ledger, event: Event) -> bool:
    known = ledger.problems.get(event.key)
    return known is None or (known.code, known.severity) != (event.code, event.severity)


def _rank(entry: Mapping[str, Any]) -> tuple[bool, bool]:
    """What a service says of itself leaves room for the rest; of two with one key the worse one counts."""
    labels = mapping(entry.get("labels"))
    return bool(labels.get("service") and labels.get("instance")), labels.get("severity") != "critical"


def _is_ours(labels: Mapping[str, Any], monitor: Monitor, service: str) -> bool:
    return labels.get("service") == service or (
        not labels.get("service") and labels.get("instance", "") in ("", *monitor.hosts)
    )


def _record(entry: Mapping[str, Any], labels: Mapping[str, Any]) -> dict[str, Any]:
    """The alert as the watchdog would have written it; what the rule's annotation `code` names has words of its own."""
    notes = mapping(entry.get("annotations"))
    name, instance = str(labels.get("alertname", "")), str(labels.get("instance", ""))
    # NodejsServiceProblem and NodejsServiceWarning with one key of the watchdog are one problem
    what = [name] if "key" not in labels else []
    what += [str(labels[label]) for label in sorted(labels) if label not in _COMMON]
    key = "/".join([instance, *what])
    code, summary = str(notes.get("code", "")), str(notes.get("summary") or name)
    if words_of(code, "en"):
        # that of the watchdog's problems has nothing but their key
        message = "" if "key" in labels else summary
    else:
        code, message = summary[:LONGEST_NAME], str(notes.get("description", ""))
    values = {"runbook": notes.get("runbook_url")}
    if code == Code.FINDING:
        values["check"] = str(labels.get("key", "")).partition(".")[2]
    return {
        "kind": "problem",
        "key": key if len(key) <= LONGEST_NAME else f"{instance}/{name}/{entry.get('fingerprint')}",
        "code": code,
        "severity": labels["severity"],
        "message": message,
        "time": _time(entry.get("startsAt")),
        "values": values,
    }


def _time(text: Any) -> float:
    """0 where it is none."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
