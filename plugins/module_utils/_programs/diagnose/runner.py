# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs checks side by side, each within its own time: one that hangs or fails is a finding, not a crash."""

from __future__ import annotations

import dataclasses
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from functools import cached_property
from typing import Any

from ..._checks.external_service import PM2, Existing, read_existing
from ..._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, FallingThresholds, Finding, Levels, Thresholds
from ..._checks.health import HealthReading
from ..._checks.workers import REFUSED, WorkerAnswer, ask_each, ask_workers
from ..._host.later import later
from ..._host.processes import MissingLibraryError, ProcessError
from ..._host.processor_time import MOST_OF_THE_TIME, OwnWaiting
from ..._host.units import UnitError
from ..._pm2.client import Pm2Client, restart_advice
from ..._pm2.errors import Pm2Error, Pm2TimeoutError
from ..._pm2.process import Pm2Process
from ..._pm2.rpc import WELL, read_daemon
from ..._postgresql.client import MissingDriverError
from ..._service.active import worker_socket
from .samples import Samples

# Less than the check's own time, so that what did not answer is named.
_PM2_SHARE = 0.75
# Seconds between looks at how long this process has waited for a processor.
_LOOK = 0.1


@dataclasses.dataclass
class Context:
    """What all checks share: the configuration, earlier samples, and readings that more than one check needs."""

    config: Mapping[str, Any]
    samples: Samples
    now: float = dataclasses.field(default_factory=time.time)
    _pm2_lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    _health_lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def section(self, name: str) -> Mapping[str, Any]:
        """One part of the configuration. Raises KeyError."""
        section: Mapping[str, Any] = self.config[name]
        return section

    @property
    def timeout(self) -> float:
        """How many seconds each check has. Raises KeyError."""
        return float(self.config["timeout_ms"]) / 1000

    @property
    def http_timeout(self) -> float:
        """In how many seconds the service has to answer. Raises KeyError."""
        return float(self.section("health")["http_timeout_ms"]) / 1000

    def levels(self, **names: str) -> Levels:
        """Thresholds of the configuration, under the names that a judge has for them. Raises KeyError."""
        return {name: self.config["thresholds"][configured] for name, configured in names.items()}

    def thresholds(self, name: str) -> Thresholds:
        return Thresholds.of(self.config["thresholds"], name)

    def falling_thresholds(self, name: str) -> FallingThresholds:
        return FallingThresholds.of(self.config["thresholds"], name)

    @property
    def existing(self) -> Existing | None:
        """The service, where it runs under something else than the roles."""
        return Existing.of(self.config.get("existing") or {})

    @property
    def _client(self) -> Pm2Client:
        section = self.section("pm2")
        return Pm2Client.below(section["bin"], section["home"], self.timeout)

    @property
    def daemon(self) -> int:
        """The process of the PM2 that runs the service; 0 where none does, which the check processes says."""
        existing = self.existing
        return 0 if existing and existing.supervisor != PM2 else self._client.daemon_pid() or 0

    def pm2(self) -> list[Pm2Process]:
        """The service's processes in PM2, read once however many checks ask. Raises Pm2Error."""
        with self._pm2_lock:
            processes, error = self._pm2_once
        if error is not None:
            raise error
        return processes

    def answers(self) -> list[WorkerAnswer]:
        """What the workers of the active activation answer, asked once however many checks want it."""
        with self._health_lock:
            return self._answers_once

    def health(self) -> list[HealthReading]:
        """The same without whom it is from."""
        return [answer.reading for answer in self.answers()]

    @cached_property
    def _answers_once(self) -> list[WorkerAnswer]:
        timeout = self.http_timeout
        if existing := self.existing:
            pids = [process.pid for process in self._pm2_once[0] if process.online and process.pid]
            return ask_workers(existing.url, pids, timeout, max(1, existing.instances))
        numbers = range(int(self.section("pm2")["instances"]))
        sockets = [worker_socket(self.section("release")["active"], number) for number in numbers]
        answers = ask_each(sockets, self.section("health")["path"], timeout)
        # one that is being restarted refuses; that it is there and does not listen, the check event_loop says
        return [answer for answer in answers if answer.kind != REFUSED] or answers

    @cached_property
    def _pm2_once(self) -> tuple[list[Pm2Process], Pm2Error | None]:
        prefix, client = self.section("pm2")["prefix"], self._client
        try:
            found = _processes(self.existing, client, _PM2_SHARE * client.timeout)
        except Pm2Error as error:
            return [], error
        return [process for process in found if self.existing or process.name.startswith(prefix)], None


