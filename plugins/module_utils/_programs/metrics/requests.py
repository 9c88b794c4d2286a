# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rate, errors and duration of the requests, by what Nginx writes of each in the access log."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .text import BOUNDS, Histogram, Metric

_WEBSOCKET = 101
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_REJECTED = "REJECTED"
_LIMITS = {"rate": "rate_limit", "connections": "connection_limit"}


@dataclass(frozen=True)
class Objectives:
    """What is promised of the requests: shares in percent, and from when on one is slow, in seconds."""

    availability: float
    latency: float
    latency_threshold: float


@dataclass
class Requests:
    """`entry` is whether clients come to this host; otherwise a proxy of the fleet sends them."""

    objectives: Objectives
    entry: bool
    routes: Sequence[str] = ()
    """Known before their first request: what a counter begins with is no increase to Prometheus."""
    _answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _slow: Counter[str] = field(default_factory=Counter)
    _limited: Counter[str] = field(default_factory=Counter)
    _durations: dict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    _upstream: dict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))

    def __post_init__(self) -> None:
        for route in self.routes:
            self._answers.update({(route, status): 0 for status in _CLASSES})
            self._slow[route] = 0
            self._durations[route] = Histogram()
            self._upstream[route] = Histogram()

    def add(self, line: bytes) -> None:
        """Count one line of the log. What is no request's line is none."""
        try:
            entry = json.loads(line)
            route, status, seconds = str(entry["route"]), int(entry["status"]), float(entry["seconds"])
            upstream = _last(str(entry["upstream_seconds"]))
            limits = [limit for limit, field_name in _LIMITS.items() if entry[field_name] == _REJECTED]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        self._answers[route, f"{status // 100}xx"] += 1
        self._limited.update(limits)
        # of a WebSocket that is how long it lived
        if status != _WEBSOCKET:
            self._durations[route].observe(seconds)
            self._slow[route] += seconds > self.objectives.latency_threshold
            if upstream is not None:
                self._upstream[route].observe(upstream)

    def totals(self) -> dict[str, float]:
        """All routes together, by the names that the history has: of the seconds, how many took up to each bound."""
        found = {f"requests.{status}": 0.0 for status in _CLASSES} | {f"limited.{name}": 0.0 for name in _LIMITS}
        for (_route, status), count in self._answers.items():
            found[f"requests.{status}"] = found.get(f"requests.{status}", 0.0) + count
        found |= {f"limited.{name}": count for name, count in self._limited.items()}
        found["requests.slow"] = sum(self._slow.values())
        durations = list(self._durations.values())
        for number, bound in enumerate(BOUNDS):
            found[f"seconds.{bound}"] = sum(one.counts[number] for one in durations)
        return found

    def metrics(self) -> Iterator[Metric]:
        entry = {"entry": "true" if self.entry else "false"}
        objectives = {"availability": self.objectives.availability, "latency": self.objectives.latency}
        yield Metric(
            "objective_ratio",
            "The share of requests that are to be answered without an error, and in time.",
            [({"objective": name}, percent / 100) for name, percent in objectives.items()],
        )
        yield Metric(
            "http_requests_total",
            "Requests that were answered.",
            [({**entry, "route": route, "status": status}, n) for (route, status), n in sorted(self._answers.items())],
        )
        yield Metric(
            "http_slow_requests_total",
            "Requests that took longer than the objective says.",
            [({**entry, "route": route}, count) for route, count in sorted(self._slow.items())],
        )
        yield Metric(
            "http_limited_requests_total",
            "Requests that were refused by a limit of Nginx.",
            [({**entry, "limit": limit}, self._limited[limit]) for limit in _LIMITS],
        )
        for name, text, histograms in (
            ("http_request_duration_seconds", "From a request's first byte to the answer's last.", self._durations),
            ("http_upstream_duration_seconds", "What of it the service took, or the app host.", self._upstream),
        ):
            yield Metric(name, text, [({**entry, "route": route}, one) for route, one in sorted(histograms.items())])


def _last(text: str) -> float | None:
    """Of the last server that was asked, of "0.001, 0.250"; None where none has answered, "-" or ""."""
    last = text.replace(":", ",").split(",")[-1].strip()
    return float(last) if last not in ("", "-") else None
