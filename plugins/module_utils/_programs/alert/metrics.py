# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for node_exporter, made of the watchdog's status: a file of root's in the textfile collector's directory.

The status is written by the service's user, who must neither hold up node_exporter nor say anything of another service:
names, types, help texts and the label `service` are ours, only values and the other labels' texts are the status's.

A program that stays, since one that starts every few seconds costs more of the processor than this one of memory.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..._host.atomic import save
from ..._host.small_file import read_small
from .record import number

_PERIOD = 5.0
_LARGEST = 1024 * 1024
_MODE = 0o644
_PHASES = ("healthy", "suspect", "recovering", "exhausted")
_PREFIX = "nodejs_service_"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
# The status may be of a hostile user: it is no reason to make millions of series, or labels without end.
_MOST_SAMPLES = 500
_LONGEST_LABEL = 200

Labels = Mapping[str, str]
Sample = tuple[Labels, Any]
"""A value that is None or no finite number is left out: it was not read."""


def run(service: str, status: str, target: str) -> None:
    """The entry point: ends where the target can't be written, and systemd starts it again."""
    last: object = None
    while True:
        try:
            last = publish(service, Path(status), Path(target), last)
        except OSError as error:
            sys.stderr.write(f"{error.filename or target}: {error.strerror}\n")
            raise SystemExit(1) from error
        time.sleep(_PERIOD)


def publish(service: str, status: Path, target: Path, last: object) -> object:
    """Have the target say what the status does; without one there is no target. Raises OSError.

    `last` is what the call before returned: what was published then.
    """
    text, now = "", None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content, seen = read_small(status, _LARGEST)
        now = (seen.st_ino, seen.st_mtime_ns)
        if now == last:
            return last
        record = json.loads(content)
        text = render({**record, "service": service}) if isinstance(record, dict) else ""
    if text:
        save(target, text.encode("utf-8", "replace"), _MODE)
    else:
        target.unlink(missing_ok=True)
    return now


def render(status: Mapping[str, Any]) -> str:
    """The text of the file; what the status does not have is left out. Names and labels: docs/alerting.md."""
    service = str(status.get("service", ""))
    return "".join(f"{line}\n" for metric in _metrics(status) for line in _lines(service, *metric))


def _metrics(status: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Name, help text and samples of each."""
    readings, budget = _mapping(status.get("readings")), _mapping(status.get("budget"))
    targets, host = _mapping(status.get("targets")), _mapping(readings.get("host"))
    limits, daemon = _mapping(status.get("limits")), _mapping(readings.get("daemon"))
    workers = [({"worker": str(worker.get("pm_id", ""))}, worker) for worker in _mappings(readings.get("workers"))]

    def of_workers(field: str) -> list[Sample]:
        return [(labels, worker.get(field)) for labels, worker in workers]

    yield (
        "heartbeat_timestamp_seconds",
        "When the watchdog last probed the service, in Unix time.",
        [({}, status.get("time"))],
    )
    yield (
        "state",
        "Whether the service is in this state, 1 or 0.",
        [({"state": state}, status.get("state") == state) for state in (*_PHASES, "paused")],
    )
    yield (
        "target_phase",
        "Whether the service or its proxy is in this phase, 1 or 0.",
        [
            ({"target": target, "phase": phase}, _mapping(entry).get("phase") == phase)
            for target, entry in targets.items()
            for phase in _PHASES
        ],
    )
    yield (
        "problem",
        "An open problem, always 1.",
        [
            ({"key": str(problem.get("key", "")), "severity": str(problem.get("severity", ""))}, 1)
            for problem in _mappings(status.get("problems"))
        ],
    )
    yield "recovery_actions_total", "Recovery steps that were taken.", [({}, status.get("actions_total"))]
    yield (
        "recovery_budget_used",
        "Recovery steps within the budget's window.",
        [({"target": target}, count) for target, count in _mapping(budget.get("used")).items()],
    )
    yield "recovery_budget_limit", "Steps that each target's budget allows.", [({}, budget.get("limit"))]
    yield "worker_up", "Whether PM2 has the worker online, 1 or 0.", of_workers("online")
    yield "worker_rss_bytes", "Resident memory of the worker.", of_workers("rss")
    yield "worker_restarts_total", "Restarts of the worker.", of_workers("restarts")
    yield "worker_age_seconds", "Since the worker's process was started.", of_workers("age")
    yield (
        "worker_cpu_seconds_total",
        "Time of a processor that the worker's process has used.",
        of_workers("cpu_seconds"),
    )
    yield "worker_open_files", "Open files and connections of the worker's process.", of_workers("open_files")
    yield "worker_heap_used_bytes", "What is used of V8's heap in the worker.", of_workers("heap_used")
    yield "worker_heap_size_bytes", "What V8's heap has taken in the worker.", of_workers("heap_size")
    for field, what in (("p50", "the median"), ("p95", "below what 95 of 100 are")):
        yield (
            f"worker_event_loop_lag_{field}_seconds",
            f"How late the worker's event loop is, {what}.",
            _seconds((labels, _mapping(worker.get("event_loop_ms")).get(field)) for labels, worker in workers),
        )
    yield "heap_limit_bytes", "Up to which V8's heap may grow in a worker.", [({}, limits.get("heap"))]
    yield "memory_limit_bytes", "Resident memory at which a worker is replaced.", [({}, limits.get("memory"))]
    yield "daemon_rss_bytes", "Resident memory of PM2's daemon.", [({}, daemon.get("rss"))]
    yield "health_answer_seconds", "How long the worker's health answer took.", _seconds(of_workers("answer_ms"))
    yield "host_memory_available_bytes", "Memory available on the host.", [({}, host.get("available"))]
    days = number(status.get("certificate_days"))
    yield (
        "certificate_left_seconds",
        "Until the certificate that Nginx serves ends, by the last diagnosis.",
        [({}, None if days is None else days * 86400)],
    )
    yield "host_memory_size_bytes", "Memory of the host.", [({}, host.get("total"))]


def _lines(service: str, name: str, text: str, samples: list[Sample]) -> Iterator[str]:
    # a series that is there twice is an error to node_exporter: the first counts
    shown: dict[str, float] = {}
    for labels, value in samples[:_MOST_SAMPLES]:
        found = _finite(value)
        if found is not None:
            shown.setdefault(_series(name, {"service": service, **labels}), found)
    if shown:
        yield f"# HELP {_PREFIX}{name} {text}"
        yield f"# TYPE {_PREFIX}{name} {'counter' if name.endswith('_total') else 'gauge'}"
        yield from (f"{series} {found:.15g}" for series, found in shown.items())


def _series(name: str, labels: Labels) -> str:
    inside = ",".join(f'{label}="{text[:_LONGEST_LABEL].translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{_PREFIX}{name}{{{inside}}}"


def _finite(value: Any) -> float | None:
    """What is true or false is 1 or 0."""
    return number(int(value) if isinstance(value, bool) else value)


def _seconds(samples: Iterable[Sample]) -> list[Sample]:
    """From milliseconds."""
    return [(labels, found / 1000) for labels, value in samples if (found := _finite(value)) is not None]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
