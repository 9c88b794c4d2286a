# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a deployment, in order, and the way back from each of them.

`Deployment.activate` is the whole story. Each step that changes something first says how to undo it. Whatever goes
wrong until the old activation is stopped, all that is undone, last one first, and the old one has served all the time.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._host.atomic import Ownership, Return, point, remove, write
from .._host.errors import StabilityError
from .._host.unix_sockets import UnixSocketError, connections, listens
from .._pm2.converge import LogTail, verify
from .._pm2.ecosystem import declaration, render
from .._pm2.fields import count
from .context import Context
from .health_gate import GateError, Workers, ask_proxy
from .model import ActivationError
from .plan import Decision, others
from .preconditions import check_host
from .signals import ignore, then_undisturbed
from .state import State
from .teardown import Drained, attempt, drain, remove_activation, require_inactive, settle_links

_PM2_LINES = 5


@dataclass
class Failure:
    """What went wrong, while the app's log still ends with it."""

    step: str
    cause: str
    log_lines: list[str]


@dataclass
class Deployment:
    """One activation beside the active one, then in its place."""

    context: Context
    state: State
    decision: Decision
    timeline: list[dict[str, Any]] = field(default_factory=list)
    failure: Failure | None = None
    committed: bool = False
    """The old one is no longer needed: there is no way back any more."""
    not_undone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What went wrong once it was committed."""
    drained: Drained | None = None
    proxy: str = "not asked"

    def __post_init__(self) -> None:
        context, new = self.context, self.decision.activation
        self._old = self.state.active
        self._new = new
        self._kept = False
        """Whether the old one is to be left running."""
        self._app = declaration(context.wanted.app_of(new, context.places), context.client.environment)
        self._directory = context.places.release(new.release)
        out = {**self._app, "error_file": self._app.get("out_file")}
        self._logs = [LogTail(app, context.client.owner) for app in (self._app, out)]
        self._workers = Workers(
            context.client,
            app=self._app["name"],
            instances=count(self._app.get("instances")),
            path=context.places.socket(new),
            health=context.health,
            user=context.user,
            restarts={},
        )

    def activate(self) -> None:
        """Raises StabilityError or OSError; then all is as before, but for `not_undone`, and `failure` tells more."""
        with ExitStack() as back, then_undisturbed():
            with self._step("check the host"):
                check_host(self.context, self.state, self.decision)
            with self._step("copy environment"):
                back.callback(self._undo, "the environment's copy", remove, self.context.places.snapshot(self._new))
                self._copy_environment()
            if self._is_new_release() and self.context.migrate:
                with self._step("migrate"):
                    self._hook("before_migrate")
                    self.context.hooks.command(self.context.migrate, self._directory, self._environment())
                    self._hook("after_migrate")
            with self._step("start"):
                self._hook("before_start")
                back.callback(self._undo, "the new processes", self._remove_new)
                deadline = time.monotonic() + self.context.health.start_timeout
                self._start(self.context.health.start_timeout)
            with self._step("wait until healthy"):
                self._wait_until_healthy(deadline)
                self._hook("after_start")
            with self._step("stay healthy"):
                self._workers.stay_healthy()
            with self._step("switch"):
                self._hook("before_switch")
                before = self._ask_proxy(0)
                self._switch(back)
            with self._step("check through the proxy"):
                self._check_proxy(before)
                self._hook("after_switch")
            with self._step("drain"):
                self._drain_old()
                self._check_proxy(before)
            with self._step("stop old"):
                self._hook("before_stop")
                ignore()
                back.pop_all()
                self.committed = True
        with self._step("stop old"):
            self._finish()

    # Before anything is started

    def _is_new_release(self) -> bool:
        return self._old is None or self._old.release != self._new.release

    def _copy_environment(self) -> None:
        """The old processes keep theirs, also when PM2 restarts them during the deployment."""
        user = self.context.user
        content = self.context.places.environment.read_bytes()
        write(self.context.places.snapshot(self._new), content, Ownership(user.uid, user.gid, 0o600))

    def _environment(self) -> dict[str, str]:
        """What the commands between the steps find in their environment, besides HOME, LANG and PATH."""
        own = {
            "DEPLOY_RELEASE": self._new.release,
            "DEPLOY_PREVIOUS_RELEASE": self._old.release if self._old else "",
            "DEPLOY_SOCKET": str(self.context.places.socket(self._new)),
        }
        return {**self._app["env"], **self.state.environment, **own}

    def _hook(self, name: str) -> None:
        self.context.hooks.run(name, self._directory, self._environment())

    # Beside the old one

    def _start(self, limit: float) -> None:
        """PM2 itself waits for processes that never say ready; what is wrong with them the next step finds out."""
        remove(self.context.places.socket(self._new))
        file = self.context.places.next_config_file
        client = self.context.client
        try:
            write(file, render([self._app]).encode(), self.context.config_ownership)
            done = client.as_user([client.pm2, "start", str(file), "--only", self._app["name"]], limit)
        except subprocess.TimeoutExpired:
            return
        finally:
            remove(file)
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            raise ActivationError(f"PM2 did not start it: {' | '.join(output[-_PM2_LINES:])}")

    def _wait_until_healthy(self, deadline: float) -> None:
        socket = self.context.places.socket(self._new)
        try:
            verify([self._app], self._workers.wait_until_healthy(deadline), ())
        except GateError as error:
            advice = "" if listens(socket) else f". Nothing listens: {self.context.wanted.listening_advice}"
            raise GateError(f"{error}{advice}") from error

    def _remove_new(self) -> None:
        """After a switch that was undone it may still have requests to answer."""
        socket = self.context.places.socket(self._new)
        if connections(socket):
            drain(socket, self.context.drain_time, lambda: None)
        remove_activation(self.context, self._new)

    # In its place

    def _switch(self, back: ExitStack) -> None:
        """From here to the end the ecosystem file holds both: whichever the link names, a boot starts it.

        The link is what is put back first, and by a rename alone: that works on a full disk, too.
        """
        places = self.context.places
        back.callback(self._undo, "the ecosystem file", self._declare, list(self.state.declared))
        self._declare([*self.state.declared, self._app])
        for link, name in ((places.previous, self.state.previous), (places.current, self.state.current)):
            back.callback(self._undo, f"the link {link}", point, link, places.release(name) if name else None)
        self._way_back = Return.prepare(places.active_socket)
        back.callback(self._undo_switch)
        point(places.active_socket, places.socket(self._new))
        settle_links(self.context, self.decision)

    def _undo_switch(self) -> None:
        """The other ways back ask where the link points: the new one is not to be touched while it serves."""
        self.not_undone += attempt(f"the link {self._way_back.link}", self._way_back.take)

    def _finish(self) -> None:
        """What goes wrong here is reported, not undone: the new one serves."""
        self.problems += attempt("what was kept for the way back is left", self._way_back.forget)
        alone = [*others(self.context.places, self.state), self._app]
        self.problems += attempt("a boot would start the old one, too", lambda: self._declare(alone))
        if self._old is not None and not self._kept:
            old = self._old
            stop = attempt("the old one was not stopped in good order", lambda: remove_activation(self.context, old))
            self.problems += stop
        self.problems += attempt("a command failed", lambda: self._hook("after_stop"))

    def _declare(self, apps: list[Mapping[str, Any]]) -> None:
        write(self.context.places.config_file, render(apps).encode(), self.context.config_ownership)

    def _ask_proxy(self, seconds: float) -> str | None:
        return ask_proxy(self.context.health, seconds) if self.context.health.proxy_url else None

    def _check_proxy(self, before: str | None) -> None:
        """Only a proxy that was well before can tell that the new activation is not."""
        if before is None:
            return
        problem = self._ask_proxy(self.context.health.proxy_timeout if not before else 0)
        if problem and not before:
            raise GateError(f"through the proxy: {problem}")
        self.proxy = f"not healthy, and was not before: {problem}" if problem else "healthy"

    def _drain_old(self) -> None:
        if self._old is None:
            return
        socket = self.context.places.socket(self._old)
        try:
            self.drained = drain(socket, self.context.drain_time, self._workers.require_alive)
        except (UnixSocketError, OSError) as error:
            self._kept = True
            self.problems.append(f"the old one still runs, because its connections can't be counted: {error}")

    # What all steps have in common

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except (StabilityError, OSError) as error:
            self.failure = Failure(name, str(error), self._said())
            raise
        finally:
            self.timeline.append({"step": name, "seconds": round(time.monotonic() - began, 2)})

    def _said(self) -> list[str]:
        """What the app wrote since this began: its errors, else its output."""
        return next((lines for log in self._logs if (lines := log.lines())), [])

    def _undo(self, what: str, undo: Callable[..., object], *arguments: Any) -> None:
        """One step back. What can't be undone must not keep the rest from it."""

        def back() -> None:
            require_inactive(self.context.places, self._new)
            undo(*arguments)

        self.not_undone += attempt(what, back)
