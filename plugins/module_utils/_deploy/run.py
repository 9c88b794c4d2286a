# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the module active_release: look, decide, and only when something differs, lock and do it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from .._checks.health import problem_of, read_health
from .._host.command import effective_user
from .._host.errors import StabilityError
from .._host.units import states
from .._net.http import Request
from .._pm2.errors import Pm2Error
from .._release.lock import DeployLockError, build_lock_path, deploy_lock, lock_holder, lock_path
from .._release.store import Releases
from .._service import deployments, dotenv
from .._service.secret_values import hide, texts_to_hide
from .actual import Actual, read_active, read_actual
from .alone import alone_at_processes
from .context import Context
from .links import link_sockets, write_declared
from .model import Activation, ActivationError, Desired
from .outcome import Outcome
from .plan import NEWER_PRELOAD, Decision, decide, desired_release
from .preconditions import check_host
from .signals import until_terminated
from .steps import Deployment
from .teardown import attempt, discard_release, settle_links, sweep


def run(context: Context) -> Outcome:
    """Raises StabilityError; then what was active before still is, or the message says so. It shows no secret."""
    places = context.places
    hidden: set[str] = set()
    for path in (places.environment, *places.activations.glob("*/environment")):
        # what can't be read is reported where it is needed
        with suppress(OSError):
            hidden |= texts_to_hide(dotenv.read(path))
    try:
        return _run(context)
    except (StabilityError, OSError) as error:
        # where it is locked, another run is at work, perhaps with this very release
        discarded = "" if isinstance(error, DeployLockError) else _discard(context)
        raise ActivationError(hide(f"{error}{discarded}", hidden), getattr(error, "serves", "")) from error


def _discard(context: Context) -> str:
    """Remove the directory that this run made of a release that could not be taken into service; a line for people."""
    desired, release, places = context.desired, context.desired.release, context.places
    if desired.check_mode or not desired.discard_failed or not release:
        return ""
    try:
        with deploy_lock(lock_path(places.releases), f"removal of release {release}", desired.deployer):
            said = discard_release(places, release)
    except (DeployLockError, OSError) as error:
        said = f"Its directory, {places.release(release)}, was not removed: {error}"
    return f"\n{said}" if said else ""


def _run(context: Context) -> Outcome:
    began = time.monotonic()
    desired = context.desired
    tools_come = desired.check_mode and desired.tools_pending
    if not tools_come and (problem := context.tools.missing):
        raise Pm2Error(problem)
    actual, decision = _look(context)
    outcome = Outcome(decision, actual)
    outcome.changed = decision.changes(actual)
    if not _is_coming(context) and decision.action == "activate":
        if context.places.release(decision.release).is_dir():
            context = context.for_release(decision.release)
        if desired.check_mode:
            check_host(context, actual)
    if desired.check_mode or not outcome.changed:
        return outcome
    what = f"activation of release {decision.release}"
    with deploy_lock(lock_path(context.places.releases), what, desired.deployer), until_terminated():
        outcome.ended = context.scopes.end_left()
        # once a step of the watchdog that is under way is over
        with alone_at_processes(context):
            outcome.before, outcome.decision = _look(context)
        outcome.changed = outcome.decision.changes(outcome.before)
        with _noted(context, outcome.decision):
            _do(context, outcome)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _is_coming(context: Context) -> bool:
    """Whether in check mode PM2, or the group that lets its user read a release, comes earlier in the same run."""
    other_group = context.user.gid != context.config_ownership.gid
    return context.desired.check_mode and (other_group or bool(context.tools.missing))


def _look(context: Context) -> tuple[Actual, Decision]:
    """What is there, and what is to be done."""
    desired, places = context.desired, context.places
    actual = read_actual(context)
    if desired.check_mode:
        stopped = actual.broken and not states([places.boot_unit])[places.boot_unit].active
        actual = predicted(desired, replace(actual, is_coming=bool(stopped)))
    release = desired_release(desired, actual)
    if not release:
        raise ActivationError(
            f"there is no release to run: {places.active} points to none, and none was asked for. Put a release"
            " on the host first"
        )
    if release in actual.releases or not (desired.check_mode and desired.discard_failed):
        _require_program(context, release, actual)
    return actual, decide(context, release, actual)


def predicted(desired: Desired, actual: Actual) -> Actual:
    """In check mode: the host as earlier tasks of the run would have left it, with what they would have changed."""
    pending = [NEWER_PRELOAD] if desired.preloads_pending else []
    if desired.tools_pending:
        pending.append("another Node.js or PM2 would be installed")
    if desired.environment_digest and desired.environment_digest != _digest(actual.environment):
        before = actual.active_environment
        if before is not None and desired.environment_digest != _digest(before):
            pending.append("the environment file would change")
        # whatever the file says now: the activation differs from it by that change or not at all
        actual = replace(actual, environment=before or {})
    return replace(actual, pending=tuple(pending))