def _processes(existing: Existing | None, client: Pm2Client, timeout: float) -> tuple[Pm2Process, ...]:
    """Asked over PM2's socket: `pm2 jlist` starts a Node.js, which a busy host has no time for.

    Raises Pm2Error where they are not known.
    """
    if existing:
        reading = read_existing(existing, client, timeout)
        if reading.state != WELL and existing.supervisor != PM2:
            raise Pm2Error(reading.message)
    else:
        client.require_daemon()
        reading = read_daemon(client, timeout)
    if reading.state != WELL:
        advice = restart_advice(reading.pid) if reading.pid else "start the systemd unit that owns it"
        raise (Pm2TimeoutError if reading.timed_out else Pm2Error)(f"{reading.message}; {advice}")
    return reading.processes


Check = Callable[[Context], list[Finding]]


def run_checks(checks: Mapping[str, Check], context: Context) -> list[Finding]:
    """Run all checks at once; each gets the configured time (seconds), from now on.

    What took too long while other programs had the processors is not known: it may hang, or have had no time to answer.
    """
    deadline, own = time.monotonic() + context.timeout, OwnWaiting()
    runs = {name: later(name, _run, check, context, own) for name, check in checks.items()}
    starved: dict[str, float] = {}
    while waiting := runs.keys() - starved.keys():
        left = deadline - time.monotonic()
        wait([runs[name] for name in waiting], max(0.0, min(left, _LOOK)))
        share = own.share() if own.starved() else 0.0
        starved |= {name: share for name in waiting if left <= 0 or runs[name].done()}
    findings = [_known(finding, starved[name]) for name, run in runs.items() for finding in _findings(name, run)]
    if all(finding.status != UNKNOWN for finding in findings):
        return findings
    return [*findings, _busy(max(starved.values()))]


def _run(check: Check, context: Context, own: OwnWaiting) -> list[Finding]:
    try:
        return check(context)
    finally:
        own.leave()


def _known(finding: Finding, starved: float) -> Finding:
    if not (starved and finding.timed and finding.status != OK):
        return finding
    message = f"{finding.check} is not known: the host was too busy to ask in time. See the check processors."
    return Finding(finding.check, UNKNOWN, message)


def _busy(share: float) -> Finding:
    percent = round(100 * share)
    message = f"other programs take the processors: {percent} % of the time this diagnosis waited for one"
    advice = "See `top` for which: end them or have them run elsewhere, or give the host more processors."
    return Finding("processors", WARNING, f"{message}. {advice}", percent, round(100 * MOST_OF_THE_TIME), "%")


def _findings(name: str, run: Future[list[Finding]]) -> list[Finding]:
    if not run.done():
        message = f"the check {name} did not finish in time: what it asks hangs. Look at that part by hand."
        return [Finding(name, CRITICAL, message, timed=True)]
    try:
        return run.result()
    except (Pm2Error, ProcessError, UnitError, MissingLibraryError, MissingDriverError) as error:
        timed = isinstance(error, Pm2TimeoutError) or isinstance(error.__cause__, subprocess.TimeoutExpired)
        return [Finding(name, CRITICAL, str(error), timed=timed)]
    except Exception as error:
        # Whatever breaks one check, the others are still wanted. Only the error's kind is shown: the text of an
        # unforeseen error might quote what was being read.
        message = f"the check itself failed ({type(error).__name__}); run it alone with --check {name}"
        return [Finding(name, CRITICAL, message)]
