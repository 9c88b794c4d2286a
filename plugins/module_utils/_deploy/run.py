# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the module active_release: look, decide, and only when something differs, lock and do it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .._checks.health import problem_of, read_health
from .._host.atomic import write
from .._host.command import effective_user
from .._host.errors import StabilityError
from .._net.http import Request
from .._pm2.converge import saved_list_differs
from .._pm2.daemon import update
from .._pm2.errors import Pm2BusyError, Pm2Error
from .._pm2.fields import mode
from .._release.lock import DeployLockError, deploy_lock, lock_path
from .._service.dotenv import dump
from .actual import Actual, read_active, read_actual
from .context import Context
from .links import bring_over, link_sockets
from .model import Activation, ActivationError, Desired
from .outcome import Outcome
from .plan import NEWER_PRELOAD, NO_RELEASE, Decision, decide, desired_release
from .preconditions import check_host, outdated_daemon, require_addons
from .signals import until_terminated
from .steps import Deployment
from .teardown import attempt, discard_release, save_list, settle_links, sweep


def run(context: Context) -> Outcome:
    """Raises StabilityError or OSError; then what was active before still is, or the message says so."""
    desired = context.desired
    try:
        return _run(context)
    except (DeployLockError, Pm2BusyError):
        # another run is at work, perhaps with this very release
        raise
    except (StabilityError, OSError) as error:
        if desired.check_mode or not desired.discard_failed or not desired.release:
            raise
        raise ActivationError(f"{error}{_discard(context)}") from error


def _discard(context: Context) -> str:
    """Remove the directory of the release that could not be taken into service; a line for people."""
    release, places = context.desired.release, context.places
    try:
        with deploy_lock(lock_path(places.releases), f"removal of release {release}", context.desired.deployer):
            said = discard_release(places, release)
    except (DeployLockError, OSError) as error:
        said = f"Its directory, {places.release(release)}, was not removed: {error}"
    return f"\n{said}" if said else ""


def _run(context: Context) -> Outcome:
    began = time.monotonic()
    desired = context.desired
    running = _running(context)
    actual, decision = _look(context, running)
    outcome = Outcome(decision, actual)
    if not decision.release:
        return outcome
    outcome.outdated = outdated_daemon(context.client) if running else None
    outcome.restarts_daemon = outcome.outdated is not None and desired.restart_outdated_daemon
    unsaved = running and saved_list_differs(context.client, actual.live)
    outcome.saved = unsaved or decision.action != "none"
    outcome.changed = outcome.saved or outcome.restarts_daemon or decision.changes(actual)
    if running and not _is_coming(context) and decision.action == "activate":
        _require_addons(context, outcome)
        if desired.check_mode:
            check_host(context, actual, decision)
    if desired.check_mode or not outcome.changed:
        return outcome
    what = f"activation of release {decision.release}"
    with (
        deploy_lock(lock_path(context.places.releases), what, desired.deployer),
        context.client.lock(),
        until_terminated(),
    ):
        if outcome.outdated and outcome.restarts_daemon:
            with outcome.step("restart daemon"):
                update(context.client, outcome.outdated, context.health.start_timeout)
        bring_over(context.places, context.desired.instances)
        outcome.before, outcome.decision = _look(context, running)
        _do(context, outcome)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _is_coming(context: Context) -> bool:
    """Whether in check mode PM2, or the group that lets its user read a release, comes earlier in the same run."""
    other_group = context.user.gid != context.config_ownership.gid
    return context.desired.check_mode and (other_group or bool(context.client.missing))


def _require_addons(context: Context, outcome: Outcome) -> None:
    """Cluster workers run under the daemon's Node.js, others and those of a daemon to come under the installed one."""
    cluster = mode(context.desired.app.get("exec_mode") or "fork") == "cluster"
    daemon = context.client.daemon_pid() if cluster and not outcome.restarts_daemon else None
    require_addons(context.client, context.places.release(outcome.decision.release), daemon, outcome.outdated)


def _running(context: Context) -> bool:
    """Whether there is a PM2 daemon to ask. In check mode it may come earlier in the same run."""
    if not context.desired.check_mode:
        if problem := context.client.missing:
            raise Pm2Error(problem)
        context.client.require_daemon()
    return context.client.daemon_pid() is not None


def _look(context: Context, running: bool) -> tuple[Actual, Decision]:
    """What is there, and what is to be done; nothing is decided when in check mode there is no release yet."""
    desired, places = context.desired, context.places
    actual = read_actual(context.client, places, desired.preloads, running)
    if desired.check_mode:
        actual = predicted(desired, actual)
    release = desired_release(desired, actual)
    if not release:
        if desired.check_mode:
            return actual, NO_RELEASE
        raise ActivationError(
            f"there is no release to run: {places.active} points to none, and none was asked for. Put a release"
            " on the host first"
        )
    if release in actual.releases or not (desired.check_mode and desired.discard_failed):
        _require_program(context, release, actual)
    return actual, decide(desired, release, places, actual, context.client.environment)


