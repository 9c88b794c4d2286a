# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the module active_release: look, decide, and only when something differs, lock and do it."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ._activation import ActivationError
from ._activation_daemon import outdated_daemon, require_abi
from ._activation_files import remove_tree, write
from ._activation_gate import Workers, problem_of
from ._activation_plan import Decision, decide, wanted_release
from ._activation_state import State, read_state
from ._activation_steps import (
    FAILURES,
    Deployment,
    Failure,
    Host,
    InterruptedRunError,
    save_list,
    settle_links,
    sweep,
)
from ._deploy_lock import DeployLockError, deploy_lock, lock_path
from ._dotenv import dump
from ._health import read_health
from ._http import Request
from ._pm2_client import Pm2Error
from ._pm2_converge import saved_list_differs
from ._pm2_daemon import Daemon, update
from ._pm2_fields import count

PROBLEMS = (*FAILURES, DeployLockError)


@dataclass(frozen=True)
class Order:
    """What this run is asked for. release is an id, "previous" or "" for the active one."""

    release: str
    check_mode: bool
    deployer: str
    discard_failed: bool
    restart_outdated_daemon: bool
    environment_digest: str = ""
    """In check mode: SHA-256 of the environment file as it would be, without comments; "" when that is not known."""
    preloads_pending: bool = False
    """In check mode: whether a preloaded file would have been changed."""


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    decision: Decision | None = None
    before: State = field(default_factory=State)
    changed: bool = False
    saved: bool = False
    seconds: float = 0
    timeline: list[dict[str, Any]] = field(default_factory=list)
    drained: dict[str, Any] = field(default_factory=dict)
    proxy: str = "not asked"
    outdated: Daemon | None = None
    """The PM2 daemon, when it is not what is installed."""
    restarts_daemon: bool = False


def run(host: Host, order: Order) -> Outcome:
    """Raises one of PROBLEMS; then the activation that was active before is active still."""
    began = time.monotonic()
    running = _running(host, order.check_mode)
    host, state, decision = _look(host, order, running)
    outcome = Outcome(decision, state)
    if decision is None:
        return outcome
    outcome.outdated = outdated_daemon(host.client) if running else None
    outcome.restarts_daemon = outcome.outdated is not None and order.restart_outdated_daemon
    unsaved = running and saved_list_differs(host.client, state.live)
    outcome.saved = unsaved or decision.action != "none"
    outcome.changed = outcome.saved or outcome.restarts_daemon or decision.changes(state)
    if outcome.outdated and not outcome.restarts_daemon and decision.action == "activate":
        require_abi(host.client, outcome.outdated, host.places.release(decision.activation.release))
    if order.check_mode or not outcome.changed:
        return outcome
    what = f"activation of release {decision.activation.release}"
    with deploy_lock(lock_path(host.places.releases), what, order.deployer), host.client.lock(), _until_terminated():
        if outcome.outdated and outcome.restarts_daemon:
            _restart_daemon(host, outcome.outdated, outcome)
        host, state, decision = _look(host, order, running)
        if decision is not None:
            outcome.decision, outcome.before = decision, state
            _do(host, order, state, decision, outcome)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _running(host: Host, check_mode: bool) -> bool:
    """Whether there is a PM2 daemon to ask. In check mode it may come earlier in the same run."""
    problem = host.client.missing
    if not check_mode:
        if problem:
            raise Pm2Error(problem)
        host.client.require_daemon()
    return not problem and host.client.daemon_pid() is not None


def _look(host: Host, order: Order, running: bool) -> tuple[Host, State, Decision | None]:
    """The state, and what is to be done; nothing is decided when in check mode there is no release yet."""
    state = read_state(host.client, host.places, list(host.wanted.preloads), running)
    if order.check_mode:
        state = replace(state, pending=_pending(order, state))
    release = wanted_release(order.release, state)
    if not release:
        if order.check_mode:
            return host, state, None
        raise ActivationError(
            f"there is no release to run: {host.places.active_socket} points to none, and none was asked for. Put a"
            " release on the host first"
        )
    if not order.check_mode:
        _require_program(host, release, state)
    host = replace(host, wanted=replace(host.wanted, release=release))
    return host, state, decide(host.wanted, host.places, state, host.client.environment)


def _pending(order: Order, state: State) -> tuple[str, ...]:
    reasons = ["a file that is loaded before the program would change"] if order.preloads_pending else []
    if order.environment_digest and order.environment_digest != _digest(state.environment):
        reasons.append("the environment file would change")
    return tuple(reasons)


