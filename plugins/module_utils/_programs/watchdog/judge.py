# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From one probe's readings to what is wrong, what can be done about it, and why nothing may be. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import TypeAlias

from ..._checks.external_service import PM2, Existing
from ..._host.units import was_stopped
from ..._pm2.rpc import ABSENT, WELL
from ..._service.active import unit_of
from ..codes import Code
from .inhibitions import BEGINNING, operator_stopped, starting, stopped_unit
from .judge_proxy import judge_proxy, proxy_wrong
from .model import LONG_INHIBITION, PROXY, SERVICE, Assessment, Condition, Inhibition, OwnStop, Problem, Remedy
from .own_stops import is_own
from .readings import Readings, Worker
from .settings import Settings
from .usage import MB

_WHOLE_APP = (Remedy.RESTART_APP, Remedy.RECREATE_APP, Remedy.RESTART_DAEMON)
_COMING = frozenset({"waiting restart", "launching", "stopping"})
_LONGEST_FULL = 300.0
# What changes processes takes moments.
_SOON = 5.0
_LONGEST_UNKNOWN = 300.0
_FROM_DATABASE = frozenset({Code.UNHEALTHY, Code.NO_ANSWER, Code.WORKER_HUNG, Code.WORKER_MISSING})
_FROM_STARVATION = frozenset({Code.DAEMON_HUNG, Code.NO_ANSWER, Code.WORKER_HUNG, Code.WORKER_MISSING})


def judge(readings: Readings, settings: Settings, recovering: bool, own_stops: Collection[OwnStop] = ()) -> Assessment:
    """`recovering`: a remedy is at work on the service, and nothing counts as healthy before it answers.

    `own_stops`: of workers that recovery steps have stopped, as far as known.
    """
    condition, inhibition = _Service(readings, settings, recovering, own_stops).judge()
    proxy, proxy_inhibition = judge_proxy(readings, settings, service_is_healthy=condition is None)
    if settings.existing:
        condition, proxy = _of_existing(condition, settings, settings.existing), _without_remedy(proxy)
    inhibition = inhibition or _outer_inhibition(readings, settings, condition)
    problems = (
        *_crash_loop(readings, settings),
        *_surplus(readings, settings),
        *proxy_wrong(readings, service_is_healthy=condition is None and not inhibition),
    )
    return Assessment({SERVICE: condition, PROXY: proxy}, {SERVICE: inhibition, PROXY: proxy_inhibition}, problems)


def _without_remedy(condition: Condition | None) -> Condition | None:
    """A condition that nothing may be done about here."""
    return dataclasses.replace(condition, escalation=()) if condition else None


def _of_existing(condition: Condition | None, settings: Settings, existing: Existing) -> Condition | None:
    """Only what the service's own supervisor does, where it was allowed: nothing is recreated from files of ours."""
    if condition is None or not settings.recovers:
        return _without_remedy(condition)
    if existing.supervisor != PM2:
        # its one process is what serves: none is left that a milder remedy would spare
        return dataclasses.replace(condition, escalation=(Remedy.RESTART_DAEMON,) if settings.pm2_unit else ())
    refused = {Remedy.RECREATE_APP, *(() if settings.pm2_unit else (Remedy.RESTART_DAEMON,))}
    allowed = tuple(remedy for remedy in condition.escalation if remedy not in refused)
    return dataclasses.replace(condition, escalation=allowed)


_Judged: TypeAlias = "tuple[Condition | None, Inhibition | None]"


