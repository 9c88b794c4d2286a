# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is every worker of an activation healthy, and does it stay so? PM2's `online` alone proves nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .._checks.health import problem_of, read_health
from .._checks.workers import ask_as
from .._host import proc
from .._host.command import Identity
from .._host.errors import StabilityError
from .._net.http import Request
from .._pm2.client import Pm2Client
from .._pm2.process import Pm2Process

_POLL_SECONDS = 0.3
_GIVE_UP_RESTARTS = 3
_BAD_ANSWERS = 3
PROXY_SECONDS = 10.0
_PROXY_DELAY = 0.5
_CHECK_SECONDS = 1.0
# stands for a process id where no worker took the connection
_NOBODY = 0


class GateError(StabilityError):
    """The activation is not healthy; the message says which worker and what it answered."""


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


class Workers:
    """The workers of one app, asked one by one: the kernel tells which of them an answer came from."""

    def __init__(
        self,
        client: Pm2Client,
        *,
        app: str,
        instances: int,
        path: Path,
        health: Health,
        user: Identity | None,
        restarts: Mapping[int, int],
    ) -> None:
        self._client = client
        self._app = app
        self._instances = instances
        self._socket = path
        self._health = health
        self._user = user
        self._restarts_before = restarts
        """By PM2's number: restarts that it had counted before this began."""
        self._answers: dict[int, str] = {}
        """By process id: what is wrong with its last answer, "" when it was healthy."""
        self._seen: dict[int, tuple[int | None, int]] = {}
        """By PM2's number: process id and restarts when every worker was healthy."""
        self._bad = 0

    def wait_until_healthy(self, deadline: float) -> list[Pm2Process]:
        """The workers, once each has answered healthily. Raises GateError at the deadline (monotonic), or earlier."""
        while True:
            processes = self._processes()
            self._require_no_crash_loop(processes)
            pids = [process.pid for process in processes if process.status == "online" and process.pid]
            if pids:
                self._ask_round(pids)
            if len(pids) == self._instances and all(self._answers.get(pid) == "" for pid in pids):
                self._seen = {process.pm_id: (process.pid, process.restarts) for process in processes}
                return processes
            if time.monotonic() > deadline:
                raise GateError(f"within {self._health.start_timeout:g} s {self._describe(processes)}")
            time.sleep(_POLL_SECONDS)

    def stay_healthy(self) -> None:
        """Return when all have gone on for stay_up seconds. Raises GateError."""
        deadline = time.monotonic() + self._health.stay_up
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(_CHECK_SECONDS, left))
            self.require_alive()
        self._answers.clear()
        self._ask_round([pid for pid, _restarts in self._seen.values() if pid])
        self.require_same()
        bad = {pid: answer for pid, answer in self._answers.items() if answer}
        if bad:
            said = "; ".join(f"process {pid}: {answer}" for pid, answer in bad.items())
            raise GateError(f"healthy at first, but not {self._health.stay_up:g} s later: {said}")

    def require_same(self) -> None:
        """Raise GateError unless the very processes that were healthy still run."""
        now = {process.pm_id: (process.pid, process.restarts) for process in self._processes()}
        gone = [f"process {seen[0]}" for number, seen in self._seen.items() if now.get(number) != seen]
        if gone:
            raise GateError(f"{', '.join(gone)} ended after it had been healthy")

    def require_alive(self) -> None:
        """The same without asking PM2, and with a question to some worker: cheap enough to be repeated every second."""
        gone = [pid for pid, _restarts in self._seen.values() if not (pid and proc.lives(pid))]
        if gone:
            raise GateError(f"process {', '.join(map(str, gone))} ended after it had been healthy")
        _pid, problem = self._ask(())
        self._bad = self._bad + 1 if problem else 0
        if self._bad >= _BAD_ANSWERS:
            raise GateError(f"{self._bad} answers in a row were not healthy: {problem}")

    def _processes(self) -> list[Pm2Process]:
        return [process for process in self._client.processes() if process.name == self._app]

    def _require_no_crash_loop(self, processes: list[Pm2Process]) -> None:
        for process in processes:
            restarts = process.restarts - self._restarts_before.get(process.pm_id, 0)
            if process.dead or restarts >= _GIVE_UP_RESTARTS:
                raise GateError(f"worker {process.pm_id} does not stay up: {process.status} after {restarts} restarts")

    def _ask_round(self, pids: list[int]) -> None:
        """Ask until every worker has answered, at most twice as often as there are workers."""
        for _question in range(2 * len(pids)):
            if all(self._answers.get(pid) == "" for pid in pids):
                return
            pid, problem = self._ask(pids)
            if pid is not None or problem:
                self._answers[pid or _NOBODY] = problem

    def _ask(self, pids: Collection[int]) -> tuple[int | None, str]:
        """One question: the worker that took the connection, if one of these did, and what is wrong with its answer."""
        request = Request(url=self._health.path, unix_socket=str(self._socket), timeout=self._health.answer_timeout)
        try:
            answer = ask_as(self._user, request, pids)
        except OSError as error:
            return None, f"nothing answers on {self._socket}: {error.strerror or error}"
        return answer.pid, problem_of(answer.reading)

    def _describe(self, processes: list[Pm2Process]) -> str:
        """Which worker is not healthy, in words."""
        lines = []
        if len(processes) != self._instances:
            lines.append(f"{len(processes)} of {self._instances} workers are there")
        for process in processes:
            answer = self._answers.get(process.pid or _NOBODY)
            if process.status != "online":
                restarts = f" after {process.restarts} restarts" if process.restarts else ""
                lines.append(f"worker {process.pm_id} is {process.status}{restarts}")
            elif answer is None or not process.pid:
                lines.append(f"worker {process.pm_id} (process {process.pid}) never answered")
            elif answer:
                lines.append(f"worker {process.pm_id} (process {process.pid}): {answer}")
        if self._answers.get(_NOBODY):
            lines.append(self._answers[_NOBODY])
        return "; ".join(lines) or "not every worker answered"


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
