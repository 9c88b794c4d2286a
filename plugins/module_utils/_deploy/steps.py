# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a deployment, in order, and the way back from each of them.

`Deployment.activate` is the whole story. Each step that changes something first says how to undo it. Whatever goes
wrong until the old activation is stopped, all that is undone, last one first, and the old one has served all the time.
A service of which never two may run has its old one stopped before the new one starts: requests are held meanwhile, and
the way back starts the old one again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from .._host.atomic import Return, point, remove_tree
from .._host.command import CommandError, clean_environment, run
from .._host.errors import StabilityError
from .._host.units import start_unit, stop_unit
from .._pm2.bus import Bus
from .._pm2.converge import verify
from .._pm2.fields import count
from .._pm2.rpc import processes_of
from .actual import Actual
from .alone import alone_at_processes
from .context import Context
from .health_gate import PROXY_SECONDS, GateError, WorkerFailedError, ask_proxy
from .hold import Hold, hold
from .links import connections_of, listens, make_directory, ports_of, remove_sockets
from .migration import advice
from .model import Activation, takes_for_number
from .outcome import Outcome
from .preconditions import check_host
from .signals import ignore, then_undisturbed
from .teardown import attempt, drain, drain_rest, remove_activation, require_inactive, settle_links

# What the old one gets to finish its requests while new ones wait; WebSockets are not worth a longer wait.
_DRAIN_SECONDS = 5.0


