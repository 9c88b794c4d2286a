# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics of the watchdog's status, of which values and some labels' texts are the service's user's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..records import number
from .text import Metric, Sample

_PHASES = ("healthy", "suspect", "recovering", "exhausted")


def metrics_of(status: Mapping[str, Any]) -> Iterator[Metric]:
    """What the status does not have is left out. Names and labels: docs/metrics.md."""
    if not status:
        return
    readings, budget = _mapping(status.get("readings")), _mapping(status.get("budget"))
    targets, host = _mapping(status.get("targets")), _mapping(readings.get("host"))
    limits, daemon = _mapping(status.get("limits")), _mapping(readings.get("daemon"))
    workers = [({"worker": str(worker.get("pm_id", ""))}, worker) for worker in _mappings(readings.get("workers"))]

    def of_workers(field: str) -> list[Sample]:
        return [(labels, worker.get(field)) for labels, worker in workers]

    yield Metric(
        "heartbeat_timestamp_seconds",
        "When the watchdog last probed the service, in Unix time.",
        [({}, status.get("time"))],
    )
    yield Metric(
        "state",
        "Whether the service is in this state, 1 or 0.",
        [({"state": state}, status.get("state") == state) for state in (*_PHASES, "paused")],
    )
    yield Metric(
        "target_phase",
        "Whether the service or its proxy is in this phase, 1 or 0.",
        [
            ({"target": target, "phase": phase}, _mapping(entry).get("phase") == phase)
            for target, entry in targets.items()
            for phase in _PHASES
        ],
    )
    yield Metric(
        "problem",
        "An open problem, always 1.",
        [
            ({"key": str(problem.get("key", "")), "severity": str(problem.get("severity", ""))}, 1)
            for problem in _mappings(status.get("problems"))
        ],
    )
    yield Metric("recovery_actions_total", "Recovery steps that were taken.", [({}, status.get("actions_total"))])
    yield Metric(
        "recovery_budget_used",
        "Recovery steps within the budget's window.",
        [({"target": target}, count) for target, count in _mapping(budget.get("used")).items()],
    )
    yield Metric("recovery_budget_limit", "Steps that each target's budget allows.", [({}, budget.get("limit"))])
    yield Metric("worker_up", "Whether PM2 has the worker online, 1 or 0.", of_workers("online"))
    yield Metric("worker_rss_bytes", "Resident memory of the worker.", of_workers("rss"))
    yield Metric("worker_restarts_total", "Restarts of the worker.", of_workers("restarts"))
    yield Metric("worker_age_seconds", "Since the worker's process was started.", of_workers("age"))
    yield Metric(
        "worker_cpu_seconds_total",
        "Time of a processor that the worker's process has used.",
        of_workers("cpu_seconds"),
    )
    yield Metric("worker_open_files", "Open files and connections of the worker's process.", of_workers("open_files"))
    yield Metric("worker_heap_used_bytes", "What is used of V8's heap in the worker.", of_workers("heap_used"))
    yield Metric("worker_heap_size_bytes", "What V8's heap has taken in the worker.", of_workers("heap_size"))
    for field, what in (("p50", "the median"), ("p95", "below what 95 of 100 are")):
        yield Metric(
            f"worker_event_loop_lag_{field}_seconds",
            f"How late the worker's event loop is, {what}.",
            _seconds((labels, _mapping(worker.get("event_loop_ms")).get(field)) for labels, worker in workers),
        )
    yield Metric("heap_limit_bytes", "Up to which V8's heap may grow in a worker.", [({}, limits.get("heap"))])
    yield Metric("memory_limit_bytes", "Resident memory at which a worker is replaced.", [({}, limits.get("memory"))])
    yield Metric("daemon_rss_bytes", "Resident memory of PM2's daemon.", [({}, daemon.get("rss"))])
    yield Metric(
        "health_answer_seconds", "How long the worker's health answer took.", _seconds(of_workers("answer_ms"))
    )
    yield Metric("host_memory_available_bytes", "Memory available on the host.", [({}, host.get("available"))])
    days = number(status.get("certificate_days"))
    yield Metric(
        "certificate_left_seconds",
        "Until the certificate that Nginx serves ends, by the last diagnosis.",
        [({}, None if days is None else days * 86400)],
    )
    yield Metric("host_memory_size_bytes", "Memory of the host.", [({}, host.get("total"))])


def _seconds(samples: Iterable[Sample]) -> list[Sample]:
    """From milliseconds."""
    return [(labels, found / 1000) for labels, value in samples if (found := number(value)) is not None]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
