# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the module pm2_app: read, plan, write the ecosystem file, act, wait, verify, save."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.command import Identity
from .client import Pm2Client
from .converge import LogTail, SavedList, execute, last_words, save, saved_list, settle, verify
from .daemon import Daemon, daemon_of, update, with_versions
from .ecosystem import declaration, read, render, shown
from .errors import Pm2Error
from .fields import check_app
from .plan import Step, plan, stop, strongest
from .process import Pm2Process
from .rpc import live_processes


@dataclass(frozen=True)
class Request:
    """What the task asks for; the names are those of the module's options."""

    apps: Sequence[Mapping[str, Any]]
    config_file: Path
    reload_when_newer: Sequence[str]
    state: str
    prune: str
    update_daemon: bool
    wait: float
    stay_up: float | None
    check_mode: bool

    @property
    def runs(self) -> bool:
        """Whether the apps are to run afterwards, as they are declared."""
        return self.state not in ("absent", "stopped")


@dataclass
class Outcome:
    steps: list[Step]
    config_before: str
    config_after: str
    before: list[Pm2Process]
    after: list[Pm2Process]
    declared: list[str]
    gone: set[str] = field(default_factory=set)
    log_lines: list[str] = field(default_factory=list)
    saved: bool = False
    saved_list: SavedList = "current"
    """How the saved list was found."""
    outdated_daemon: bool = False
    written: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.steps) or self.saved or self.written or self.config_before != self.config_after

    def report(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "action": strongest(self.steps),
            "steps": [step.report() for step in self.steps],
            "before": [process.report() for process in self.before],
            "processes": [process.report() for process in self.after],
            "declared": self.declared,
            "log_lines": self.log_lines,
            "saved": self.saved,
            "saved_list": self.saved_list,
            "outdated_daemon": self.outdated_daemon,
        }

    def diff(self, config_file: Path) -> list[dict[str, str]]:
        lines = [f"{step.action} {step.name}: {', '.join(step.reasons)}\n" for step in self.steps]
        parts = ((str(config_file), *shown(self.config_before, self.config_after)), ("processes", "", "".join(lines)))
        return [
            {"before_header": header, "after_header": header, "before": before, "after": after}
            for header, before, after in parts
        ]


def run(client: Pm2Client, request: Request, write: Callable[[str], bool]) -> Outcome:
    """Raises Pm2Error. `write` puts the ecosystem file in place, with its attributes, and tells whether it changed."""
    desired = [declaration(app, client.environment) for app in request.apps] if request.runs else []
    for app in desired:
        check_app(app)
    reachable = _reachable(client, request.check_mode)
    with client.lock(client.timeout) if reachable and not request.check_mode else nullcontext():
        daemon = daemon_of(client) if reachable else None
        updates = _update(client, request, daemon)
        user = client.owner if reachable else None
        outcome = _decide(request, desired, live_processes(client) if reachable else [], user)
        outcome.steps[:0] = updates
        outcome.outdated_daemon = daemon is not None and daemon.outdated and not updates
        outcome.written = write(outcome.config_after)
        if reachable:
            _act(client, request, desired, outcome)
    return outcome


def _reachable(client: Pm2Client, check_mode: bool) -> bool:
    """Whether there is a daemon to ask. In check mode it may come earlier in the same run."""
    problem = client.missing
    if problem and not check_mode:
        raise Pm2Error(problem)
    if not check_mode:
        client.require_daemon()
    return not problem and client.daemon_pid() is not None


def _update(client: Pm2Client, request: Request, daemon: Daemon | None) -> list[Step]:
    if daemon is None or not (request.update_daemon and daemon.outdated):
        return []
    step = Step("update", daemon.unit or "PM2 daemon", reasons=with_versions(client, daemon).difference())
    if not request.check_mode:
        update(client, daemon, request.wait)
    return [step]


def _decide(request: Request, desired: list[dict[str, Any]], live: list[Pm2Process], user: Identity | None) -> Outcome:
    content, known = read(request.config_file)
    named = {str(app["name"]) for app in request.apps}
    if request.state == "stopped":
        # the boot is not to start them again
        stated = [{**app, "autostart": False} if app["name"] in named else app for app in known]
        return Outcome(stop(named, live), content, render(stated), live, live, _names(stated))
    gone = _gone(request, named, {process.name for process in live} | set(_names(known)))
    stated = [*(app for app in known if app["name"] not in gone | named), *desired]
    steps = plan(desired, live, gone, _newest(request.reload_when_newer), request.state)
    outcome = Outcome(steps, content, render(stated), live, live, _names(stated), gone)
    if request.state == "absent":
        outcome.log_lines = [
            line for app in known if app["name"] in gone for line in LogTail(app, user, whole=True).lines()
        ]
    return outcome


def _names(apps: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(app["name"]) for app in apps)


def _gone(request: Request, named: set[str], known: Collection[str]) -> set[str]:
    if request.state == "absent":
        return named
    try:
        return {name for name in known if request.prune and re.fullmatch(request.prune, name)} - named
    except re.error as error:
        raise Pm2Error(f"prune: {request.prune!r} is no regular expression: {error}") from error


def _newest(paths: Sequence[str]) -> float:
    return max((Path(path).stat().st_mtime for path in paths if Path(path).exists()), default=0)


def _act(client: Pm2Client, request: Request, desired: list[dict[str, Any]], outcome: Outcome) -> None:
    outcome.saved_list = saved_list(client, outcome.before)
    if request.check_mode:
        outcome.saved = bool(outcome.steps) or outcome.saved_list != "current"
        return
    _require_readable(client, request.config_file)
    logs = {app["name"]: LogTail(app, client.owner) for app in desired}
    steps = [step for step in outcome.steps if step.action != "update"]
    try:
        execute(client, steps, request.config_file, outcome.before)
        outcome.after = settle(client, desired, logs, request.wait, request.stay_up)
    except Pm2Error as error:
        if "error log" in str(error):
            raise
        raise Pm2Error(f"{error}{last_words(logs.values())}") from error
    verify(desired, outcome.after, outcome.gone)
    _require_stopped(request, outcome.after)
    if saved_list(client, outcome.after) != "current":
        save(client)
        outcome.saved = True


def _require_readable(client: Pm2Client, path: Path) -> None:
    """PM2 itself says of a file that it may not read that it is not there."""
    if client.as_user(["/usr/bin/test", "-r", str(path)], client.timeout).returncode != 0:
        raise Pm2Error(f"config_file: {path} can't be read by the user {client.user}: see group and mode")


def _require_stopped(request: Request, live: Sequence[Pm2Process]) -> None:
    left = stop([str(app["name"]) for app in request.apps], live) if request.state == "stopped" else []
    if left:
        raise Pm2Error(f"still running after `pm2 stop`: {', '.join(step.name for step in left)}")