def _digest(environment: Mapping[str, str]) -> str:
    return hashlib.sha256(dotenv.dump(environment).encode()).hexdigest()


def _require_program(context: Context, release: str, actual: Actual) -> None:
    places = context.places
    if builder := lock_holder(build_lock_path(places.releases)):
        # what has no mark meanwhile is half a release, unless it is what serves
        half = release != (actual.active.release if actual.active else "")
        if half and not Releases(places.releases, places.active).get(release):
            raise ActivationError(f"release {release} is not whole, and a build is at work: {builder}")
    if release not in actual.releases:
        known = ", ".join(actual.releases) or "none"
        raise ActivationError(f"release {release} is not on this host; these are: {known}")
    script = str(context.desired.app["script"])
    program = Path(context.places.release(release), script)
    if not program.is_file():
        raise ActivationError(f"release {release} has no program {script}: {program} is not there")
    if not _is_coming(context) and context.tools.as_user(["/usr/bin/test", "-r", str(program)], 5).returncode:
        raise ActivationError(f"release {release} can't run: {program} can't be read by the user {context.user.name}")


@contextmanager
def _noted(context: Context, decision: Decision) -> Iterator[None]:
    """What becomes of an activation is kept; a disk that has no room for that changes nothing of it."""
    began, result = time.monotonic(), deployments.FAILED
    try:
        yield
        result = deployments.SUCCEEDED
    finally:
        if decision.action == "activate":
            seconds, activation = round(time.monotonic() - began, 1), decision.activation.name
            one = deployments.Deployed(round(time.time(), 3), seconds, decision.release, activation, result)
            with suppress(OSError):
                deployments.note(context.places.directory, one)


def _do(context: Context, outcome: Outcome) -> None:
    actual, decision = outcome.before, outcome.decision
    problems: list[str] = []
    if decision.leftovers:
        with outcome.step("sweep"):
            sweep(context, decision)
    if decision.action == "activate":
        problems = _activate(context, actual, outcome)
    elif decision.action == "restart":
        deadline = time.monotonic() + context.health.start_timeout
        client = context.client(decision.activation)
        with client.lock(client.timeout):
            client.run("restart", *map(str, decision.dead))
        restarts = {process.pm_id: process.restarts for process in actual.live}
        context.workers(decision.activation, restarts).wait_until_healthy(deadline)
    if decision.action != "activate" and decision.strangers:
        problems += attempt("processes that nobody has declared", lambda: _delete_strangers(context, decision))
    problems += _settle(context, outcome)
    if problems:
        raise ActivationError(_explain_problems(context, decision, problems))


def _delete_strangers(context: Context, decision: Decision) -> None:
    client = context.client(decision.activation)
    with client.lock(client.timeout):
        client.run("delete", *(str(process.pm_id) for process in decision.strangers))


def _settle(context: Context, outcome: Outcome) -> list[str]:
    """What lies around what serves. Each thing is tried, whatever became of the others; what went wrong."""
    decision, names = outcome.decision, len(outcome.before.sockets)
    return [
        *attempt("the links to the sockets", lambda: link_sockets(context.places, decision, names)),
        *attempt("the ecosystem file and the options", lambda: write_declared(context, decision)),
        *attempt("the links `current` and `previous`", lambda: settle_links(context, decision)),
    ]


def _activate(context: Context, actual: Actual, outcome: Outcome) -> list[str]:
    """What went wrong although the release serves. Raises ActivationError when it does not."""
    deployment = Deployment(context, actual, outcome)
    try:
        deployment.activate()
    except (StabilityError, OSError) as error:
        serves = _what_serves(context, actual)
        raise ActivationError(_explain(context, deployment, error, serves), serves) from error
    return deployment.problems


def _explain(context: Context, deployment: Deployment, error: Exception, serves: str) -> str:
    """All that whoever reads the CI log needs: why, in which step, what the app said, what serves now."""
    decision = deployment.decision
    said = "was not taken into service"
    if read_active(context.places) == decision.activation:
        said = "failed, but it is still the active one, because it could not be put back"
    lines = [f"Release {decision.release} {said}: {error}"]
    lines.append(f"Failed step: {deployment.failed_step or 'put back'}")
    if deployment.log_lines:
        lines += ["The app's log ends with:", *(f"  {line}" for line in deployment.log_lines)]
    lines += [f"Not undone: {problem}" for problem in deployment.not_undone]
    if deployment.migration_began:
        before = deployment.migration_began.isoformat(" ", "milliseconds")
        lines.append(
            "The database stays as the migration has left it. To see it as it was before, if it has backups"
            f" (docs/backup.md): postgresql-backup restore --time '{before}'"
        )
    lines.append(serves)
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
