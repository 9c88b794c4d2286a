# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a deployment, in order, and the way back from each of them.

`Deployment.activate` is the whole story. Each step that changes something first says how to undo it. Whatever goes
wrong until the old activation is stopped, all that is undone, last one first, and the old one has served all the time.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ._activation import Activation, ActivationError, Places, Wanted
from ._activation_drain import Drained, drain
from ._activation_files import Ownership, point, remove, write
from ._activation_gate import GateError, Health, Workers, ask_proxy
from ._activation_hooks import Hooks
from ._activation_memory import check_memory
from ._activation_plan import Decision, others
from ._activation_state import State
from ._dotenv import DotenvError
from ._node import NodeError, require_engine
from ._pm2_client import Pm2Client, Pm2Error
from ._pm2_converge import LogTail, save, saved_list_differs, verify
from ._pm2_ecosystem import declaration, render
from ._pm2_fields import count
from ._run_as import CommandError, Identity
from ._unix_sockets import UnixSocketError, connections, listens

FAILURES = (NodeError, ActivationError, Pm2Error, GateError, CommandError, UnixSocketError, DotenvError, OSError)
_PM2_LINES = 5
_DELETE_ATTEMPTS = 20
_DELETE_PAUSE = 0.5
_GONE_LOOKS = 2


@dataclass(frozen=True)
class Host:
    """Everything about the host and the request that the steps need."""

    client: Pm2Client
    places: Places
    wanted: Wanted
    health: Health
    hooks: Hooks
    migrate: list[str]
    drain_time: float
    user: Identity
    config_ownership: Ownership


@dataclass
class Failure:
    """What went wrong, while the app's log still ends with it."""

    step: str
    cause: str
    log_lines: list[str]


class InterruptedRunError(ActivationError):
    """The run was told to end (SIGTERM)."""


@dataclass
class Deployment:
    """One activation beside the active one, then in its place."""

    host: Host
    state: State
    decision: Decision
    timeline: list[dict[str, Any]] = field(default_factory=list)
    failure: Failure | None = None
    committed: bool = False
    """The old one is being stopped: there is no way back any more, and none is needed."""
    not_undone: list[str] = field(default_factory=list)
    drained: Drained | None = None
    proxy: str = "not asked"

    def __post_init__(self) -> None:
        host, new = self.host, self.decision.activation
        self._old = self.state.active
        self._new = new
        self._app = declaration(host.wanted.app_of(new, host.places), host.client.environment)
        self._directory = host.places.release(new.release)
        self._logs = [LogTail(self._app), LogTail({**self._app, "error_file": self._app.get("out_file")})]
        self._workers = Workers(
            host.client,
            app=self._app["name"],
            instances=count(self._app.get("instances")),
            path=host.places.socket(new),
            health=host.health,
            user=host.user,
            restarts={},
        )

    def activate(self) -> None:
        """Raises one of FAILURES; then all is as before, and `failure` tells more."""
        with ExitStack() as back:
            with self._step("check the host"):
                require_engine(self._directory, self.host.hooks.bin_directory)
                self._check_memory()
            with self._step("copy environment"):
                back.callback(self._undo, "the environment's copy", remove, self.host.places.snapshot(self._new))
                self._copy_environment()
            if self._is_new_release() and self.host.migrate:
                with self._step("migrate"):
                    self._hook("before_migrate")
                    self.host.hooks.command(self.host.migrate, self._directory, self._environment())
                    self._hook("after_migrate")
            with self._step("start"):
                self._hook("before_start")
                back.callback(self._undo, "the new processes", self._remove_new)
                deadline = time.monotonic() + self.host.health.start_timeout
                self._start(self.host.health.start_timeout)
            with self._step("wait until healthy"):
                self._wait_until_healthy(deadline)
                self._hook("after_start")
            with self._step("stay healthy"):
                self._workers.stay_healthy()
            with self._step("switch"):
                self._hook("before_switch")
                before = self._ask_proxy(0)
                back.callback(self._undo, "the switch", self._switch_back)
                self._switch()
            with self._step("check through the proxy"):
                self._check_proxy(before)
                self._hook("after_switch")
            with self._step("drain"):
                self._drain_old()
                self._check_proxy(before)
            with self._step("stop old"):
                self._hook("before_stop")
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                back.pop_all()
                self.committed = True
        with self._step("stop old"):
            self._remove(self._old)
            self._hook("after_stop")

    # Before anything is started

    def _check_memory(self) -> None:
        old = self.host.places.app_name(self._old) if self._old else ""
        running = [process.pid for process in self.state.processes(old) if process.pid]
        check_memory(count(self._app.get("instances")), running)

    def _is_new_release(self) -> bool:
        return self._old is None or self._old.release != self._new.release

    def _copy_environment(self) -> None:
        """The old processes keep theirs, also when PM2 restarts them during the deployment."""
        user = self.host.user
        content = self.host.places.environment.read_bytes()
        write(self.host.places.snapshot(self._new), content, Ownership(user.uid, user.gid, 0o600))

    def _environment(self) -> dict[str, str]:
        """What the commands between the steps find in their environment, besides HOME, LANG and PATH."""
        own = {
            "DEPLOY_RELEASE": self._new.release,
            "DEPLOY_PREVIOUS_RELEASE": self._old.release if self._old else "",
            "DEPLOY_SOCKET": str(self.host.places.socket(self._new)),
        }
        return {**self._app["env"], **self.state.environment, **own}

    def _hook(self, name: str) -> None:
        self.host.hooks.run(name, self._directory, self._environment())

    # Beside the old one

    def _start(self, limit: float) -> None:
        """PM2 itself waits for processes that never say ready; what is wrong with them the next step finds out."""
        remove(self.host.places.socket(self._new))
        file = self.host.places.next_config_file
        client = self.host.client
        try:
            write(file, render([self._app]).encode(), self.host.config_ownership)
            done = client.as_user([client.pm2, "start", str(file), "--only", self._app["name"]], limit)
        except subprocess.TimeoutExpired:
            return
        finally:
            remove(file)
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            raise ActivationError(f"PM2 did not start it: {' | '.join(output[-_PM2_LINES:])}")

    def _wait_until_healthy(self, deadline: float) -> None:
        socket = self.host.places.socket(self._new)
        try:
            verify([self._app], self._workers.wait_until_healthy(deadline), ())
        except GateError as error:
            advice = "" if listens(socket) else f". Nothing listens: {self.host.wanted.listening_advice}"
            raise GateError(f"{error}{advice}") from error

    def _remove_new(self) -> None:
        """After a switch that was undone it may still have requests to answer."""
        socket = self.host.places.socket(self._new)
        if connections(socket):
            drain(socket, self.host.drain_time, lambda: None)
        self._remove(self._new)

    def _remove(self, activation: Activation | None) -> None:
        """Stop an activation's processes, and remove its socket and its copy of the environment."""
        if activation is not None:
            remove_activation(self.host, activation)

    # In its place

    def _switch(self) -> None:
        """At each moment the ecosystem file holds what the link points to: the host may lose its power."""
        places = self.host.places
        self._declare([*self.state.declared, self._app])
        point(places.active_socket, places.socket(self._new))
        settle_links(self.host, self.decision)
        self._declare([*others(places, self.state), self._app])

    def _switch_back(self) -> None:
        places = self.host.places
        self._declare([*self.state.declared, self._app])
        point(places.active_socket, places.socket(self._old) if self._old else None)
        point(places.current, places.release(self.state.current) if self.state.current else None)
        point(places.previous, places.release(self.state.previous) if self.state.previous else None)
        self._declare(list(self.state.declared))

    def _declare(self, apps: list[Mapping[str, Any]]) -> None:
        write(self.host.places.config_file, render(apps).encode(), self.host.config_ownership)

    def _ask_proxy(self, seconds: float) -> str | None:
        return ask_proxy(self.host.health, seconds) if self.host.health.proxy_url else None

    def _check_proxy(self, before: str | None) -> None:
        """Only a proxy that was well before can tell that the new activation is not."""
        if before is None:
            return
        problem = self._ask_proxy(self.host.health.proxy_timeout if not before else 0)
        if problem and not before:
            raise GateError(f"through the proxy: {problem}")
        self.proxy = f"not healthy, and was not before: {problem}" if problem else "healthy"

    def _drain_old(self) -> None:
        if self._old is not None:
            socket = self.host.places.socket(self._old)
            self.drained = drain(socket, self.host.drain_time, self._workers.require_alive)

    # What all steps have in common

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except FAILURES as error:
            self.failure = Failure(name, str(error), self._said())
            raise
        finally:
            self.timeline.append({"step": name, "seconds": round(time.monotonic() - began, 2)})

    def _said(self) -> list[str]:
        """What the app wrote since this began: its errors, else its output."""
        return next((lines for log in self._logs if (lines := log.lines())), [])

    def _undo(self, what: str, undo: Callable[..., None], *arguments: Any) -> None:
        """One step back. What can't be undone must not keep the rest from it."""
        try:
            undo(*arguments)
        except FAILURES as error:
            self.not_undone.append(f"{what}: {error}")