def predicted(desired: Desired, actual: Actual) -> Actual:
    """In check mode: the host as earlier tasks of the run would have left it, with what they would have changed."""
    pending = [NEWER_PRELOAD] if desired.preloads_pending else []
    if desired.environment_digest and desired.environment_digest != _digest(actual.environment):
        before = actual.active_environment
        if before is not None and desired.environment_digest != _digest(before):
            pending.append("the environment file would change")
        # whatever the file says now: the activation differs from it by that change or not at all
        actual = replace(actual, environment=before or {})
    return replace(actual, pending=tuple(pending))


def _digest(environment: Mapping[str, str]) -> str:
    return hashlib.sha256(dump(environment).encode()).hexdigest()


def _require_program(context: Context, release: str, actual: Actual) -> None:
    if release not in actual.releases:
        known = ", ".join(actual.releases) or "none"
        raise ActivationError(f"release {release} is not on this host; these are: {known}")
    script = str(context.desired.app["script"])
    program = Path(context.places.release(release), script)
    if not program.is_file():
        raise ActivationError(f"release {release} has no program {script}: {program} is not there")
    if not _is_coming(context) and context.client.as_user(["/usr/bin/test", "-r", str(program)], 5).returncode:
        raise ActivationError(f"release {release} can't run: {program} can't be read by the user {context.user.name}")


def _do(context: Context, outcome: Outcome) -> None:
    actual, decision = outcome.before, outcome.decision
    problems: list[str] = []
    if decision.leftovers:
        with outcome.step("sweep"):
            sweep(context, actual, decision)
        actual = read_actual(context.client, context.places, context.desired.preloads, running=True)
    if decision.action == "activate":
        problems = _activate(context, actual, outcome)
    elif decision.action == "restart" or outcome.restarts_daemon:
        deadline = time.monotonic() + context.health.start_timeout
        if decision.action == "restart":
            context.client.run("restart", *map(str, decision.dead))
        restarts = {process.pm_id: process.restarts for process in actual.live}
        context.workers(decision.activation, restarts).wait_until_healthy(deadline)
    problems += _settle(context, outcome)
    if problems:
        raise ActivationError(_explain_problems(context, decision, problems))


def _settle(context: Context, outcome: Outcome) -> list[str]:
    """What lies around what serves. Each thing is tried, whatever became of the others; what went wrong."""

    def save() -> None:
        outcome.saved = save_list(context.client)

    decision, names = outcome.decision, len(outcome.before.sockets)
    config = decision.config.encode()
    return [
        *attempt("the links to the sockets", lambda: link_sockets(context.places, decision, names)),
        *attempt("the ecosystem file", lambda: write(context.places.config_file, config, context.config_ownership)),
        *attempt("the links `current` and `previous`", lambda: settle_links(context, decision)),
        *attempt("PM2's saved list", save),
    ]


def _activate(context: Context, actual: Actual, outcome: Outcome) -> list[str]:
    """What went wrong although the release serves. Raises ActivationError when it does not."""
    deployment = Deployment(context, actual, outcome)
    try:
        deployment.activate()
    except (StabilityError, OSError) as error:
        raise ActivationError(_explain(context, deployment, error)) from error
    return deployment.problems


def _explain(context: Context, deployment: Deployment, error: Exception) -> str:
    """All that whoever reads the CI log needs: what, where, why, what the app said, what serves now."""
    decision = deployment.decision
    lines = [f"Release {decision.release} was not taken into service."]
    if read_active(context.places) == decision.activation:
        lines = [
            f"Release {decision.release} failed, but it is still the active one, because it could not be put back."
        ]
    lines.append(f"Failed step: {deployment.failure or f'put back. Cause: {error}'}")
    if deployment.log_lines:
        lines += ["The app's log ends with:", *(f"  {line}" for line in deployment.log_lines)]
    not_undone = [*deployment.not_undone, *attempt("PM2's saved list", lambda: save_list(context.client))]
    lines += [f"Not undone: {problem}" for problem in not_undone]
    lines.append(_what_serves(context, deployment.actual))
    return "\n".join(lines)


def _explain_problems(context: Context, decision: Decision, problems: list[str]) -> str:
    release = decision.release
    problem = _problem(context, decision.activation)
    serves = f"is active, but does not answer well ({problem}), and" if problem else "is active and serves, but"
    return f"Release {release} {serves} not all is in order: {'; '.join(problems)}. The next run tries it again."


def _what_serves(context: Context, before: Actual) -> str:
    active = read_active(context.places)
    if active is None:
        return "No release was active before, so none serves now."
    as_before = " as before" if active == before.active else ""
    if problem := _problem(context, active):
        return f"Release {active.release} is active{as_before}, but it does not answer well: {problem}"
    return f"Release {active.release} is active{as_before} and answers healthily."


def _problem(context: Context, activation: Activation) -> str:
    """What is wrong with its answer on its socket; "" when it is healthy."""
    socket = str(context.places.link(activation))
    request = Request(url=context.health.path, unix_socket=socket, timeout=context.health.answer_timeout)
    with effective_user(context.user):
        return problem_of(read_health(request))
