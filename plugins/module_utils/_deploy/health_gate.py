# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is every worker of an activation healthy, and does it stay so? PM2's `online` alone proves nothing."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._checks.health import problem_of, read_health
from .._checks.workers import ask_as
from .._host import proc
from .._host.command import Identity
from .._host.errors import StabilityError
from .._host.processor_time import processor_times
from .._net.http import Request
from .._pm2.bus import Bus
from .._pm2.client import Pm2Client
from .._pm2.errors import Pm2Error
from .._pm2.process import Pm2Process
from .._pm2.rpc import processes_of
from .._service.active import worker_socket

_POLL_SECONDS = 0.3
_GIVE_UP_RESTARTS = 3
_BAD_ANSWERS = 3
PROXY_SECONDS = 10.0
_PROXY_DELAY = 0.5
_CHECK_SECONDS = 1.0
# A worker that nothing has caught an error of is given up when it has neither listened nor worked for so long since.
# One that still loads its program works most of the time.
_SILENT_SECONDS = 5.0
_WORKING_SHARE = 0.2
_OWN_WORKERS = (
    "A program that forks workers of its own needs pm2_exec_mode: fork and service_instances: 1, and its first process"
    " has to listen, as the primary of node:cluster does. Better, have it fork none: PM2 runs service_instances of it"
)


class GateError(StabilityError):
    """The activation is not healthy; the message says which worker and what it answered."""


class WorkerFailedError(GateError):
    """A worker has ended, or can't come up any more; the message has its own first error."""


@dataclass(frozen=True)
class Health:
    """How health is asked for. Times are in seconds."""

    path: str
    answer_timeout: float
    start_timeout: float
    """Within this every worker must have answered healthily."""
    stay_up: float
    """For so long after that all must go on doing so, without a restart."""
    proxy_url: str = ""
    proxy_headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Health:
        """From the options of a module."""
        return cls(
            path=options["health_path"],
            answer_timeout=options["health_timeout"],
            start_timeout=options["start_timeout"],
            stay_up=options["stay_up"],
            proxy_url=options["proxy_url"],
            proxy_headers={name: str(value) for name, value in options["proxy_headers"].items()},
        )


