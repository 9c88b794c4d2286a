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

from ._pm2_client import LiveProcess, Pm2Client, Pm2Error
from ._pm2_converge import LogTail, execute, save, saved_list_differs, settle, verify
from ._pm2_ecosystem import declaration, read, render
from ._pm2_fields import check_app
from ._pm2_plan import Step, plan, strongest

APP_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"type": "str", "required": True} for name in ("name", "script")},
    "cwd": {"type": "path", "required": True},
    "args": {"type": "list", "elements": "str"},
    "node_args": {"type": "list", "elements": "str", "aliases": ["interpreter_args"]},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"], "default": "fork"},
    "instances": {"type": "int", "default": 1},
    "env": {"type": "dict", "default": {}},
    "stop_exit_codes": {"type": "list", "elements": "int"},
    "watch_options": {"type": "dict"},
    "log_type": {"type": "str", "choices": ["json"]},
    **{name: {"type": "list", "elements": "str"} for name in ("ignore_watch", "filter_env")},
    **{name: {"type": "path"} for name in ("out_file", "error_file", "log_file", "pid_file")},
    **{
        name: {"type": "str"}
        for name in (
            "interpreter",
            "namespace",
            "max_memory_restart",
            "min_uptime",
            "cron_restart",
            "log_date_format",
            "instance_var",
            "increment_var",
            "uid",
            "gid",
        )
    },
    **{
        name: {"type": "int"}
        for name in (
            "max_restarts",
            "restart_delay",
            "exp_backoff_restart_delay",
            "kill_timeout",
            "listen_timeout",
            "watch_delay",
        )
    },
    **{
        name: {"type": "bool"}
        for name in (
            "autorestart",
            "autostart",
            "wait_ready",
            "shutdown_with_message",
            "treekill",
            "watch",
            "merge_logs",
            "time",
            "disable_logs",
            "source_map_support",
            "disable_source_map_support",
            "vizion",
            "pmx",
            "automation",
            "trace",
            "disable_trace",
        )
    },
}


MODULE_OPTIONS: dict[str, dict[str, Any]] = {
    "apps": {"type": "list", "elements": "dict", "default": [], "options": APP_OPTIONS},
    "config_file": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw", "default": "0640"},
    "pm2_home": {"type": "path", "required": True},
    "user": {"type": "str"},
    "pm2": {"type": "path", "default": "/usr/bin/pm2"},
    "node": {"type": "path", "default": "/usr/bin/node"},
    "secrets_file": {"type": "path"},
    "reload_when_newer": {"type": "list", "elements": "path", "default": []},
    "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
    "prune": {"type": "str", "default": ""},
    "wait": {"type": "float", "default": 60},
    "stay_up": {"type": "float"},
    "timeout": {"type": "float", "default": 120},
}


@dataclass(frozen=True)
class Request:
    """What the task asks for; the names are those of the module's options."""

    apps: Sequence[Mapping[str, Any]]
    config_file: Path
    reload_when_newer: Sequence[str]
    state: str
    prune: str
    wait: float
    stay_up: float | None
    check_mode: bool


@dataclass
class Outcome:
    steps: list[Step]
    config_before: str
    config_after: str
    before: list[LiveProcess]
    after: list[LiveProcess]
    declared: list[str]
    log_lines: list[str] = field(default_factory=list)
    saved: bool = False
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
            "outdated_daemon": self.outdated_daemon,
        }

    def diff(self, config_file: Path) -> list[dict[str, str]]:
        lines = [f"{step.action} {step.name}: {', '.join(step.reasons)}\n" for step in self.steps]
        return [
            {
                "before_header": str(config_file),
                "after_header": str(config_file),
                "before": self.config_before,
                "after": self.config_after,
            },
            {"before_header": "processes", "after_header": "processes", "before": "", "after": "".join(lines)},
        ]


def run(client: Pm2Client, request: Request, write: Callable[[str], bool]) -> Outcome:
    """Raises Pm2Error. `write` puts the ecosystem file in place, with its attributes, and tells whether it changed."""
    started = request.state == "started"
    desired = [declaration(app, client.environment) for app in request.apps] if started else []
    for app in desired:
        check_app(app)
    reachable = _reachable(client, request.check_mode)
    with client.lock() if reachable and not request.check_mode else nullcontext():
        live = client.processes() if reachable else []
        content, known = read(request.config_file)
        gone = _gone(request, {process.name for process in live} | {str(app["name"]) for app in known})
        kept = [app for app in known if app["name"] not in gone | {item["name"] for item in desired}]
        steps = plan(desired, live, gone, _newest(request.reload_when_newer))
        stated = [*kept, *desired]
        names = sorted(str(app["name"]) for app in stated)
        outcome = Outcome(steps, content, render(stated), before=live, after=live, declared=names)
        if not started:
            outcome.log_lines = [line for app in known if app["name"] in gone for line in LogTail.whole(app).lines()]
        outcome.written = write(outcome.config_after)
        if reachable:
            _act(client, request, desired, gone, outcome)
    return outcome


def _reachable(client: Pm2Client, check_mode: bool) -> bool:
    """Whether there is a daemon to ask. In check mode it may come earlier in the same run."""
    problem = client.missing
    if problem and not check_mode:
        raise Pm2Error(problem)
    if not check_mode:
        client.require_daemon()
    return not problem and client.daemon_pid() is not None


def _gone(request: Request, known: Collection[str]) -> set[str]:
    named = {str(app["name"]) for app in request.apps}
    if request.state == "absent":
        return named
    try:
        return {name for name in known if request.prune and re.fullmatch(request.prune, name)} - named
    except re.error as error:
        raise Pm2Error(f"prune: {request.prune!r} is no regular expression: {error}") from error


def _newest(paths: Sequence[str]) -> float:
    return max((Path(path).stat().st_mtime for path in paths if Path(path).exists()), default=0)


def _act(
    client: Pm2Client, request: Request, desired: list[dict[str, Any]], gone: Collection[str], outcome: Outcome
) -> None:
    outcome.outdated_daemon = client.outdated_node()
    if request.check_mode:
        outcome.saved = bool(outcome.steps) or saved_list_differs(client, outcome.before)
        return
    logs = {app["name"]: LogTail(app) for app in desired}
    try:
        execute(client, outcome.steps, request.config_file)
        outcome.after = settle(client, desired, logs, request.wait, request.stay_up)
    except Pm2Error as error:
        raise Pm2Error(_with_logs(str(error), logs)) from error
    verify(desired, outcome.after, gone)
    if saved_list_differs(client, outcome.after):
        save(client)
        outcome.saved = True


def _with_logs(message: str, logs: Mapping[str, LogTail]) -> str:
    if "error log" in message:
        return message
    said = [line for tail in logs.values() for line in tail.lines()]
    return message + ("\nThe app's error log ends with:\n" + "\n".join(said) if said else "")
