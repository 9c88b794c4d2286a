# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in each worker: how fast it answers, whether it grows, how often it was started anew, and
its open files."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ._diagnose_run import Context
from ._diagnose_state import per_hour
from ._findings import CRITICAL, OK, FallingThresholds, Finding, Thresholds, judge_share, rank
from ._memory import MB
from ._pm2_client import Pm2Error
from ._pm2_state import Pm2Process
from ._processes import ProcessTree, load_library
from ._worker_answers import WorkerAnswer, children_of

_HOUR = 3600.0
# A worker's memory goes up and down within minutes, and a young one fills its caches.
_SHORTEST_GROWTH = 1800.0


def check_event_loop(context: Context) -> list[Finding]:
    """Does each worker answer, and how long does it take to? A blocked event loop answers late or not at all."""
    thresholds = Thresholds.of(context.section("health"), "answer")
    return judge_answers(context.answers(), _workers(context), thresholds)


def _workers(context: Context) -> dict[int, str]:
    """Process id -> what to call it, of the workers that PM2 lists, or else of all that its daemon has started."""
    try:
        return {process.pid: f"worker {process.pm_id}" for process in context.pm2() if process.online and process.pid}
    except Pm2Error:
        pids = children_of(Path(context.section("pm2")["home"]) / "pm2.pid")
        return {pid: f"process {pid}" for pid in pids}


def judge_answers(answers: Sequence[WorkerAnswer], workers: Mapping[int, str], thresholds: Thresholds) -> list[Finding]:
    """`workers` are all that there are, by process id."""
    slowest: dict[str, float] = {}
    for answer in answers:
        if answer.reading.answer is not None:
            label = workers.get(answer.pid or 0, "a worker")
            slowest[label] = max(answer.elapsed_ms, slowest.get(label, 0.0))
    silent = [answer for answer in answers if answer.reading.answer is None]
    if silent and not slowest:
        message = f"no worker answers. {silent[0].reading.error}. See the checks health and processes."
        return [Finding("event_loop", CRITICAL, message, 0, len(workers), "workers")]
    findings = [_judge_answer(label, taken, thresholds) for label, taken in slowest.items()]
    slow = [finding for finding in findings if finding.status != OK]
    return [*slow, *_judge_silent(silent, slowest, workers), *_summary(slowest, slow, silent, thresholds)]


def _judge_answer(label: str, taken: float, thresholds: Thresholds) -> Finding:
    advice = "Its event loop is busy: look for long synchronous work, or for a slow database."
    message = f"{label} took {taken:.0f} ms to answer. {advice}"
    return Finding(_check(label), thresholds.status(taken), message, taken, thresholds.exceeded(taken), "ms")


def _judge_silent(silent: Sequence[WorkerAnswer], heard: Iterable[str], workers: Mapping[int, str]) -> list[Finding]:
    """Whom no answer came from: who took the connection, or, where nobody did, who was not heard at all."""
    if not silent:
        return []
    known = set(heard)
    suspects = {pid: label for pid, label in workers.items() if label not in known}
    advice = "it was stopped, or its event loop is blocked. Restart this worker; see its log for what it did last."
    findings = []
    for pid, label in suspects.items():
        message = f"{label} (process {pid}) does not answer: {advice}"
        findings.append(Finding(_check(label), CRITICAL, message, None, None, "ms"))
    if not findings:
        message = f"{len(silent)} requests were not answered: {silent[0].reading.error}. See the service's error log."
        findings.append(Finding("event_loop.unanswered", CRITICAL, message, len(silent), 1, "requests"))
    return findings


def _summary(
    slowest: Mapping[str, float], slow: Sequence[Finding], silent: Sequence[WorkerAnswer], thresholds: Thresholds
) -> list[Finding]:
    """One line for all workers that are well."""
    if slow or silent or not slowest:
        return []
    low, high = min(slowest.values()), max(slowest.values())
    message = f"{len(slowest)} workers answer in {low:.0f} to {high:.0f} ms"
    return [Finding("event_loop", OK, message, high, thresholds.warning, "ms")]


def _check(label: str) -> str:
    return f"event_loop.{label.rpartition(' ')[2]}"


