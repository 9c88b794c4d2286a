# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in each worker: how fast it answers, and its open files."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from ...._checks.findings import CRITICAL, OK, Finding, Thresholds, judge_share, judge_value, rank
from ...._checks.workers import WorkerAnswer
from ...._host import proc
from ...._host.processes import load_library
from ...._pm2.errors import Pm2Error
from ...._pm2.process import Pm2Process
from ...._service.active import active_activation
from ..runner import Context

# PM2 calls a worker online as soon as it is started; until it listens it takes no connection.
_YOUNG = 15.0


def check_event_loop(context: Context) -> list[Finding]:
    """Does each worker answer, and how long does it take to? A blocked event loop answers late or not at all."""
    thresholds = context.thresholds("answer_ms")
    try:
        processes = [process for process in context.pm2() if process.online]
    except Pm2Error:
        processes = []  # who answers is told all the same
    active = active_activation(context.section("release")["active"])
    name = f"{context.section('pm2')['prefix']}{active}"
    own = processes if context.existing else [process for process in processes if process.name == name]
    due = [process for process in own if context.now - process.started_at > _YOUNG]
    return judge_answers(context.answers(), _labels(processes), {process.pid or 0 for process in due}, thresholds)


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
        return [Finding("event_loop", CRITICAL, message, 0, len(due), "workers", _timed_out(answers))]
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
    findings += [_judge_missed(workers[pid], pid, _timed_out(answers)) for pid in sorted(missed)]
    unanswered = len(answers) - len(answered)
    if unanswered and not missed:
        error = next(answer.reading.error for answer in answers if answer.reading.answer is None)
        message = f"{unanswered} of {len(answers)} requests were not answered: {error}. See the service's error log."
        timed = _timed_out(answers)
        findings.append(Finding("event_loop.unanswered", CRITICAL, message, unanswered, 1, "requests", timed))
    return findings or [_summary(slowest.values(), thresholds)]


def _judge_answer(label: str, taken: float, thresholds: Thresholds) -> Finding:
    advice = "Its event loop is busy: look for long synchronous work, or for a slow database."
    message = f"{label} took {taken:.0f} ms to answer"
    return judge_value(_check(label), taken, thresholds, message, advice, unit="ms", timed=True)


def _timed_out(answers: Iterable[WorkerAnswer]) -> bool:
    """Whether all that did not answer were waited for until the time was up."""
    return all(answer.reading.timed_out for answer in answers if answer.reading.answer is None)


def _judge_missed(label: str, pid: int, timed: bool) -> Finding:
    message = (
        f"{label} (process {pid}) did not answer: it was stopped, its event loop is blocked, or it does not listen."
        f" Restart it (under PM2 by kill -KILL {pid}: it is started anew); see its log for what it did last."
    )
    return Finding(_check(label), CRITICAL, message, 0, 1, "answers", timed)


def _summary(taken: Collection[float], thresholds: Thresholds) -> Finding:
    """One line for all workers, since all are well."""
    message = f"{len(taken)} workers answer in {min(taken):.0f} to {max(taken):.0f} ms"
    return Finding("event_loop", OK, message, max(taken), thresholds.warning, "ms")


def _check(label: str) -> str:
    return f"event_loop.{label.rpartition(' ')[2]}"


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
    daemon = context.daemon
    try:
        labels = _labels(context.pm2())
    except Pm2Error:
        labels = {pid: f"process {pid}" for pid in proc.children(daemon)} if daemon else {}
    if daemon:
        labels[daemon] = "PM2's daemon"
    return judge_descriptors(read_descriptors(labels), context.thresholds("descriptors_percent"))


def daemon_memory(context: Context) -> list[Finding]:
    """PM2's daemon stands in the way of no request, but is known to leak."""
    if not (daemon := context.daemon):
        return []
    size, thresholds = proc.resident_mb(daemon), context.thresholds("daemon_mb")
    message = f"PM2's daemon (process {daemon}) has {size} MB"
    advice = (
        "Restart it when a short interruption suits."
        if context.existing
        else "The watchdog replaces it without one, or the next run of site.yml does."
    )
    return [judge_value("memory.daemon", size, thresholds, message, advice, unit="MB")]


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