@dataclasses.dataclass(frozen=True)
class _Service:
    readings: Readings
    settings: Settings
    recovering: bool
    own_stops: Collection[OwnStop]

    def judge(self) -> _Judged:
        if self.readings.daemon.state != WELL:
            return self._daemon()
        if self.readings.activation is None:
            message = f"no release is active: {self.settings.sockets} is no link"
            inhibition = Inhibition(Code.NOT_DEPLOYED, f"{message}. Deploy one with the playbook.", "warning")
            return Condition(Code.APP_MISSING, message, (Remedy.RECREATE_APP,)), inhibition
        workers = self.readings.workers
        if not workers:
            message = f"PM2 does not know the app {self.settings.app_of(self.readings.activation)}"
            return Condition(Code.APP_MISSING, message, (Remedy.RECREATE_APP, Remedy.RESTART_DAEMON)), None
        if all(worker.process.status == "stopped" for worker in workers) and not all(map(self._is_own_stop, workers)):
            message = "all workers were stopped in PM2"
            inhibition = operator_stopped(f"{message}; start them with the service's pm2 command, or deploy")
            return Condition(Code.NO_ANSWER, message, (Remedy.RESTART_APP,)), inhibition
        return self._workers()

    def _daemon(self) -> _Judged:
        daemon, unit = self.readings.daemon, self.readings.pm2_unit
        code = Code.DAEMON_DEAD if daemon.state == ABSENT else Code.DAEMON_HUNG
        # beside one that hangs the workers serve on
        gracefully = code is Code.DAEMON_HUNG and self.readings.renewable
        remedies = (Remedy.RENEW_ACTIVATION, Remedy.RESTART_DAEMON) if gracefully else (Remedy.RESTART_DAEMON,)
        condition = Condition(code, daemon.message, remedies)
        if code is Code.DAEMON_HUNG and self.readings.deployment:
            message = "a deployment is under way, which starts another PM2; the workers serve on beside this one"
            return condition, Inhibition(Code.DEPLOYMENT, message, reported_after=_SOON)
        if unit.get("ActiveState") in BEGINNING and self.readings.daemon_unhealthy_for < self.settings.start_grace:
            return condition, starting(f"systemd is starting {unit['Id']}", self.settings)
        return condition, None

    @property
    def _online(self) -> list[Worker]:
        return [worker for worker in self.readings.workers if worker.process.online and worker.age is not None]

    def _problem(self, worker: Worker) -> str | None:
        """What is wrong with a worker's answer, "" when it is healthy, None when it was not seen to answer."""
        if worker.process.pid is None:
            return None
        problem = self.readings.answers.answers.get(worker.process.pid)
        unattributed = self.readings.answers.unattributed
        if problem is None and unattributed and not self.readings.answers.answers:
            # nobody knows which worker answers: then all are as good as the best answer
            return min(unattributed, key=len)
        return problem

    def _young(self, worker: Worker) -> bool:
        return (worker.age or 0.0) < self.settings.start_grace

    def _starting(self, worker: Worker) -> bool:
        """Young, and not because of a remedy: that has a grace of its own."""
        return not self.recovering and self._young(worker)

    @staticmethod
    def _is_coming(worker: Worker) -> bool:
        """PM2 is about to start it, or has not noticed yet that it ended."""
        return worker.process.status in _COMING or (worker.process.online and worker.age is None)

    def _is_own_stop(self, worker: Worker) -> bool:
        return is_own(self.own_stops, worker)

    @property
    def _left(self) -> list[Worker]:
        """Those that do not come back by themselves, and that no operator has stopped."""
        return [worker for worker in self.readings.workers if _is_given_up(worker) or self._is_own_stop(worker)]

    @property
    def _workers_start(self) -> Inhibition:
        return starting("the workers are starting", self.settings)

    @property
    def _crash_loop(self) -> bool:
        return self.readings.restarts >= self.settings.crash_loop_restarts

    def _workers(self) -> _Judged:
        online = self._online
        problems = {worker.number: self._problem(worker) for worker in online}
        serves = "" in problems.values()
        if not serves and (not online or (self._crash_loop and all(map(self._young, online)))):
            return self._none_runs(online)
        # one that has answered before is not starting any more, however young it is
        hung = [
            worker
            for worker in online
            if problems[worker.number] is None and (worker.has_answered or not self._starting(worker))
        ]
        unhealthy = [worker for worker in online if problems[worker.number] and not self._starting(worker)]
        if stopped := [worker for worker in hung if worker.process.pid in self.readings.stopped]:
            message = f"{_named(stopped)} was stopped by a signal (SIGSTOP)"
            found = self._of_single(Code.WORKER_HUNG, message, Remedy.KILL_WORKER, stopped, serves)
            # nothing else ends it, and nothing is risked by it: it does nothing
            return dataclasses.replace(found, escalation=(Remedy.KILL_WORKER,), certain=True), None
        if hung:
            # on a host that is overloaded those that do not wait for a processor are the ones that hang
            stuck = [worker for worker in hung if worker.process.pid not in self.readings.starved]
            return self._hung(stuck or hung, serves), None
        if unhealthy:
            message = f"{_named(unhealthy)}: {problems[unhealthy[0].number]}"
            return self._of_single(Code.UNHEALTHY, message, Remedy.RELOAD_WORKER, unhealthy, serves), None
        if not serves:
            return Condition(Code.NO_ANSWER, "no worker answers yet", _WHOLE_APP), self._workers_start
        return self._missing() or self._near_limit(online), None

    def _hung(self, hung: list[Worker], serves: bool) -> Condition:
        if self.readings.answers.refused:
            asked = self.settings.existing.url if self.settings.existing else self.settings.sockets
            message = f"nothing answers on {asked}: {self.readings.answers.failures[0].problem}"
            return Condition(Code.NO_ANSWER, message, _WHOLE_APP, _numbers(hung))
        limit = f"{self.settings.answer_timeout:g} s"
        message = f"{_named(hung)} did not answer within {limit}" + (" while others do" if serves else "")
        if strangers := self.readings.answers.strangers:
            message += f"; process {', '.join(map(str, strangers))} listens in its place"
        return self._of_single(Code.WORKER_HUNG, message, Remedy.KILL_WORKER, hung, serves)

    @staticmethod
    def _of_single(code: Code, message: str, mildest: Remedy, workers: list[Worker], serves: bool) -> Condition:
        """Of some workers, while others serve, or of all."""
        escalation = (mildest, Remedy.RESTART_WORKER) if serves else (mildest, *_WHOLE_APP)
        return Condition(code, message, escalation, _numbers(workers), "warning" if serves else "critical")

    def _none_runs(self, online: list[Worker]) -> _Judged:
        workers = self.readings.workers
        coming = [worker for worker in workers if self._is_coming(worker)]
        states = ", ".join(map(self._state_of, workers))
        if not online and not coming:
            escalation = (Remedy.RESTART_WORKER, *_WHOLE_APP)
            message = f"no worker runs (worker {states})"
            return Condition(Code.WORKER_MISSING, message, escalation, _numbers(self._left)), None
        condition = Condition(Code.NO_ANSWER, f"no worker answers (worker {states})", _WHOLE_APP)
        if self._crash_loop:
            return condition, Inhibition(Code.CRASH_LOOP, "PM2 starts the workers again and again, ever more slowly")
        return condition, None if self.recovering else self._workers_start

    def _state_of(self, worker: Worker) -> str:
        return f"{worker.number} {worker.process.status}{' by a recovery step' if self._is_own_stop(worker) else ''}"

    def _missing(self) -> Condition | None:
        """Fewer workers than planned, while others serve."""
        workers, left = self.readings.workers, self._left
        given_up = [worker for worker in left if _is_given_up(worker)]
        coming = [worker for worker in workers if self.recovering and self._is_coming(worker)]
        there, planned = len(workers), self.readings.planned or len(workers)
        if given_up or coming:
            message = f"{_named(given_up)} was given up by PM2" if given_up else f"{_named(coming)} is not there yet"
        elif left:
            message = f"{_named(left)} was stopped by a recovery step that did not start it again"
        elif there < planned:
            message = f"PM2 has {there} of {planned} workers"
        else:
            return None
        return Condition(Code.WORKER_MISSING, message, (Remedy.RESTART_WORKER,), _numbers(left), "warning")

    def _near_limit(self, online: list[Worker]) -> Condition | None:
        """One worker at a time, the largest first: the others must carry the load meanwhile.

        All of them are named: of two that grow alike now this one is the larger, now that one. None of those that a
        deployment has just started, and looks at: it would take the end of one for a failure.
        """
        if self.readings.deployment:
            return None
        near = [worker for worker in online if _is_near_limit(worker, self.settings) and not self._starting(worker)]
        if not near:
            return None
        near.sort(key=lambda worker: _limit_use(worker, self.settings).share, reverse=True)
        message = f"{_named(near)} near {_limit_use(near[0], self.settings)}"
        numbers = tuple(worker.number for worker in near)
        return Condition(Code.MEMORY_NEAR_LIMIT, message, (Remedy.RELOAD_WORKER,), numbers, "warning", at_once=1)


