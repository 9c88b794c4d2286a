# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics of the watchdog's status, of which values and some labels' texts are the service's user's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._checks.findings import STATUSES
from ..display import level_of
from ..records import mapping, mappings, number
from .text import Metric, Sample

# Whoever makes up workers makes an alert of each.
_MOST_WORKERS = 128
_HOUR, _DAY = 3600.0, 86400.0
_PHASES = ("healthy", "suspect", "recovering", "exhausted")


def metrics_of(status: Mapping[str, Any]) -> Iterator[Metric]:
    """What the status does not have is left out. Names and labels: docs/metrics.md."""
    if status:
        yield from _state(status)
        yield from _workers(status)
        yield from _host(status)
        yield from _deployments(status)
        yield from _diagnosis(status)
        yield from _watchdog(status)


def _state(status: Mapping[str, Any]) -> Iterator[Metric]:
    targets, budget = mapping(status.get("targets")), mapping(status.get("budget"))
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
    now = level_of(status)
    yield Metric(
        "level",
        "Whether this is how the service is, with its open problems and the last diagnosis, 1 or 0.",
        [({"level": level}, level == now) for level in STATUSES],
    )
    yield Metric(
        "target_phase",
        "Whether the service or its proxy is in this phase, 1 or 0.",
        [
            ({"target": target, "phase": phase}, mapping(entry).get("phase") == phase)
            for target, entry in targets.items()
            for phase in _PHASES
        ],
    )
    inhibitions = {target: mapping(mapping(entry).get("inhibition")).get("code") for target, entry in targets.items()}
    yield Metric(
        "inhibition",
        "Why nothing is done about the service or its proxy, always 1.",
        [({"target": target, "code": str(code)}, 1) for target, code in inhibitions.items() if code],
    )
    yield Metric(
        "problem",
        "An open problem, always 1.",
        [
            ({label: str(problem.get(label, "")) for label in ("key", "code", "severity")}, 1)
            for problem in mappings(status.get("problems"))
        ],
    )
    yield Metric("recovery_actions_total", "Recovery steps that were taken.", [({}, status.get("actions_total"))])
    yield Metric(
        "recovery_steps_total",
        "Recovery steps of each kind since the watchdog was started.",
        [({"step": step}, count) for step, count in mapping(status.get("steps")).items()],
    )
    yield Metric(
        "recovery_budget_used",
        "Recovery steps within the budget's window.",
        [({"target": target}, count) for target, count in mapping(budget.get("used")).items()],
    )
    yield Metric("recovery_budget_limit", "Steps that each target's budget allows.", [({}, budget.get("limit"))])


def _workers(status: Mapping[str, Any]) -> Iterator[Metric]:
    readings, limits = mapping(status.get("readings")), mapping(status.get("limits"))
    daemon = mapping(readings.get("daemon"))
    listed = mappings(readings.get("workers"))[:_MOST_WORKERS]
    workers = [({"worker": str(worker.get("pm_id", ""))}, worker) for worker in listed]
    pools = [(labels, mapping(worker.get("pool"))) for labels, worker in workers]

    def of_workers(field: str) -> list[Sample]:
        return [(labels, worker.get(field)) for labels, worker in workers]

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
            _seconds((labels, mapping(worker.get("event_loop_ms")).get(field)) for labels, worker in workers),
        )
    for name, field, what in (
        ("connections", "total", "Database connections that the worker's pool has open."),
        ("connections_idle", "idle", "Those of them that nobody uses."),
        ("connections_limit", "max", "Database connections that the worker's pool may have."),
        ("waiting_requests", "waiting", "Requests that wait for a connection of the worker's pool."),
    ):
        yield Metric(f"worker_pool_{name}", what, [(labels, pool.get(field)) for labels, pool in pools])
    yield Metric("heap_limit_bytes", "Up to which V8's heap may grow in a worker.", [({}, limits.get("heap"))])
    yield Metric("memory_limit_bytes", "Resident memory at which a worker is replaced.", [({}, limits.get("memory"))])
    yield Metric("daemon_rss_bytes", "Resident memory of PM2's daemon.", [({}, daemon.get("rss"))])
    yield Metric(
        "health_answer_seconds", "How long the worker's health answer took.", _seconds(of_workers("answer_ms"))
    )