def judge_restarts(context: Context, process: Pm2Process, thresholds: Thresholds) -> Finding:
    """Restarts of the last hour: PM2's own count leaves out those for too much memory, which a new start time shows."""
    key, check = f"restarts.{process.name}.{process.pm_id}", f"processes.restarts.{process.pm_id}"
    identity = f"{process.pid}:{process.started_at:.0f}"
    before = context.samples.previous(key)
    new = 0.0
    if before is not None and before.identity != identity:
        new = max(1.0, process.restarts - before.value)
    context.samples.record(key, identity, process.restarts, context.now, step=0)
    recent = context.samples.happened(key, new, context.now, _HOUR)
    status = thresholds.status(recent)
    message = f"{recent:g} restarts in the last hour; PM2 has counted {process.restarts} so far"
    if status != OK:
        message += ". Something ends this worker again and again: see the service's error log."
    return Finding(check, status, message, round(recent), thresholds.exceeded(recent), "restarts/h")


@dataclasses.dataclass(frozen=True)
class Growth:
    label: str
    rss: int
    per_hour: float
    """Bytes."""


def judge_growth(context: Context, trees: Iterable[ProcessTree], limit_mb: int) -> list[Finding]:
    """How fast workers grow, and when the fastest would reach the limit at which it is restarted."""
    rows = [growth for tree in trees if (growth := _growth(context, tree)) is not None]
    if not limit_mb:
        return []
    return [judge_rows(rows, limit_mb * MB, FallingThresholds.of(context.section("memory"), "hours"))]


def _growth(context: Context, tree: ProcessTree) -> Growth | None:
    """None until a worker has been watched for long enough."""
    identity = f"{tree.pid}:{tree.processes[0].started_at:.0f}"
    key = f"growth.{tree.label}"
    before = context.samples.previous(key)
    context.samples.record(key, identity, tree.rss, context.now, step=_HOUR)
    if before is None or before.identity != identity or context.now - before.time < _SHORTEST_GROWTH:
        return None
    rate = per_hour(tree.rss - before.value, context.now - before.time)
    return Growth(tree.label, tree.rss, rate) if rate is not None else None


def judge_rows(rows: Sequence[Growth], limit: int, thresholds: FallingThresholds) -> Finding:
    growing = {row.label: (limit - row.rss) / row.per_hour for row in rows if row.per_hour > 0}
    if not growing:
        told = "no worker grows" if rows else "not measured yet: that takes half an hour"
        return Finding("memory.growth", OK, told, None, thresholds.warning, "hours")
    first = min(growing, key=lambda label: growing[label])
    rate = next(row.per_hour for row in rows if row.label == first)
    hours = max(0.0, round(growing[first], 1))
    message = f"{first} grows by {rate / MB:.1f} MB an hour; it would reach the restart limit in {_time(hours)}"
    status = thresholds.status(hours)
    if status != OK:
        message += ". Compare two heap snapshots to find the leak."
    return Finding("memory.growth", status, message, hours, thresholds.exceeded(hours), "hours")


def _time(hours: float) -> str:
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004


@dataclasses.dataclass(frozen=True)
class Descriptors:
    label: str
    open: int
    limit: int

    @property
    def percent(self) -> float:
        return 100 * self.open / self.limit


def check_descriptors(context: Context) -> list[Finding]:
    """Open files and sockets of each worker and of PM2's daemon; at the limit no connection is taken any more."""
    section = context.section("descriptors")
    daemon = Path(context.section("pm2")["home"]) / "pm2.pid"
    labels = _workers(context)
    # whether there is one, the check processes says
    with contextlib.suppress(OSError, ValueError):
        labels[int(daemon.read_text(encoding="ascii"))] = "PM2's daemon"
    thresholds = Thresholds(float(section["warning"]), float(section["critical"]))
    return judge_descriptors(read_descriptors(labels), thresholds)


def read_descriptors(labels: Mapping[int, str]) -> list[Descriptors]:
    """A process that has ended, or that may not be looked into, is left out."""
    psutil = load_library("psutil", "python3-psutil")
    found = []
    for pid, label in labels.items():
        try:
            process = psutil.Process(pid)
            limit = process.rlimit(psutil.RLIMIT_NOFILE)[0]
            if limit > 0:
                found.append(Descriptors(label, process.num_fds(), limit))
        except psutil.Error:
            continue
    return found


def judge_descriptors(found: Sequence[Descriptors], thresholds: Thresholds) -> list[Finding]:
    if not found:
        return []
    worst = max(found, key=lambda one: one.percent)
    advice = "Look for connections or files that are never closed: ls -l /proc/PID/fd. Or raise pm2_open_files."
    what = f"most open files of {len(found)} processes: {worst.label} with {worst.open} of {worst.limit}"
    finding = judge_share("descriptors", worst.percent, thresholds, what, advice)
    over = sum(rank(thresholds.status(one.percent)) > 0 for one in found)
    if over > 1:
        finding = dataclasses.replace(finding, message=f"{over} processes are near their limit; {finding.message}")
    return [finding]
