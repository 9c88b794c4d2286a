# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in each worker: how fast it answers, whether it grows, how often it was started anew, and
its open files."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
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
# PM2 calls a worker online as soon as it is started; until it listens it takes no connection.
_YOUNG = 15.0


def check_event_loop(context: Context) -> list[Finding]:
    """Does each worker answer, and how long does it take to? A blocked event loop answers late or not at all."""
    thresholds = Thresholds.of(context.section("health"), "answer")
    try:
        processes = [process for process in context.pm2() if process.online]
    except Pm2Error:
        processes = []  # who answers is told all the same
    active = active_activation(context.section("release")["active_socket"])
    name = f"{context.section('pm2')['prefix']}{active}"
    due = [process for process in processes if process.name == name and context.now - process.started_at > _YOUNG]
    return judge_answers(context.answers(), _labels(processes), {process.pid or 0 for process in due}, thresholds)


def active_activation(active_socket: str) -> str | None:
    """The name of the active activation: that of the socket that the link leads to."""
    try:
        return Path(Path(active_socket).readlink()).stem or None
    except OSError:
        return None


def _labels(processes: Iterable[Pm2Process]) -> dict[int, str]:
    return {process.pid: f"worker {process.pm_id}" for process in processes if process.pid}


def judge_answers(
    answers: Sequence[WorkerAnswer], workers: Mapping[int, str], due: Collection[int], thresholds: Thresholds
) -> list[Finding]:
    """`workers` are what to call a process; those in `due` must be among the ones that answered."""
    answered = [answer for answer in answers if answer.reading.answer is not None]
    if not answered:
        error = next((answer.reading.error for answer in answers), "nobody was asked")
        message = f"no worker answers. {error}. See the checks health and processes."
        return [Finding("event_loop", CRITICAL, message, 0, len(due), "workers")]
    slowest: dict[int | None, float] = {}
    for answer in answered:
        slowest[answer.pid] = max(answer.elapsed_ms, slowest.get(answer.pid, 0.0))
    findings = [
        _judge_answer(workers.get(pid or 0, f"process {pid}" if pid else "a worker"), taken, thresholds)
        for pid, taken in slowest.items()
        if thresholds.status(taken) != OK
    ]
    # without any process that is known, nobody can be missed
    missed = set(due) - set(slowest) if set(slowest) != {None} else set()
    findings += [_judge_missed(workers[pid], pid, len(answers)) for pid in sorted(missed)]
    unanswered = len(answers) - len(answered)
    if unanswered and not missed:
        error = next(answer.reading.error for answer in answers if answer.reading.answer is None)
        message = f"{unanswered} of {len(answers)} requests were not answered: {error}. See the service's error log."
        findings.append(Finding("event_loop.unanswered", CRITICAL, message, unanswered, 1, "requests"))
    return findings or [_summary(slowest.values(), thresholds)]


def _judge_answer(label: str, taken: float, thresholds: Thresholds) -> Finding:
    advice = "Its event loop is busy: look for long synchronous work, or for a slow database."
    message = f"{label} took {taken:.0f} ms to answer. {advice}"
    return Finding(_check(label), thresholds.status(taken), message, taken, thresholds.exceeded(taken), "ms")


def _judge_missed(label: str, pid: int, questions: int) -> Finding:
    message = (
        f"{label} (process {pid}) answered none of {questions} requests: it was stopped, or its event loop is blocked."
        f" Restart it (kill -KILL {pid}: PM2 starts it anew); see its log for what it did last."
    )
    return Finding(_check(label), CRITICAL, message, 0, 1, "answers")


def _summary(taken: Collection[float], thresholds: Thresholds) -> Finding:
    """One line for all workers, since all are well."""
    message = f"{len(taken)} workers answer in {min(taken):.0f} to {max(taken):.0f} ms"
    return Finding("event_loop", OK, message, max(taken), thresholds.warning, "ms")


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
    try:
        labels = _labels(context.pm2())
    except Pm2Error:
        labels = {pid: f"process {pid}" for pid in children_of(daemon)}
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