def _host(status: Mapping[str, Any]) -> Iterator[Metric]:
    readings = mapping(status.get("readings"))
    host = mapping(readings.get("host"))
    disk = [({"path": path}, mapping(room)) for path, room in mapping(readings.get("disk")).items()]
    yield Metric("host_memory_available_bytes", "Memory available on the host.", [({}, host.get("available"))])
    yield Metric("host_memory_size_bytes", "Memory of the host.", [({}, host.get("total"))])
    yield Metric(
        "disk_free_bytes", "What is free where the service writes.", [(of, room.get("free")) for of, room in disk]
    )
    yield Metric(
        "disk_free_inodes",
        "How many more files that file system takes.",
        [(of, room.get("inodes")) for of, room in disk],
    )
    yield Metric("log_size_bytes", "What the service's log directory holds.", [({}, readings.get("log_bytes"))])


def _deployments(status: Mapping[str, Any]) -> Iterator[Metric]:
    live = mapping(status.get("live"))
    last = [
        ({"result": result, "release": str(one.get("release", ""))}, one)
        for result, entry in mapping(status.get("deployments")).items()
        if (one := mapping(entry))
    ]
    yield Metric(
        "release_info",
        "The release and the activation that are live, always 1.",
        [({name: str(live.get(name, "")) for name in ("release", "activation")}, 1)] if live else [],
    )
    yield Metric(
        "deployment_timestamp_seconds",
        "When the last deployment with this result ended, in Unix time.",
        [(labels, one.get("time")) for labels, one in last],
    )
    yield Metric(
        "deployment_duration_seconds", "How long it took.", [(labels, one.get("seconds")) for labels, one in last]
    )


def _diagnosis(status: Mapping[str, Any]) -> Iterator[Metric]:
    found = mapping(status.get("diagnosis"))
    percent = number(found.get("server_connections_percent"))
    yield Metric(
        "diagnosis_timestamp_seconds",
        "When the last diagnosis that found anything out ended, in Unix time.",
        [({}, found.get("ended"))],
    )
    yield Metric(
        "diagnosis_interval_seconds", "From one diagnosis to the next, at most.", [({}, found.get("interval"))]
    )
    yield Metric(
        "diagnosis_findings",
        "Findings of the last diagnosis.",
        [({"level": level}, count) for level, count in mapping(found.get("counts")).items()],
    )
    yield Metric(
        "diagnosis_finding",
        "A finding of the last diagnosis that is not ok, always 1.",
        [
            ({"check": str(finding.get("check", "")), "level": str(finding.get("status", ""))}, 1)
            for finding in mappings(found.get("raised"))
        ],
    )
    yield Metric(
        "database_connections",
        "Connections of the service to its database, by the last diagnosis.",
        [({}, found.get("connections"))],
    )
    yield Metric(
        "database_connections_limit",
        "How many the service may have, by the capacity plan or a limit of its role or database.",
        [({}, found.get("connections_limit"))],
    )
    yield Metric(
        "database_server_connections_ratio",
        "The share of the server's connections that are open, by the last diagnosis.",
        [({}, None if percent is None else percent / 100)],
    )
    yield Metric(
        "certificate_left_seconds",
        "Until the certificate that Nginx serves ends, by the last diagnosis.",
        _times([({}, found.get("certificate_days"))], _DAY),
    )
    yield Metric(
        "backup_age_seconds",
        "Age of the newest backup of the database's server, by the last diagnosis.",
        _times([({}, found.get("backup_hours"))], _HOUR),
    )
    yield Metric(
        "backup_proof_age_seconds",
        "Since a restore of a backup was last proven, by the last diagnosis.",
        _times([({}, found.get("proof_days"))], _DAY),
    )


def _watchdog(status: Mapping[str, Any]) -> Iterator[Metric]:
    own, readings = mapping(status.get("watchdog")), mapping(status.get("readings"))
    yield Metric("probe_duration_seconds", "How long the last probe took.", [({}, readings.get("probe_seconds"))])
    yield Metric(
        "watchdog_cpu_seconds_total",
        "Time of a processor that the watchdog has used itself, and the commands that it has run.",
        [({"part": "itself"}, own.get("cpu_seconds")), ({"part": "commands"}, own.get("commands_cpu_seconds"))],
    )
    yield Metric("watchdog_rss_bytes", "Resident memory of the watchdog.", [({}, own.get("rss"))])


def _seconds(samples: Iterable[Sample]) -> list[Sample]:
    """From milliseconds."""
    return [(labels, found / 1000) for labels, value in samples if (found := number(value)) is not None]


def _times(samples: Iterable[Sample], factor: float) -> list[Sample]:
    return [(labels, found * factor) for labels, value in samples if (found := number(value)) is not None]
