# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out the remedies: PM2's own commands as the service's user, signals to what was judged, root's help."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import wait

from ..._host import proc
from ..._host.errors import StabilityError
from ..._host.later import later
from ..._host.lock import is_locked, lock_table
from ..._pm2.client import Pm2Client
from ..._pm2.errors import Pm2Error
from ..._pm2.rpc import processes_of, reload_worker, start_worker, stop_worker
from ..._service.active import active_activation
from .model import Outcome, Remedy, Step
from .readings import Readings, Worker, started_at
from .root_client import RENEW_ACTIVATION, RESTART_DAEMON, RESTART_PROXY, act
from .settings import Settings

_ROOT_SECONDS = 150.0
# PM2's listen_timeout and kill_timeout, and some
_RELOAD_SECONDS = 90.0
# So long PM2 has to note that a worker is to stop, before it is killed.
_NOTICE_SECONDS = 0.5


class Actions:
    """What can be done about the app that the readings are of."""

    def __init__(self, settings: Settings, readings: Readings, note_stops: Callable[[Iterable[int]], None]) -> None:
        """`note_stops` is told the numbers of the workers that PM2 is about to be asked to stop, and to start again.

        Not before it is certain that nobody else changes PM2's processes: that may be an operator who stops them.
        """
        self._settings = settings
        self._readings = readings
        self._note_stops = note_stops
        client: Pm2Client = settings.client
        # of what was judged, also when another activation becomes active meanwhile
        self._client = dataclasses.replace(client, home=client.home.resolve())
        self._remedies: Mapping[Remedy, Callable[[Step], str]] = {
            Remedy.RELOAD_WORKER: self._reload_workers,
            Remedy.KILL_WORKER: self._kill_workers,
            Remedy.RESTART_WORKER: self._restart_workers,
            Remedy.RESTART_APP: self._restart_app,
            Remedy.RECREATE_APP: self._recreate_app,
            # by a deployment, which goes on by itself
            Remedy.RENEW_ACTIVATION: lambda _step: self._as_root(RENEW_ACTIVATION),
            Remedy.RESTART_DAEMON: lambda _step: self._as_root(RESTART_DAEMON),
            Remedy.RESTART_PROXY: lambda _step: self._as_root(RESTART_PROXY),
        }

    def carry_out(self, step: Step) -> Outcome:
        """Never raises: what could not be done is an outcome too."""
        begun = time.monotonic()
        try:
            message = self._remedies[step.remedy](step)
            done = True
        except (StabilityError, OSError) as error:
            message, done = f"{step.remedy.value} failed: {error}", False
        return Outcome(done, message, time.monotonic() - begun)

    @property
    def _app(self) -> str:
        return self._settings.app_of(self._readings.activation or "")

    def _workers(self, step: Step) -> list[Worker]:
        return [worker for worker in self._readings.workers if worker.number in step.condition.workers]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other command changes PM2's processes meanwhile. Raises Pm2Error when one does, or a deployment."""
        with self._client.lock():
            if is_locked(lock_table(), [self._settings.process_lock]):
                raise Pm2Error("a deployment is exchanging the processes")
            if self._is_another():
                raise Pm2Error("another activation has become active")
            yield

    def _is_another(self) -> bool:
        settings = self._settings
        return not settings.existing and active_activation(settings.sockets) != self._readings.activation

    def _reload_workers(self, step: Step) -> str:
        """Each is replaced by a new one before it ends."""
        with self._alone():
            for number in step.condition.workers:
                reload_worker(self._client, number, _RELOAD_SECONDS)
        return f"reloaded worker {_listed(step.condition.workers)}"

    def _kill_workers(self, step: Step) -> str:
        """A hung process can't end in good order; PM2 starts a new one at once."""
        workers = self._workers(step)
        with self._alone():
            killed = [worker.number for worker in workers if kill(worker.process.pid, worker.started)]
        if not killed:
            raise Pm2Error("the processes that hung are gone already")
        return f"killed the hung process of worker {_listed(killed)}"

    def _restart_workers(self, step: Step) -> str:
        with self._alone():
            self._note_stops(step.condition.workers)
            given_up = {worker.number for worker in self._workers(step) if worker.process.status == "errored"}
            for number in step.condition.workers:
                if number in given_up:
                    start_worker(self._client, number, _RELOAD_SECONDS)
                else:
                    self._client.run("restart", str(number))
            if len(self._readings.workers) < (planned := self._readings.planned) > 1:
                self._client.run("scale", self._app, str(planned))
                return f"scaled {self._app} to {planned} workers"
        return f"restarted worker {_listed(step.condition.workers)}"

    def _restart_app(self, _step: Step) -> str:
        with self._alone():
            self._stop_hung()
            self._client.run("restart", self._app)
        return f"restarted all workers of {self._app}"

    def _recreate_app(self, _step: Step) -> str:
        """From the ecosystem file, which is the one truth about what runs."""
        file = self._settings.ecosystem_file
        if not os.access(file, os.R_OK):
            raise Pm2Error(f"{file} is not there: apply the playbook")
        with self._alone():
            if any(process.name == self._app for process in processes_of(self._client)):
                self._stop_hung()
                self._client.run("delete", self._app)
            self._client.run("start", file, "--only", self._app)
        return f"recreated {self._app} from {file}"

    def _stop_hung(self) -> None:
        """Before all workers are stopped: these would keep that waiting for PM2's kill_timeout each.

        Killed without a word to PM2 they would be restarted by it in the middle of what follows, and one that is
        started twice is lost from PM2's list.
        """
        self._note_stops(worker.number for worker in self._readings.workers)
        answers = self._readings.answers.answers
        hung = [worker for worker in self._readings.workers if worker.started and worker.process.pid not in answers]
        stops = [later("stop", stop_worker, self._client, worker.number, _RELOAD_SECONDS) for worker in hung]
        time.sleep(_NOTICE_SECONDS if hung else 0)
        for worker in hung:
            kill(worker.process.pid, worker.started)
        wait(stops)

    def _as_root(self, word: str) -> str:
        return act(self._settings.act_socket, word, _ROOT_SECONDS)


def kill(pid: int | None, started: float | None) -> bool:
    """SIGKILL to the very process that was judged, and not to a later one of its number. False when it is gone."""
    if pid is None or started is None:
        return False
    return proc.send(pid, signal.SIGKILL, lambda: started_at(pid) == started)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"