class Deployment:
    """One activation beside the active one, then in its place."""

    def __init__(self, context: Context, actual: Actual, outcome: Outcome) -> None:
        self.actual = actual
        self.decision = outcome.decision
        self.failed_step = ""
        self.log_lines: list[str] = []
        """The last that the new processes wrote: their errors, else their output."""
        self.not_undone: list[str] = []
        self.migration_began: datetime | None = None
        """The database stays as a migration leaves it, whatever fails."""
        self.problems: list[str] = []
        """What went wrong once there was no way back any more: the old one was no longer needed."""
        self._context = context
        self._outcome = outcome
        self._old, self._new = actual.active, outcome.decision.activation
        self._kept = False
        """Whether the old one is to be left running."""
        self._hold: Hold | None = None
        """Where requests wait, once the old one had to be stopped first."""
        self._alone = ExitStack()
        """What has the watchdog hold back from when the only copy is stopped until another one is active."""
        self._app = context.app_of(self._new)
        self._directory = context.places.release(self._new.release)
        self._bus = Bus(context.client(self._new))
        self._workers = context.workers(self._new, {}, bus=self._bus)

    def activate(self) -> None:
        """Raises StabilityError or OSError; then all is as before, but for `not_undone`."""
        with ExitStack() as held, self._alone as _alone, ExitStack() as back, then_undisturbed():
            with self._step("check the host"):
                check_host(self._context, self.actual)
                before = self._ask_proxy(0)
            with self._step("make directory"):
                back.callback(self._undo, "its directory", remove_tree, self._context.places.of(self._new))
                make_directory(self._context, self.decision, len(self.actual.sockets))
            if self._is_new_release() and self._context.desired.migrate:
                with self._step("migrate"):
                    self._hook("before_migrate")
                    self.migration_began = datetime.now().astimezone()
                    self._migrate()
                    self._hook("after_migrate")
            if self._old is not None and not self._context.desired.overlap:
                with self._step("hold requests and stop old"):
                    self._hook("before_stop")
                    self._stop_first(self._old, held, back)
            with self._step("start"):
                self._hook("before_start")
                back.callback(self._undo, "the new processes", self._remove_new)
                held.enter_context(self._bus.heard())
                deadline = time.monotonic() + self._context.health.start_timeout
                self._start(self._new, self._workers.watch_start)
            with self._step("wait until healthy"):
                self._wait_until_healthy(deadline)
                self._hook("after_start")
            with self._step("stay healthy"):
                self._workers.stay_healthy()
            with self._step("switch"):
                self._hook("before_switch")
                self._switch(back)
            if self._hold is not None:
                with self._step("hand on requests"):
                    self._outcome.held = self._hold.hand_on(self._context.places.link(self._new))
            with self._step("check through the proxy"):
                self._check_proxy(before)
                self._hook("after_switch")
            if self._hold is None:
                with self._step("drain"):
                    self._drain_old()
                    self._check_proxy(before)
            with self._step("stop old"):
                if self._hold is None:
                    self._hook("before_stop")
                ignore()
                back.pop_all()
        with self._step("stop old"):
            self._finish()

    # Before anything is started

    def _is_new_release(self) -> bool:
        return self._old is None or self._old.release != self._new.release

    def _hook(self, name: str) -> None:
        """Run the user's commands of that point. Raises CommandError with what the failing one wrote."""
        for argv in self._context.desired.hooks.get(name) or []:
            try:
                self._command(argv)
            except CommandError as error:
                raise CommandError(f"hook {name}: {error}") from error

    def _migrate(self) -> None:
        try:
            self._command(self._context.desired.migrate)
        except CommandError as error:
            raise CommandError("\n".join(filter(None, (str(error), advice(error.output))))) from error

    def _command(self, argv: Sequence[str | int | float]) -> None:
        """As the service's user, in the release, with the service's environment and what it is about."""
        if not argv:
            raise CommandError("a hook is an empty list: it must hold the program and its arguments")
        context = self._context
        own = {
            "DEPLOY_RELEASE": self._new.release,
            "DEPLOY_PREVIOUS_RELEASE": self._old.release if self._old else "",
            "DEPLOY_SOCKET": str(context.places.link(self._new)),
        }
        clean = clean_environment(context.user.home, Path(context.tools.node).parent, {})
        run(
            [str(word) for word in argv],
            cwd=self._directory,
            environment={**self._app["env"], **self.actual.environment, **own, **clean},
            timeout=context.desired.hook_timeout,
            identity=context.user,
            scopes=context.scopes,
        )

    # Before a new one that may not run beside it

    def _stop_first(self, old: Activation, held: ExitStack, back: ExitStack) -> None:
        """Without its socket's name the old one gets no new connection from the proxy; those it has may end.

        The link `active` goes on naming it: a boot in between starts it, and nothing else.
        """
        context, places = self._context, self._context.places
        self._alone.enter_context(alone_at_processes(context))
        waiting = hold(places.hold_socket, places.run.stat().st_gid, context.user, context.desired.drain_time)
        self._hold = held.enter_context(waiting)
        back.callback(self._undo, "the old processes", self._start_again, old, self._hold)
        remove_sockets(places, old)
        drain(partial(connections_of, places, old), min(_DRAIN_SECONDS, context.desired.drain_time))
        stop_unit(places.unit(old))

    def _start_again(self, old: Activation, waiting: Hold) -> None:
        context = self._context
        self._alone.close()
        self._alone.enter_context(alone_at_processes(context))
        # it may still run, without its name on the disk
        stop_unit(context.places.unit(old))
        try:
            deadline = time.monotonic() + context.health.start_timeout
            self._start(old)
            context.workers(old, {}, count(self.actual.app.get("instances"))).wait_until_healthy(deadline)
        finally:
            waiting.hand_on(context.places.link(old))

    # Beside the old one, or after it

    def _start(self, activation: Activation, meanwhile: Callable[[], object] = lambda: None) -> None:
        """PM2 itself waits for processes that never say ready; what is wrong with them the next step finds out."""
        remove_sockets(self._context.places, activation)
        start_unit(self._context.places.unit(activation), self._context.health.start_timeout, meanwhile)

    def _wait_until_healthy(self, deadline: float) -> None:
        try:
            verify([self._app], self._workers.wait_until_healthy(deadline), ())
        except GateError as error:
            advice = self._listening_advice(isinstance(error, WorkerFailedError))
            raise GateError(". ".join(filter(None, (str(error).rstrip("."), advice)))) from error

    def _listening_advice(self, failed: bool) -> str:
        """What to do where nothing listens as it should; "" where that is not what is wrong."""
        desired, client = self._context.desired, self._context.client(self._new)
        if not desired.listen_port and self._bus.says(
            takes_for_number(desired.socket_variable, self._context.places.run)
        ):
            return desired.number_advice
        if failed or listens(self._context.places, self._new):
            return ""
        pids = [process.pid for process in processes_of(client) if process.pid]
        if ports := ports_of([*pids, client.daemon_pid() or 0], self._context.user):
            return desired.port_advice(ports)
        return f"Nothing listens: {desired.listening_advice}"

    def _remove_new(self) -> None:
        """After a switch that was undone it may still have requests to answer; the held ones wait for the old one."""
        limit = self._context.desired.drain_time
        drain_rest(self._context.places, self._new, limit if self._hold is None else min(_DRAIN_SECONDS, limit))
        remove_activation(self._context, self._new)

    # In its place

    def _switch(self, back: ExitStack) -> None:
        """Whichever the link names, a boot starts it, and nothing else.

        The link is what is put back first, and by a rename alone: that works on a full disk, too.
        """
        with self._alone if self._hold else alone_at_processes(self._context):
            self._exchange(back)

    def _exchange(self, back: ExitStack) -> None:
        places = self._context.places
        for link, name in ((places.previous, self.actual.previous), (places.current, self.actual.current)):
            back.callback(self._undo, f"the link {link}", point, link, places.release(name) if name else None)
        self._way_back = Return.prepare(places.active)
        back.callback(self._undo_switch)
        point(places.active, places.of(self._new))
        settle_links(self._context, self.decision)

    def _undo_switch(self) -> None:
        """The other ways back ask where the link points: the new one is not to be touched while it serves."""
        self.not_undone += attempt(f"the link {self._way_back.link}", self._way_back.take)

    def _finish(self) -> None:
        """What goes wrong here is reported, not undone: the new one serves."""
        self.problems += attempt("what was kept for the way back is left", self._way_back.forget)
        if self._old is not None and not self._kept:
            old = self._old
            stop = attempt("the old one was not stopped in good order", lambda: remove_activation(self._context, old))
            self.problems += stop
        self.problems += attempt("a command failed", lambda: self._hook("after_stop"))

    def _ask_proxy(self, seconds: float) -> str | None:
        return ask_proxy(self._context.health, seconds) if self._context.health.proxy_url else None

    def _check_proxy(self, before: str | None) -> None:
        """Only a proxy that was well before can tell that the new activation is not."""
        if before is None:
            return
        problem = self._ask_proxy(PROXY_SECONDS if not before else 0)
        if problem and not before:
            raise GateError(f"through the proxy: {problem}")
        self._outcome.proxy = f"not healthy, and was not before: {problem}" if problem else "healthy"

    def _drain_old(self) -> None:
        if self._old is None:
            return
        count, limit = partial(connections_of, self._context.places, self._old), self._context.desired.drain_time
        try:
            self._outcome.drained = drain(count, limit, self._workers.require_alive, self._workers.require_there)
        except OSError as error:
            self._kept = True
            self.problems.append(f"the old one still runs, because its connections can't be counted: {error}")

    # What all steps have in common

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        with self._outcome.step(name):
            try:
                yield
            except (StabilityError, OSError):
                self.failed_step = name
                self.log_lines = self._bus.lines()
                raise

    def _undo(self, what: str, undo: Callable[..., object], *arguments: Any) -> None:
        """One step back. What can't be undone must not keep the rest from it."""

        def back() -> None:
            require_inactive(self._context.places, self._new)
            undo(*arguments)

        self.not_undone += attempt(what, back)