def remove_activation(host: Host, activation: Activation) -> None:
    """Stop its processes for good, and remove its socket and its copy of the environment."""
    _delete(host.client, host.places.app_name(activation))
    remove(host.places.socket(activation))
    remove(host.places.snapshot(activation))


def _delete(client: Pm2Client, app: str) -> None:
    """PM2 takes a process that is just being started anew back onto its list after it was deleted: look again."""
    gone = 0
    for _attempt in range(_DELETE_ATTEMPTS):
        processes = [process for process in client.processes() if process.name == app]
        gone = 0 if processes else gone + 1
        if gone >= _GONE_LOOKS:
            return
        if processes:
            client.run("delete", *(str(process.pm_id) for process in processes))
            if all(process.status == "online" for process in processes):
                gone = 1
                continue
        time.sleep(_DELETE_PAUSE)
    raise ActivationError(f"PM2 does not let go of the processes of {app}: see `pm2 list`")


def settle_links(host: Host, decision: Decision) -> bool:
    """The links for people and for the next run; whether they changed."""
    places = host.places
    previous = places.release(decision.previous) if decision.previous else None
    moved = point(places.previous, previous)
    return point(places.current, places.release(decision.current)) or moved


def sweep(host: Host, state: State, decision: Decision) -> None:
    """Remove what interrupted deployments left, each drained first: it may still have connections."""
    for name in decision.leftovers:
        activation = Activation.parse(name)
        if activation is None:
            continue
        if connections(host.places.socket(activation)):
            drain(host.places.socket(activation), host.drain_time, lambda: None)
        remove_activation(host, activation)
    kept = [app for app in state.declared if _activation_name(host, app) not in decision.leftovers]
    write(host.places.config_file, render(kept).encode(), host.config_ownership)


def _activation_name(host: Host, app: Mapping[str, Any]) -> str:
    activation = host.places.activation_of(str(app["name"]))
    return activation.name if activation else ""


def save_list(client: Pm2Client) -> bool:
    """Let PM2's saved list be what runs; whether it was another one."""
    if not saved_list_differs(client, client.processes()):
        return False
    save(client)
    return True