class Workers:
    """The workers of one app, each asked on its own socket."""

    def __init__(
        self,
        client: Pm2Client,
        *,
        app: str,
        instances: int,
        sockets: Path,
        health: Health,
        user: Identity | None,
        restarts: Mapping[int, int],
        bus: Bus | None = None,
    ) -> None:
        self._instances = instances
        self._client = client
        self._app = app
        self._sockets = sockets
        """The directory that has them by the instance's number."""
        self._health = health
        self._user = user
        self._restarts_before = restarts
        """By PM2's number: restarts that it had counted before this began."""
        self._bus = bus or Bus(client)
        """What was heard of them; nothing where nobody listened."""
        self._unreached: set[int] = set()
        """Process ids of those that nothing could be asked of: they do not listen."""
        self._silent: dict[int, tuple[float, float]] = {}
        """By process id: since when it does not work, by the monotonic clock, and the processor's time it had used."""
        self._answers: dict[int | None, str] = {}
        """By process id: what is wrong with its last answer, "" when it was healthy."""
        self._seen: list[Pm2Process] = []
        """The workers when each of them was healthy."""
        self._bad: Counter[int] = Counter()
        """By PM2's number: how many of its last answers in a row were not healthy."""

    def wait_until_healthy(self, deadline: float) -> list[Pm2Process]:
        """The workers, once each has answered healthily. Raises GateError at the deadline (monotonic), or earlier."""
        while True:
            processes = self._processes()
            online = self._probe(processes)
            if len(online) == self._instances and all(self._answers[process.pid] == "" for process in online):
                self._seen = processes
                return processes
            if time.monotonic() > deadline:
                raise GateError(f"within {self._health.start_timeout:g} s {self._describe(processes)}")
            time.sleep(_POLL_SECONDS)

    def watch_start(self) -> None:
        """The same, once, while the daemon may not be there yet. Raises WorkerFailedError."""
        with contextlib.suppress(Pm2Error):
            self._probe(self._processes())

    def _probe(self, processes: list[Pm2Process]) -> list[Pm2Process]:
        """Those that run, each of which was asked, unless it has answered healthily."""
        self._require_none_failed(processes)
        online = [process for process in processes if process.online]
        for process in online:
            if self._answers.get(process.pid) != "":
                self._answers[process.pid] = self._ask(process)
        return online

    def stay_healthy(self) -> None:
        """Return when all have gone on for stay_up seconds. Raises GateError."""
        deadline = time.monotonic() + self._health.stay_up
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(_CHECK_SECONDS, left))
            self.require_alive()
        bad = {process.pid: problem for process in self._seen if (problem := self._ask(process))}
        self.require_same()
        if bad:
            said = "; ".join(f"process {pid}: {answer}" for pid, answer in bad.items())
            raise GateError(f"healthy at first, but not {self._health.stay_up:g} s later: {said}")

    def require_same(self) -> None:
        """Raise GateError unless the very processes that were healthy still run."""
        now = {process.pm_id: (process.pid, process.restarts) for process in self._processes()}
        self._require_none_gone(lambda seen: now.get(seen.pm_id) == (seen.pid, seen.restarts))

    def require_alive(self) -> None:
        """The same without asking PM2, and with a question to each: cheap enough to be repeated every second."""
        self.require_there()
        for process in self._seen:
            problem = self._ask(process)
            self._bad[process.pm_id] = self._bad[process.pm_id] + 1 if problem else 0
            if self._bad[process.pm_id] >= _BAD_ANSWERS:
                raise GateError(f"{_BAD_ANSWERS} answers in a row of process {process.pid} were not healthy: {problem}")

    def require_there(self) -> None:
        """The same without a question: whom Nginx sends requests to is not to be dead for longer than a moment."""
        self._require_none_gone(lambda seen: bool(seen.pid and proc.lives(seen.pid)))

    def _require_none_gone(self, there: Callable[[Pm2Process], bool]) -> None:
        if gone := [f"process {process.pid}" for process in self._seen if not there(process)]:
            raise GateError(f"{', '.join(gone)} ended after it had been healthy")

    def _processes(self) -> list[Pm2Process]:
        return [process for process in processes_of(self._client) if process.name == self._app]

    def _require_none_failed(self, processes: list[Pm2Process]) -> None:
        for process in processes:
            restarts = process.restarts - self._restarts_before.get(process.pm_id, 0)
            if process.dead or restarts >= _GIVE_UP_RESTARTS:
                raise WorkerFailedError(self._how_it_ended(process, restarts))
            if process.pm_id in self._bus.thrown and process.pid and self._is_silent(process.pid):
                raise WorkerFailedError(
                    f"worker {process.pm_id} (process {process.pid}) does not listen after an uncaught error:"
                    f" {self._bus.error()}"
                )

    def _how_it_ended(self, process: Pm2Process, restarts: int) -> str:
        times = restarts + process.dead
        how = self._bus.ends.get(process.pm_id, "")
        if process.pm_id in self._bus.thrown:
            # PM2 ends it with status 0
            how = "an uncaught error"
        text = f"worker {process.pm_id} ended {'once' if times == 1 else f'{times} times'}"
        parts = (f"{text} with {how}" if how else text, self._bus.error())
        return ": ".join(filter(None, parts))

    def _is_silent(self, pid: int) -> bool:
        """Whether it has listened nowhere for a while, and has hardly run."""
        used = times[pid].used if (times := processor_times([pid])) else 0.0
        now = time.monotonic()
        since, before = self._silent.setdefault(pid, (now, used))
        if pid not in self._unreached or used - before > _WORKING_SHARE * _SILENT_SECONDS:
            self._silent[pid] = (now, used)
            return False
        return now - since > _SILENT_SECONDS

    def _ask(self, process: Pm2Process) -> str:
        """What is wrong with the worker's answer; "" when it is healthy."""
        socket = str(worker_socket(self._sockets, process.instance))
        request = Request(url=self._health.path, unix_socket=socket, timeout=self._health.answer_timeout)
        try:
            answer = ask_as(self._user, request)
        except OSError as error:
            self._unreached.add(process.pid or 0)
            return f"nothing answers on {socket}: {error.strerror or error}"
        self._unreached.discard(process.pid or 0)
        if answer.pid not in (process.pid, None):
            return self._foreign(socket, answer.pid, process)
        return problem_of(answer.reading)

    def _foreign(self, socket: str, pid: int, process: Pm2Process) -> str:
        if not (found := proc.stat(pid)) or found.parent != process.pid:
            return f"{socket} is another process's, {pid}"
        return f"process {pid}, which it has started, listens on {socket}. {_OWN_WORKERS}"

    def _describe(self, processes: list[Pm2Process]) -> str:
        """Which worker is not healthy, in words."""
        lines = []
        if len(processes) != self._instances:
            lines.append(f"{len(processes)} of {self._instances} workers are there")
        for process in processes:
            if not process.online:
                restarts = f" after {process.restarts} restarts" if process.restarts else ""
                lines.append(f"worker {process.pm_id} is {process.status}{restarts}")
            elif answer := self._answers.get(process.pid):
                lines.append(f"worker {process.pm_id} (process {process.pid}): {answer}")
        return "; ".join(lines)


def ask_proxy(health: Health, seconds: float) -> str:
    """What is wrong with the answer through the proxy, asked until it is healthy or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        reading = read_health(
            Request(url=health.proxy_url, headers=health.proxy_headers, timeout=health.answer_timeout)
        )
        problem = problem_of(reading)
        if not problem or time.monotonic() > deadline:
            return problem
        time.sleep(_PROXY_DELAY)
