# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the module active_release: look, decide, and only when something differs, lock and do it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._checks.health import problem_of, read_health
from .._host.atomic import write
from .._host.command import effective_user
from .._host.errors import StabilityError
from .._net.http import Request
from .._pm2.converge import saved_list_differs
from .._pm2.daemon import Daemon, update
from .._pm2.errors import Pm2BusyError, Pm2Error
from .._pm2.fields import count, mode
from .._release.lock import DeployLockError, deploy_lock, lock_path
from .._service.dotenv import dump
from .context import Context
from .health_gate import Workers
from .model import Activation, ActivationError, Places
from .plan import NEWER_PRELOAD, Decision, decide, wanted_release
from .preconditions import check_host, outdated_daemon, require_addons
from .signals import until_terminated
from .state import State, read_active, read_state
from .steps import Deployment, Failure
from .teardown import attempt, discard_release, save_list, settle_links, sweep


@dataclass(frozen=True)
class Order:
    """What this run is asked for. release is an id, "previous" or "" for the active one."""

    release: str
    check_mode: bool
    deployer: str
    discard_failed: bool
    """Whether this run made the release, or in check mode would have: then it need not be there yet."""
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


def run(context: Context, order: Order) -> Outcome:
    """Raises StabilityError or OSError; then what was active before still is, or the message says so."""
    try:
        return _run(context, order)
    except (DeployLockError, Pm2BusyError):
        # another run is at work, perhaps with this very release
        raise
    except (StabilityError, OSError) as error:
        if order.check_mode or not order.discard_failed or not order.release:
            raise
        raise ActivationError(f"{error}{_discard(context.places, order)}") from error


def _discard(places: Places, order: Order) -> str:
    """Remove the directory of the release that could not be taken into service; a line for people."""
    what = f"removal of release {order.release}"
    try:
        with deploy_lock(lock_path(places.releases), what, order.deployer):
            said = discard_release(places, order.release)
    except (DeployLockError, OSError) as error:
        said = f"Its directory, {places.release(order.release)}, was not removed: {error}"
    return f"\n{said}" if said else ""


def _run(context: Context, order: Order) -> Outcome:
    began = time.monotonic()
    running = _running(context, order.check_mode)
    context, state, decision = _look(context, order, running)
    outcome = Outcome(decision, state)
    if decision is None:
        return outcome
    outcome.outdated = outdated_daemon(context.client) if running else None
    outcome.restarts_daemon = outcome.outdated is not None and order.restart_outdated_daemon
    unsaved = running and saved_list_differs(context.client, state.live)
    outcome.saved = unsaved or decision.action != "none"
    outcome.changed = outcome.saved or outcome.restarts_daemon or decision.changes(state)
    if running and decision.action == "activate":
        _require_addons(context, outcome, decision)
    if order.check_mode and running and decision.action == "activate":
        check_host(context, state, decision)
    if order.check_mode or not outcome.changed:
        return outcome
    what = f"activation of release {decision.activation.release}"
    with (
        deploy_lock(lock_path(context.places.releases), what, order.deployer),
        context.client.lock(),
        until_terminated(),
    ):
        if outcome.outdated and outcome.restarts_daemon:
            _restart_daemon(context, outcome.outdated, outcome)
        context, state, decision = _look(context, order, running)
        if decision is not None:
            outcome.decision, outcome.before = decision, state
            _do(context, state, decision, outcome)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _require_addons(context: Context, outcome: Outcome, decision: Decision) -> None:
    """Cluster workers run under the daemon's Node.js, others and those of a daemon to come under the installed one."""
    cluster = mode(context.wanted.app.get("exec_mode") or "fork") == "cluster"
    daemon = context.client.daemon_pid() if cluster and not outcome.restarts_daemon else None
    require_addons(context.client, context.places.release(decision.activation.release), daemon, outcome.outdated)


def _running(context: Context, check_mode: bool) -> bool:
    """Whether there is a PM2 daemon to ask. In check mode it may come earlier in the same run."""
    problem = context.client.missing
    if not check_mode:
        if problem:
            raise Pm2Error(problem)
        context.client.require_daemon()
    return not problem and context.client.daemon_pid() is not None


def _look(context: Context, order: Order, running: bool) -> tuple[Context, State, Decision | None]:
    """The state, and what is to be done; nothing is decided when in check mode there is no release yet."""
    state = read_state(context.client, context.places, list(context.wanted.preloads), running)
    if order.check_mode:
        state = coming(order, state)
    release = wanted_release(order.release, state)
    if not release:
        if order.check_mode:
            return context, state, None
        raise ActivationError(
            f"there is no release to run: {context.places.active_socket} points to none, and none was asked for. Put a"
            " release on the host first"
        )
    if release in state.releases or not (order.check_mode and order.discard_failed):
        _require_program(context, release, state)
    context = replace(context, wanted=replace(context.wanted, release=release))
    return context, state, decide(context.wanted, context.places, state, context.client.environment)


def coming(order: Order, state: State) -> State:
    """In check mode: the state as earlier tasks of the run would have left it, with what they would have changed."""
    pending = [NEWER_PRELOAD] if order.preloads_pending else []
    if order.environment_digest and order.environment_digest != _digest(state.environment):
        before = state.active_environment
        if before is not None and order.environment_digest != _digest(before):
            pending.append("the environment file would change")
        # whatever the file says now: the activation differs from it by that change or not at all
        state = replace(state, environment=before or {})
    return replace(state, pending=tuple(pending))