def _outer_inhibition(readings: Readings, settings: Settings, condition: Condition | None) -> Inhibition | None:
    """Why nothing may be done although something could."""
    if readings.changing:
        # the deployment itself may have stopped the only copy
        soon = condition and condition.severity == "critical" and not was_stopped(readings.pm2_unit)
        message = "a deployment, or another change of PM2's processes, is under way"
        return Inhibition(Code.DEPLOYMENT, message, reported_after=_SOON if soon else LONG_INHIBITION)
    if condition is None:
        return None
    if was_stopped(readings.pm2_unit) and not readings.unfinished:
        return stopped_unit(readings.pm2_unit)
    if overloaded := _overloaded(readings, condition):
        # then what is said of the database is that it was not asked in time
        return overloaded
    return _of_database(readings, condition) or _what_is_short(readings, settings)


def _of_database(readings: Readings, condition: Condition) -> Inhibition | None:
    """A server that is full refuses at once: what does not answer at all hangs for a reason of its own, and may be what
    holds all of its connections. Nor does a service that says that it gets none know whether it has them itself. And
    where a worker is healthy, what another one lacks is not the database; but for a lock, which takes one pool after
    the other.
    """
    contention, serves = readings.contention, "" in readings.answers.answers.values()
    held_up = condition.code == Code.UNHEALTHY or (condition.code in _FROM_DATABASE and not serves)
    if contention.elsewhere and held_up and not condition.certain:
        message = f"the service waits for a lock of its database: {contention.locked}"
        return Inhibition(Code.DATABASE_LOCKED, message, "critical", expires_after=_LONGEST_FULL)
    if condition.code in _FROM_DATABASE and not serves:
        if readings.database.down:
            return Inhibition(Code.DATABASE_DOWN, f"the database is the cause: {readings.database.down}", "critical")
        if not readings.database.known:
            message = "the processors are overloaded: the database, which may be the cause, can't be asked in time"
            return Inhibition(
                Code.CPU_SHORT, f"{message}. See what takes them.", "critical", expires_after=_LONGEST_UNKNOWN
            )
    full = contention.full or readings.database.full
    if full and condition.code == Code.UNHEALTHY:
        message = f"the database has no connection for it: {full}"
        return Inhibition(Code.DATABASE_FULL, message, "critical", expires_after=_LONGEST_FULL)
    return None


def _what_is_short(readings: Readings, settings: Settings) -> Inhibition | None:
    """Of what the host has, and a restart would only take more of."""
    free_mb = {path: room.free / MB for path, room in readings.room.items()}
    short = [f"{path} has {free:.0f} MB" for path, free in free_mb.items() if free < settings.disk_minimum]
    if short:
        message = f"the disk is full ({', '.join(short)} free): a restart would not cure that. Free some space."
        return Inhibition(Code.DISK_SHORT, message, "critical")
    own = any(_is_near_limit(worker, settings) for worker in readings.workers)
    if readings.memory_percent >= settings.host_memory_limit and not own:
        message = f"{readings.memory_percent:.0f} % of the host's memory is in use, and not by this service"
        return Inhibition(
            Code.MEMORY_SHORT, f"{message}: a restart would not cure that. Stop what takes it.", "critical"
        )
    return None


@dataclasses.dataclass(frozen=True, order=True)
class _Use:
    """How much of one of its limits a worker uses."""

    share: float = 0.0
    """In percent."""
    what: str = ""
    size: float = 0.0
    """Bytes."""
    limit: int = 0
    """MB."""

    def __str__(self) -> str:
        return f"the {self.what} of {self.limit} MB: {self.size / MB:.0f} MB, {self.share:.0f} %"


def _limit_use(worker: Worker, settings: Settings) -> _Use:
    """Of the limit that it will meet first: at one PM2 restarts it, at the other one Node.js aborts."""
    limits = (
        ("restart limit", worker.usage.rss, settings.memory_restart_mb),
        ("heap limit", worker.process.heap_used or 0, settings.heap_limit_mb),
    )
    return max(
        (_Use(100 * size / MB / limit, what, size, limit) for what, size, limit in limits if limit), default=_Use()
    )


def _is_near_limit(worker: Worker, settings: Settings) -> bool:
    return _limit_use(worker, settings).share >= settings.memory_reload


def _overloaded(readings: Readings, condition: Condition) -> Inhibition | None:
    """What is slow for want of a processor would take even more of them while it starts."""
    waited = _waited_for_a_processor(readings, condition)
    if not waited:
        return None
    message = f"the processors are overloaded: what does not answer waited for one for {waited:.0f} % of the time"
    return Inhibition(Code.CPU_SHORT, f"{message}. A restart would not cure that. See what takes them.", "critical")


def _waited_for_a_processor(readings: Readings, condition: Condition) -> float:
    """Percent of the time, by the one that waited least; 0 where it is no matter of that."""
    if condition.code not in _FROM_STARVATION:
        return 0.0
    numbers = condition.workers or [worker.number for worker in readings.workers]
    unhealthy = {worker.process.pid for worker in readings.workers if worker.number in numbers}
    if condition.code == Code.DAEMON_HUNG:
        unhealthy = {readings.daemon.pid}
    return min((share for pid, share in readings.starved.items() if pid in unhealthy), default=0.0)


def _surplus(readings: Readings, settings: Settings) -> list[Problem]:
    if not readings.surplus:
        return []
    unit = unit_of(settings.pm2_unit, readings.activation)
    message = (
        f"process {', '.join(map(str, readings.surplus))} serves, but PM2 has lost it from its list: nothing watches,"
        f" restarts or stops it. Restart {unit} when a short interruption suits."
    )
    return [Problem.of(SERVICE, Code.WORKER_SURPLUS, "warning", message, processes=list(readings.surplus))]


def _crash_loop(readings: Readings, settings: Settings) -> list[Problem]:
    if readings.restarts < settings.crash_loop_restarts:
        return []
    serves = "" in readings.answers.answers.values() or "" in readings.answers.unattributed
    message = (
        f"{readings.restarts} restarts of workers within {settings.crash_loop_window / 60:g} minutes."
        " Something ends them again and again: see the service's error log."
    )
    severity, window = "warning" if serves else "critical", settings.crash_loop_window
    return [Problem.of(SERVICE, Code.CRASH_LOOP, severity, message, restarts=readings.restarts, window=window)]


def _numbers(workers: Iterable[Worker]) -> tuple[int, ...]:
    return tuple(sorted(worker.number for worker in workers))


def _is_given_up(worker: Worker) -> bool:
    """By PM2."""
    return worker.process.status == "errored"


def _named(workers: Iterable[Worker]) -> str:
    found = sorted(workers, key=lambda worker: worker.number)
    names = ", ".join(f"{worker.number} (process {worker.process.pid or 'none'})" for worker in found)
    return f"worker{'s' if len(found) > 1 else ''} {names}"