def _digest(environment: Mapping[str, str]) -> str:
    return hashlib.sha256(dump(environment).encode()).hexdigest()


def _require_program(host: Host, release: str, state: State) -> None:
    if release not in state.releases:
        known = ", ".join(state.releases) or "none"
        raise ActivationError(f"release {release} is not on this host; these are: {known}")
    program = Path(host.places.release(release), str(host.wanted.app["script"]))
    if not program.is_file():
        raise ActivationError(f"release {release} has no program {host.wanted.app['script']}: {program} is not there")


def _do(host: Host, order: Order, state: State, decision: Decision, outcome: Outcome) -> None:
    if decision.leftovers:
        began = time.monotonic()
        sweep(host, state, decision)
        outcome.timeline.append({"step": "sweep", "seconds": round(time.monotonic() - began, 2)})
        state = read_state(host.client, host.places, list(host.wanted.preloads), running=True)
    if decision.action == "activate":
        _activate(host, order, state, decision, outcome)
    elif decision.action == "restart":
        began = time.monotonic()
        host.client.run("restart", *map(str, decision.dead))
        _active_workers(host, decision, state).wait_until_healthy(began + host.health.start_timeout)
    elif outcome.restarts_daemon:
        deadline = time.monotonic() + host.health.start_timeout
        _active_workers(host, decision, state).wait_until_healthy(deadline)
    write(host.places.config_file, decision.config.encode(), host.config_ownership)
    settle_links(host, decision)
    outcome.saved = save_list(host.client)


def _restart_daemon(host: Host, daemon: Daemon, outcome: Outcome) -> None:
    began = time.monotonic()
    update(host.client, daemon, host.health.start_timeout)
    outcome.timeline.append({"step": "restart daemon", "seconds": round(time.monotonic() - began, 2)})


def _activate(host: Host, order: Order, state: State, decision: Decision, outcome: Outcome) -> None:
    deployment = Deployment(host, state, decision)
    try:
        deployment.activate()
    except FAILURES as error:
        if deployment.committed:
            raise ActivationError(
                f"Release {decision.activation.release} is active and serves, but the old one was not stopped in good"
                f" order: {error}. The next run removes what is left of it"
            ) from error
        raise ActivationError(_explain(host, order, deployment, error)) from error
    finally:
        outcome.timeline += deployment.timeline
        outcome.proxy = deployment.proxy
        if deployment.drained:
            outcome.drained = deployment.drained.report()


def _active_workers(host: Host, decision: Decision, state: State) -> Workers:
    activation = decision.activation
    return Workers(
        host.client,
        app=host.places.app_name(activation),
        instances=count(host.wanted.app.get("instances")),
        path=host.places.socket(activation),
        health=host.health,
        user=host.user,
        restarts={process.pm_id: process.restarts for process in state.live},
    )


def _explain(host: Host, order: Order, deployment: Deployment, error: Exception) -> str:
    """All that whoever reads the CI log needs: what, where, why, what the app said, what serves now."""
    failure = deployment.failure or Failure("put back", str(error), [])
    state, release = deployment.state, deployment.decision.activation.release
    lines = [f"Release {release} was not taken into service.", f"Failed step: {failure.step}. Cause: {failure.cause}"]
    if failure.log_lines:
        lines += ["The app's log ends with:", *(f"  {line}" for line in failure.log_lines)]
    lines += [f"Not undone: {problem}" for problem in deployment.not_undone]
    with contextlib.suppress(Pm2Error):
        save_list(host.client)
    if order.discard_failed and release not in (state.current, state.previous, _active_release(state)):
        remove_tree(host.places.release(release))
        lines.append(f"Its directory, {host.places.release(release)}, was removed.")
    lines.append(_what_serves(host, state))
    return "\n".join(lines)


def _active_release(state: State) -> str:
    return state.active.release if state.active else ""


def _what_serves(host: Host, state: State) -> str:
    if state.active is None:
        return "No release was active before, so none serves now."
    socket = host.places.socket(state.active)
    problem = problem_of(
        read_health(Request(url=host.health.path, unix_socket=str(socket), timeout=host.health.answer_timeout))
    )
    if problem:
        return f"Release {state.active.release} is active as before, but it does not answer well: {problem}"
    return f"Release {state.active.release} is active as before and answers healthily."


@contextmanager
def _until_terminated() -> Iterator[None]:
    """A lost connection (SIGHUP) stops nothing; SIGTERM and SIGINT end the run by the way back."""

    def interrupt(number: int, _frame: object) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_IGN)
        raise InterruptedRunError(f"the run was told to end ({signal.Signals(number).name})")

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
