# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's status as metrics for node_exporter's textfile collector. Pure; names and labels: docs/alerting.md."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

PHASES = ("healthy", "suspect", "recovering", "exhausted")
STATES = (*PHASES, "paused")
_PREFIX = "nodejs_service_"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_MILLISECONDS = 1000.0

Labels = Mapping[str, str]
Sample = tuple[Labels, Any]
"""A value that is None or no finite number is left out: it was not read."""
# The status may be of a hostile user: it is no reason to make millions of series, or labels without end.
_MOST_SAMPLES = 500
_LONGEST_LABEL = 200


@dataclasses.dataclass(frozen=True)
class _Metric:
    name: str
    kind: str
    text: str
    samples: list[Sample]

    def lines(self, service: str) -> Iterator[str]:
        # a series that is there twice is an error to node_exporter: the first counts
        shown: dict[str, float] = {}
        for labels, value in self.samples[:_MOST_SAMPLES]:
            number = _finite(value)
            if number is not None:
                shown.setdefault(_series(self.name, {"service": service, **labels}), number)
        if shown:
            yield f"# HELP {_PREFIX}{self.name} {self.text}"
            yield f"# TYPE {_PREFIX}{self.name} {self.kind}"
            yield from (f"{series} {number:.15g}" for series, number in shown.items())


def _series(name: str, labels: Labels) -> str:
    inside = ",".join(f'{label}="{text[:_LONGEST_LABEL].translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{_PREFIX}{name}{{{inside}}}"


def _finite(value: Any) -> float | None:
    """None also for a whole number that is larger than any float."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def render(status: Mapping[str, Any]) -> str:
    """The text of metrics.prom; what the status does not have is left out."""
    service = str(status.get("service", ""))
    metrics = [*_of_states(status), *_of_recovery(status), *_of_workers(status), *_of_host(status)]
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines(service))


def _of_states(status: Mapping[str, Any]) -> list[_Metric]:
    targets = _mapping(status.get("targets"))
    phases = [
        ({"target": str(target), "phase": phase}, int(_mapping(entry).get("phase") == phase))
        for target, entry in targets.items()
        for phase in PHASES
    ]
    state = [({"state": state}, int(status.get("state") == state)) for state in STATES]
    problems: list[Sample] = [
        ({"key": str(problem.get("key", "")), "severity": str(problem.get("severity", ""))}, 1)
        for problem in _mappings(status.get("problems"))
    ]
    beat: list[Sample] = [({}, status.get("time"))]
    return [
        _Metric(
            "heartbeat_timestamp_seconds", "gauge", "When the watchdog last probed the service, in Unix time.", beat
        ),
        _Metric("state", "gauge", "Whether the service is in this state, 1 or 0.", list(state)),
        _Metric("target_phase", "gauge", "Whether the service or its proxy is in this phase, 1 or 0.", list(phases)),
        _Metric("problem", "gauge", "An open problem, always 1.", problems),
    ]


def _of_recovery(status: Mapping[str, Any]) -> list[_Metric]:
    budget, actions = _mapping(status.get("budget")), status.get("actions_total")
    used: list[Sample] = [({"target": str(target)}, count) for target, count in _mapping(budget.get("used")).items()]
    limit: list[Sample] = [({}, budget.get("limit"))]
    return [
        _Metric(
            "recovery_actions_total",
            "counter",
            "Recovery steps that were taken.",
            [({}, actions)],
        ),
        _Metric("recovery_budget_used", "gauge", "Recovery steps within the budget's window.", used),
        _Metric("recovery_budget_limit", "gauge", "Steps that each target's budget allows.", limit),
    ]


def _of_workers(status: Mapping[str, Any]) -> list[_Metric]:
    workers = [
        ({"worker": str(worker.get("pm_id", ""))}, worker)
        for worker in _mappings(_mapping(status.get("readings")).get("workers"))
    ]

    def samples(field: str, scale: float = 1.0) -> list[Sample]:
        return [(labels, _scaled(worker.get(field), scale)) for labels, worker in workers]

    return [
        _Metric("worker_up", "gauge", "Whether PM2 has the worker online, 1 or 0.", samples("online")),
        _Metric("worker_rss_bytes", "gauge", "Resident memory of the worker.", samples("rss")),
        _Metric("worker_restarts_total", "counter", "Restarts of the worker.", samples("restarts")),
        _Metric(
            "health_answer_seconds",
            "gauge",
            "How long the worker's health answer took.",
            samples("answer_ms", 1 / _MILLISECONDS),
        ),
    ]


def _of_host(status: Mapping[str, Any]) -> list[_Metric]:
    host = _mapping(_mapping(status.get("readings")).get("host"))
    return [
        _Metric("host_memory_available_bytes", "gauge", "Memory available on the host.", [({}, host.get("available"))]),
        _Metric("host_memory_size_bytes", "gauge", "Memory of the host.", [({}, host.get("total"))]),
    ]


def _scaled(value: Any, scale: float) -> float | None:
    number = _finite(value)
    return None if number is None else number * scale


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []
