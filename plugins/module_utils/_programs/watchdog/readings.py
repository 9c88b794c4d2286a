# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what the watchdog judges: PM2, every worker's answer, the proxy, memory, disk, locks, units. Judges nothing.

Each reader has a time limit. What costs (systemctl, the database) is read only when something is unhealthy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from ..._checks.external_service import read_existing
from ..._checks.workers import ask_each, ask_workers
from ..._host import proc
from ..._host.later import later
from ..._host.lock import is_locked, lock_table
from ..._host.processes import load_library
from ..._host.processor_time import processor_times
from ..._host.units import LOOK_SECONDS, UnitError, unit_states
from ..._pm2.client import Pm2Client
from ..._pm2.ecosystem import declared_instances
from ..._pm2.process import Pm2Process
from ..._pm2.rpc import WELL, DaemonReading, read_daemon
from ..._service import deployments
from ..._service.active import active_activation, is_unfinished, unit_of, worker_socket
from ..._service.deployments import Deployed
from .answers import Answered, WorkersReading
from .contention import Contention, ContentionReader
from .diagnosis import NOT_KNOWN, DatabaseAnswer, ask_database
from .proxy import Verdict
from .proxy_reader import ProxyReader
from .settings import Settings
from .starvation import StarvationWatch
from .trackers import RestartCounter, Surplus
from .usage import OwnCost, Room, Usage, own_cost, room, size_of, usage_of

_RPC_SECONDS = 2.0
_USAGE_SECONDS = 15.0
_DATABASE_SECONDS = 10.0
_WAIT_SECONDS = 6.0
# So long an answer counts that can't be had again: that the database is down, and that it is well.
_DOWN_SECONDS, _WELL_SECONDS = 300.0, 20.0
# What is continued sooner was not stopped to stay so.
_STOPPED_SECONDS = 0.8
# So many times the time for an answer may a process use of a processor without one, while processors are short.
_STARVED_PATIENCE = 3
# It starts all processes once more: where that does not help, it will not a minute later.
_RENEWAL_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Worker:
    """One process of the active app as PM2 lists it."""

    process: Pm2Process
    age: float | None
    """Seconds since the operating system process was started; None where there is none."""
    started: float | None
    """The same as seconds since boot: with the process id it names one process for ever."""
    has_answered: bool
    """Whether this very process has ever been seen to answer."""
    usage: Usage = dataclasses.field(default_factory=Usage)

    @property
    def number(self) -> int:
        return self.process.pm_id


@dataclasses.dataclass(frozen=True)
class Readings:
    now: float
    activation: str | None
    daemon: DaemonReading
    workers: tuple[Worker, ...]
    planned: int
    """As many workers are declared of what is active; 0: not known."""
    answers: WorkersReading
    restarts: int
    """Of all workers within the window."""
    surplus: tuple[int, ...]
    """Processes of the service that PM2 has lost from its list."""
    changing: bool
    """Whether somebody changes PM2's processes, or stops or exchanges what is active, at this moment."""
    proxy: Answered | None
    memory_percent: float
    memory_total: int
    memory_available: int
    """Bytes, of the host."""
    room: Mapping[str, Room]
    """Where the service writes, by path."""
    daemon_unhealthy_for: float = 0.0
    """Seconds since the daemon was healthy."""
    daemon_mb: int = 0
    """Its RSS; 0 while unknown."""
    renewable: bool = False
    """Whether another activation of the same release may be asked for, to take the place of this one."""
    pm2_unit: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What systemd says; empty where it was not asked, since all is healthy."""
    unfinished: bool = False
    """Whether a deployment was killed, perhaps when it had stopped what is active."""
    proxy_unit: Mapping[str, str] = dataclasses.field(default_factory=dict)
    proxy_test: Verdict | None = None
    """What root sees of Nginx, where that does not answer or has no main process, and can be asked."""
    stopped: frozenset[int] = frozenset()
    """Processes that a signal has stopped, now and a moment ago."""
    starved: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Processes that did not answer and waited for a processor most of that time: for how many percent of it."""
    seconds: float = 0.0
    """So long the probe took."""
    database: DatabaseAnswer = dataclasses.field(default_factory=DatabaseAnswer)
    contention: Contention = dataclasses.field(default_factory=Contention)
    log_bytes: int | None = None
    """What the service's log directory holds."""
    deployment: bool = False
    """Whether a deployment is under way, which for most of its time only prepares what takes the place of this one."""
    deployed: Mapping[str, Deployed] = dataclasses.field(default_factory=dict)
    """By result: the last deployment that ended so."""
    own: OwnCost = dataclasses.field(default_factory=OwnCost)


class Reader:
    """Keeps between probes what shows only against what was there before."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.restarts = RestartCounter(settings.crash_loop_window)
        self._client: Pm2Client = settings.client
        self.surplus = Surplus(self._client)
        self._answered: set[tuple[int | None, float | None]] = set()
        self._usage: dict[int, Usage] = {}
        self._log_bytes: int | None = None
        self._deployed: Mapping[str, Deployed] = {}
        self._usage_at = -_USAGE_SECONDS
        self._daemon_healthy_at: float | None = None
        self._database = DatabaseReader(settings)
        self._contention = ContentionReader(settings.diagnose_config if settings.database else "")
        self._proxy = ProxyReader(settings)
        self._daemon_pid: int | None = None
        self._activation: str | None = None
        self._starvation = StarvationWatch(_STARVED_PATIENCE * settings.answer_timeout)
        self._known: tuple[tuple[int, float], ...] = ()
        self._stopped: dict[int, float] = {}
        self._renewed_at = -_RENEWAL_SECONDS

    def note_renewal(self, now: float) -> None:
        """Another activation was asked for."""
        self._renewed_at = now

    def read(self, now: float, suspect: bool = False) -> Readings:
        """One probe; `now` is in seconds since boot. `suspect`: the last one found the service unhealthy."""
        if suspect:
            self._database.begin(now)
        begun = time.monotonic()
        self._measure_again(now)
        self._proxy.begin()
        times = processor_times([self._daemon_pid] if self._daemon_pid else [])
        activation, daemon = self._read_service()
        self._activation = activation
        self._daemon_pid = daemon.pid
        if daemon.state == WELL or self._daemon_healthy_at is None:
            self._daemon_healthy_at = now
        processes = self._of_service(daemon.processes)
        active = [process for process in processes if activation and process.name == self.settings.app_of(activation)]
        times |= processor_times(process.pid for process in active if process.pid)
        stopped = self.glance()
        # what is stopped is not waited for, also at the first look: none answers before it is continued
        answers = self._ask_workers(process for process in active if process.pid not in self._stopped)
        answered = {*answers.answers, *([daemon.pid] if daemon.pid and daemon.state == WELL else [])}
        workers = tuple(self._worker(process, answers, now) for process in active)
        self._answered = {(worker.process.pid, worker.started) for worker in workers if worker.has_answered}
        self._known = tuple((item.process.pid, item.started) for item in workers if item.process.pid and item.started)
        memory = load_library("psutil", "python3-psutil").virtual_memory()
        locks = lock_table()
        changing, deployment = self._is_changing(locks), is_locked(locks, [Path(self.settings.deploy_lock)])
        readings = Readings(
            now=now,
            activation=activation,
            daemon=daemon,
            workers=workers,
            planned=self._planned(activation),
            answers=answers,
            restarts=self.restarts.note(processes, now, daemon=daemon.pid, changing=changing),
            surplus=() if self.settings.existing else self.surplus.probe(daemon, now),
            changing=changing,
            deployment=deployment,
            proxy=self._proxy.answer(),
            memory_percent=float(memory.percent),
            memory_total=memory.total,
            memory_available=memory.available,
            room=room(filter(None, [self._written_to, self.settings.log_directory])),
            daemon_unhealthy_for=now - self._daemon_healthy_at,
            daemon_mb=proc.resident_mb(daemon.pid) if daemon.pid else 0,
            # a deployment makes one
            renewable=not self.settings.existing and not deployment and now - self._renewed_at >= _RENEWAL_SECONDS,
            stopped=stopped,
            starved=self._starvation.starved(times, processor_times(times), answered),
            log_bytes=self._log_bytes,
            deployed=self._deployed,
            contention=self._contention.read(now, runs=bool(answered)),
            own=own_cost(),
        )
        closer = self._investigate(readings, suspect)
        return dataclasses.replace(closer, seconds=time.monotonic() - begun)

    def glance(self) -> frozenset[int]:
        """The workers of the last probe that a signal has stopped, at this glance and at one a moment ago.

        Cheap enough to be done between probes: what such a one was handed waits until it is killed.
        """
        now = time.monotonic()
        self._stopped = {pid: self._stopped.get(pid, now) for pid, started in self._known if is_stopped(pid, started)}
        return frozenset(pid for pid, since in self._stopped.items() if now - since >= _STOPPED_SECONDS)

    def has_switched(self) -> bool:
        """Whether another activation is active than at the last probe."""
        return not self.settings.existing and active_activation(self.settings.sockets) != self._activation

    def _is_changing(self, locks: str) -> bool:
        """Whether somebody changes PM2's processes, or what is active, at this moment."""
        home = [Path(self.settings.pm2_home)] if self.settings.pm2_home else []
        return is_locked(locks, [self.settings.process_lock, *home])

    def _read_service(self) -> tuple[str | None, DaemonReading]:
        """What is active, and what runs it."""
        timeout, existing = min(_RPC_SECONDS, self.settings.answer_timeout), self.settings.existing
        if not existing:
            return active_activation(self.settings.sockets), read_daemon(self._client, timeout)
        daemon = read_existing(existing, self._client, timeout)
        return next((process.name for process in daemon.processes), existing.app), daemon

    def _planned(self, activation: str | None) -> int:
        """Return what the file says that the active one was started from: the next one may have another number."""
        if self.settings.existing:
            return self.settings.existing.instances
        return declared_instances(Path(self.settings.ecosystem_file), self.settings.app_of(activation or ""))

    def _of_service(self, processes: Iterable[Pm2Process]) -> list[Pm2Process]:
        if self.settings.existing:
            return list(processes)
        return [process for process in processes if process.name.startswith(f"{self.settings.service}-")]

    @property
    def _written_to(self) -> str:
        """What else PM2, or the service, writes to; the home of a PM2 of these roles is in memory."""
        return self.settings.pm2_home if self.settings.existing else str(self._deploys_to)

    @property
    def _deploys_to(self) -> Path:
        return Path(self.settings.deploy_lock).parent

    def _ask_workers(self, processes: Iterable[Pm2Process]) -> WorkersReading:
        settings = self.settings
        online = [process for process in processes if process.online]
        asked = {process.pid: process.instance for process in online if process.pid and started_at(process.pid)}
        if not asked:
            return WorkersReading({})
        if settings.existing:
            responses = ask_workers(settings.existing.url, asked, settings.answer_timeout)
        else:
            sockets = [worker_socket(settings.sockets, instance) for instance in asked.values()]
            responses = ask_each(sockets, settings.health_path, settings.answer_timeout)
        return WorkersReading.of(responses, asked)

    def _worker(self, process: Pm2Process, answers: WorkersReading, now: float) -> Worker:
        started = started_at(process.pid) if process.pid else None
        if process.pid is None or started is None:
            return Worker(process, None, None, False)
        answered = process.pid in answers.answers or (process.pid, started) in self._answered
        return Worker(process, max(0.0, now - started), started, answered, self._usage_of(process.pid))

    def _measure_again(self, now: float) -> None:
        """After a while: it costs more than all the rest."""
        if now - self._usage_at >= _USAGE_SECONDS:
            self._usage, self._usage_at = {}, now
            self._log_bytes = size_of(self.settings.log_directory)
            self._deployed = {one.result: one for one in deployments.read(self._deploys_to)}

    def _usage_of(self, pid: int) -> Usage:
        if pid not in self._usage:
            self._usage[pid] = usage_of(pid)
        return self._usage[pid]

    def _investigate(self, readings: Readings, suspect: bool) -> Readings:
        """Of what seems to be unhealthy: is it meant to be so, and is the cause elsewhere?"""
        settings = self.settings
        units = []
        # while it is being stopped PM2 may answer for a long time
        unit = unit_of(settings.pm2_unit, readings.activation)
        if (readings.daemon.state != WELL or suspect) and unit:
            units.append(unit)
        if self._proxy.is_suspect:
            units.append(settings.proxy_unit)
        states: Mapping[str, Mapping[str, str]] = {}
        if units:
            # systemd may be unable to answer
            with contextlib.suppress(UnitError):
                states = unit_states(units, LOOK_SECONDS)
        return dataclasses.replace(
            readings,
            pm2_unit=states.get(unit, {}),
            unfinished=unit in units
            and not (settings.existing or readings.deployment)
            and is_unfinished(settings.sockets),
            proxy_unit=states.get(settings.proxy_unit, {}),
            proxy_test=self._proxy.test() if self._proxy.is_suspect else None,
            database=self._database.result(readings.now) if suspect else DatabaseAnswer(),
        )


class DatabaseReader:
    """Asks for the database at the side, while the workers of an unhealthy service are asked: it takes as long.

    Where the host is too busy to ask it in time, what was known a short time ago counts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun_at = -_DATABASE_SECONDS
        self._answer: Future[DatabaseAnswer] | None = None
        self._known = DatabaseAnswer()
        self._known_until = 0.0

    def begin(self, now: float) -> None:
        due = self._settings.database and now - self._begun_at >= _DATABASE_SECONDS
        if due and (self._answer is None or self._answer.done()):
            self._begun_at = now
            self._answer = later("database", ask_database, self._settings.diagnose_command)

    def result(self, now: float) -> DatabaseAnswer:
        """Waits no longer than an answer takes where there are processors enough."""
        if self._answer is None:
            return DatabaseAnswer()
        with contextlib.suppress(TimeoutError):
            answer = self._answer.result(_WAIT_SECONDS)
            if answer.known:
                seconds = _WELL_SECONDS if answer == DatabaseAnswer() else _DOWN_SECONDS
                self._known, self._known_until = answer, self._begun_at + seconds
                return answer
        return self._known if now < self._known_until else NOT_KNOWN


def started_at(pid: int) -> float | None:
    """Start of a process in seconds since boot, which no setting of the clock changes; None when it is gone."""
    found = proc.stat(pid)
    return found.started if found and found.state != "Z" else None


def is_stopped(pid: int, started: float) -> bool:
    """Whether a signal has stopped that very process."""
    found = proc.stat(pid)
    return found is not None and (found.state, found.started) == ("T", started)