def _digest(environment: Mapping[str, str]) -> str:
    return hashlib.sha256(dump(environment).encode()).hexdigest()


def _require_program(context: Context, release: str, state: State) -> None:
    if release not in state.releases:
        known = ", ".join(state.releases) or "none"
        raise ActivationError(f"release {release} is not on this host; these are: {known}")
    program = Path(context.places.release(release), str(context.wanted.app["script"]))
    if not program.is_file():
        raise ActivationError(
            f"release {release} has no program {context.wanted.app['script']}: {program} is not there"
        )
    if not context.client.missing and context.client.as_user(["/usr/bin/test", "-r", str(program)], 5).returncode:
        raise ActivationError(f"release {release} can't run: {program} can't be read by the user {context.user.name}")


def _do(context: Context, state: State, decision: Decision, outcome: Outcome) -> None:
    problems: list[str] = []
    if decision.leftovers:
        began = time.monotonic()
        sweep(context, state, decision)
        outcome.timeline.append({"step": "sweep", "seconds": round(time.monotonic() - began, 2)})
        state = read_state(context.client, context.places, list(context.wanted.preloads), running=True)
    if decision.action == "activate":
        problems = _activate(context, state, decision, outcome)
    elif decision.action == "restart":
        began = time.monotonic()
        context.client.run("restart", *map(str, decision.dead))
        _active_workers(context, decision, state).wait_until_healthy(began + context.health.start_timeout)
    elif outcome.restarts_daemon:
        deadline = time.monotonic() + context.health.start_timeout
        _active_workers(context, decision, state).wait_until_healthy(deadline)
    problems += _settle(context, decision, outcome)
    if problems:
        raise ActivationError(_explain_problems(context, decision, problems))


def _settle(context: Context, decision: Decision, outcome: Outcome) -> list[str]:
    """What lies around what serves. Each thing is tried, whatever became of the others; what went wrong."""

    def save() -> None:
        outcome.saved = save_list(context.client)

    config = decision.config.encode()
    return [
        *attempt("the ecosystem file", lambda: write(context.places.config_file, config, context.config_ownership)),
        *attempt("the links `current` and `previous`", lambda: settle_links(context, decision)),
        *attempt("PM2's saved list", save),
    ]


def _restart_daemon(context: Context, daemon: Daemon, outcome: Outcome) -> None:
    began = time.monotonic()
    update(context.client, daemon, context.health.start_timeout)
    outcome.timeline.append({"step": "restart daemon", "seconds": round(time.monotonic() - began, 2)})


def _activate(context: Context, state: State, decision: Decision, outcome: Outcome) -> list[str]:
    """What went wrong although the release serves. Raises ActivationError when it does not."""
    deployment = Deployment(context, state, decision)
    try:
        deployment.activate()
    except (StabilityError, OSError) as error:
        raise ActivationError(_explain(context, deployment, error)) from error
    finally:
        outcome.timeline += deployment.timeline
        outcome.proxy = deployment.proxy
        if deployment.drained:
            outcome.drained = deployment.drained.report()
    return deployment.problems


def _active_workers(context: Context, decision: Decision, state: State) -> Workers:
    activation = decision.activation
    return Workers(
        context.client,
        app=context.places.app_name(activation),
        instances=count(context.wanted.app.get("instances")),
        path=context.places.socket(activation),
        health=context.health,
        user=context.user,
        restarts={process.pm_id: process.restarts for process in state.live},
    )


def _explain(context: Context, deployment: Deployment, error: Exception) -> str:
    """All that whoever reads the CI log needs: what, where, why, what the app said, what serves now."""
    failure = deployment.failure or Failure("put back", str(error), [])
    release = deployment.decision.activation.release
    lines = [f"Release {release} was not taken into service."]
    if read_active(context.places) == deployment.decision.activation:
        lines = [f"Release {release} failed, but it is still the active one, because it could not be put back."]
    lines.append(f"Failed step: {failure.step}. Cause: {failure.cause}")
    if failure.log_lines:
        lines += ["The app's log ends with:", *(f"  {line}" for line in failure.log_lines)]
    not_undone = [*deployment.not_undone, *attempt("PM2's saved list", lambda: save_list(context.client))]
    lines += [f"Not undone: {problem}" for problem in not_undone]
    lines.append(_what_serves(context, deployment.state))
    return "\n".join(lines)


def _explain_problems(context: Context, decision: Decision, problems: list[str]) -> str:
    release = decision.activation.release
    problem = _problem(context, decision.activation)
    serves = f"is active, but does not answer well ({problem}), and" if problem else "is active and serves, but"
    return f"Release {release} {serves} not all is in order: {'; '.join(problems)}. The next run tries it again."


def _what_serves(context: Context, before: State) -> str:
    active = read_active(context.places)
    if active is None:
        return "No release was active before, so none serves now."
    as_before = " as before" if active == before.active else ""
    if problem := _problem(context, active):
        return f"Release {active.release} is active{as_before}, but it does not answer well: {problem}"
    return f"Release {active.release} is active{as_before} and answers healthily."


def _problem(context: Context, activation: Activation) -> str:
    """What is wrong with its answer on its socket; "" when it is healthy."""
    socket = str(context.places.socket(activation))
    request = Request(url=context.health.path, unix_socket=socket, timeout=context.health.answer_timeout)
    with effective_user(context.user):
        return problem_of(read_health(request))
