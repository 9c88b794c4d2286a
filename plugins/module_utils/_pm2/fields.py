# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of a PM2 app: what they are called in the ecosystem file and in a live process, and when they are equal.

What PM2 itself documents: https://pm2.keymetrics.io/docs/usage/application-declaration/. Which fields a reload
applies is measured (PM2 7.0.4): `pm2 reload` takes every plain setting and new values of the environment into the
running record, but never takes anything out and resolves no path anew.

What a live process has is what a daemon of the service's user reports, which may be anything. A normal form raises
Pm2Error, and nothing else, for what it can't be of: of a declaration that is an error, of a live process a difference.
"""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from .errors import Pm2Error
from .process import Pm2Process

Remedy = Literal["reload", "recreate"]

# Python refuses to read numbers of some thousand digits
_SIZE = re.compile(r"^(\d{1,20})([KMG]?)$")
_PERIOD = re.compile(r"^(\d{1,20})(ms|h|m|s)?$")
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_MILLISECONDS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_INSTANCE_SUFFIX = re.compile(r"(-\d+)?(\.[^./]*)$")
# what `time: true` stands for
_TIME_FORMAT = "YYYY-MM-DDTHH:mm:ss"
_WRAPPERS = frozenset({"tsx", "ts-node", "npm", "npx", "pnpm", "yarn", "bun", "nodemon"})
# what is said of a live value that PM2 can't have been given
_UNCLEAR = "unintelligible"


def milliseconds(value: Any) -> int:
    """PM2's periods: a number of milliseconds, or one with h, m or s."""
    found = _PERIOD.match(str(value))
    if not found:
        raise Pm2Error(f"{value!r} is no period: milliseconds, or a number followed by s, m or h, such as 10s")
    return int(found[1]) * _MILLISECONDS[found[2] or ""]


def size(value: Any) -> int:
    """PM2's sizes in bytes; it rejects fractions."""
    found = _SIZE.match(str(value))
    if not found or int(found[1]) == 0:
        raise Pm2Error(f"{value!r} is no size: a whole number followed by K, M or G, such as 1536M")
    return int(found[1]) * _BYTES[found[2]]


def text(value: Any) -> str:
    """A value as a process sees it in its environment."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def words(value: Any) -> list[str]:
    """Arguments, in one text or one by one. Raises Pm2Error."""
    if isinstance(value, str):
        return value.split()
    if value and not isinstance(value, list):
        raise Pm2Error(f"{value!r} is no list of words")
    return [text(item) for item in value or []]


def mode(value: Any) -> str:
    return str(value).removesuffix("_mode")


def count(value: Any) -> int:
    """How many processes a declared number of instances is. Raises Pm2Error."""
    if value is None:
        return 1
    try:
        number = 0 if value == "max" else int(str(value))
    except ValueError as error:
        raise Pm2Error(f"instances: {value!r} is neither a whole number nor max") from error
    return number if number > 0 else max(1, number + (os.cpu_count() or 1))


def watched(value: Any) -> bool | list[str]:
    """Whether files are watched, or which. Raises Pm2Error."""
    if isinstance(value, list):
        return [str(item) for item in value]
    if str(value).lower() not in ("true", "false"):
        raise Pm2Error(f"watch: {value!r} is neither true, false nor a list of paths")
    return str(value).lower() == "true"


def account(name: Any) -> pwd.struct_passwd | None:
    """The user of that name, where the host has it."""
    try:
        return pwd.getpwnam(str(name))
    except (KeyError, ValueError):
        # no name has a NUL in it
        return None


def user_number(value: Any) -> Any:
    """PM2 keeps the number of the user that was declared by name; a name that the host lacks stays one."""
    found = account(value)
    return found.pw_uid if found else value


def group_number(value: Any) -> Any:
    try:
        return grp.getgrnam(str(value)).gr_gid
    except (KeyError, ValueError):
        return value


def numbers(value: Any) -> list[int]:
    """Whole numbers; PM2 keeps a list of one as the bare number. Raises Pm2Error."""
    try:
        return [int(item) for item in (value if isinstance(value, list) else [value])]
    except (TypeError, ValueError, OverflowError) as error:
        raise Pm2Error(f"{value!r} is no list of whole numbers") from error


def _same(value: Any) -> Any:
    return value


def _without_number(value: Any) -> str:
    # PM2 puts the process's number before the extension
    return _INSTANCE_SUFFIX.sub(r"\2", str(value))


@dataclass(frozen=True)
class Field:
    """One declared field: its type as an option, its key in a live process, PM2's default, its normal form, what a
    change of it takes."""

    type: str
    live: str
    default: Any = None
    normal: Callable[[Any], Any] = _same
    remedy: Remedy = "reload"
    path: bool = False


# filter_env is not here: it chooses what `pm2 start` copies into the environment, and that is compared.
FIELDS: dict[str, Field] = {
    "script": Field("str", "pm_exec_path", remedy="recreate", path=True),
    "cwd": Field("path", "pm_cwd", remedy="recreate"),
    "interpreter": Field("str", "exec_interpreter", remedy="recreate"),
    "exec_mode": Field("str", "exec_mode", "fork", mode, remedy="recreate"),
    "namespace": Field("str", "namespace", "default", remedy="recreate"),
    "uid": Field("str", "uid", normal=user_number, remedy="recreate"),
    "gid": Field("str", "gid", normal=group_number, remedy="recreate"),
    "out_file": Field("path", "pm_out_log_path", remedy="recreate", path=True),
    "error_file": Field("path", "pm_err_log_path", remedy="recreate", path=True),
    "log_file": Field("path", "pm_log_path", remedy="recreate", path=True),
    "pid_file": Field("path", "pm_pid_path", normal=_without_number, remedy="recreate", path=True),
    "merge_logs": Field("bool", "merge_logs", False, bool, remedy="recreate"),
    "instance_var": Field("str", "instance_var", "NODE_APP_INSTANCE", remedy="recreate"),
    "increment_var": Field("str", "increment_var", remedy="recreate"),
    "autostart": Field("bool", "autostart", True, remedy="recreate"),
    "watch": Field("raw", "watch", False, watched, remedy="recreate"),
    "ignore_watch": Field("list of str", "ignore_watch", remedy="recreate"),
    "watch_delay": Field("int", "watch_delay", remedy="recreate"),
    "watch_options": Field("dict", "watch_options", remedy="recreate"),
    "cron_restart": Field("str", "cron_restart", remedy="recreate"),
    "node_args": Field("list of str", "node_args", [], words),
    "args": Field("list of str", "args", [], words),
    "max_memory_restart": Field("str", "max_memory_restart", None, size),
    "autorestart": Field("bool", "autorestart", True),
    "max_restarts": Field("int", "max_restarts"),
    "min_uptime": Field("str", "min_uptime", None, milliseconds),
    "restart_delay": Field("int", "restart_delay"),
    "exp_backoff_restart_delay": Field("int", "exp_backoff_restart_delay"),
    "stop_exit_codes": Field("list of int", "stop_exit_codes", None, numbers),
    "kill_timeout": Field("int", "kill_timeout"),
    "kill_retry_time": Field("int", "kill_retry_time", 100),
    "listen_timeout": Field("int", "listen_timeout"),
    "post_update": Field("list of str", "post_update"),
    "wait_ready": Field("bool", "wait_ready", False),
    "shutdown_with_message": Field("bool", "shutdown_with_message", False),
    "treekill": Field("bool", "treekill", True),
    "log_date_format": Field("str", "log_date_format"),
    "log_type": Field("str", "log_type"),
    "time": Field("bool", "time", False),
    "disable_logs": Field("bool", "disable_logs", False),
    "source_map_support": Field("bool", "source_map_support"),
    "disable_source_map_support": Field("bool", "disable_source_map_support", False),
    "vizion": Field("bool", "vizion", True),
    "pmx": Field("bool", "pmx", True),
    "automation": Field("bool", "automation", True),
    "trace": Field("bool", "trace", False),
}

_SETTINGS = frozenset(
    {*FIELDS, *(field.live for field in FIELDS.values())}
    | {"name", "env", "status", "pm_id", "restart_time", "created_at", "instances"}
)

# PM2 writes these into every live environment itself; PWD is its own trace of the working directory
_OWN_VARIABLES = re.compile(r"^(PM2_\w*|PWD|unique_id|io)$")
_LOGS = frozenset({"out_file", "error_file", "log_file"})
# Below PM2's home, with the app's name in PM2's spelling.
_DEFAULT_PATHS = {"out_file": "logs/{}-out.log", "error_file": "logs/{}-error.log", "pid_file": "pids/{}.pid"}
_SPECIAL = re.compile(r"[^a-zA-Z0-9\\.-]")
# PM2's lib/API/interpreter.json; all else is run by Node.js, and a binary by nothing.
_INTERPRETERS = {
    ".sh": ("bash",),
    ".py": ("python", "python3"),
    ".rb": ("ruby",),
    ".php": ("php",),
    ".pl": ("perl",),
    ".coffee": ("coffee",),
    ".ls": ("lsc",),
    ".ts": ("bun", "node"),
    ".tsx": ("bun",),
}


@dataclass(frozen=True)
class Difference:
    field: str
    live: Any
    desired: Any
    remedy: Remedy

    def __str__(self) -> str:
        return f"{self.field}: {self.live!r} -> {self.desired!r}"


def differences(app: Mapping[str, Any], process: Pm2Process) -> list[Difference]:
    """How one live process deviates from its declaration. The number of instances is not a matter of one process."""
    effective = _effective(app)
    found = [_difference(effective, process, name, field) for name, field in FIELDS.items()]
    return [item for item in found if item] + _environment(effective, process)


def _effective(app: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration as PM2 itself reads it, where one field decides over another."""
    effective = dict(app)
    if app.get("time"):
        effective["log_date_format"] = _TIME_FORMAT
    if app.get("automation") is False:
        effective["pmx"] = False
    if app.get("disable_trace"):
        effective["trace"] = False
    if app.get("uid") is not None and app.get("gid") is None:
        user = account(app["uid"])
        effective["gid"] = user.pw_gid if user else None
    if app.get("merge_logs") is None and mode(app.get("exec_mode") or "fork") == "fork" and "instances" not in app:
        effective["merge_logs"] = True
    return effective


def _difference(app: Mapping[str, Any], process: Pm2Process, name: str, field: Field) -> Difference | None:
    declared = app.get(name)
    live = process.settings.get(field.live)
    if name == "merge_logs" and not declared and _numbered(process):
        # `pm2 restart` by hand sets it, and no log changes its name
        live = False
    if name == "interpreter" and _same_interpreter(app, declared, str(live)):
        return None
    default = _default_path(process, name) if name in _DEFAULT_PATHS else field.default
    if declared is None and default is None and name in (*_DEFAULT_PATHS, "cwd"):
        return None
    desired = default if declared is None else declared
    if field.path and declared is not None and declared not in ("/dev/null", "NULL"):
        desired = posixpath.normpath(PurePath(str(app.get("cwd") or "/"), str(declared)))
    normal = _without_number if name in _LOGS and not app.get("merge_logs") else field.normal
    desired = None if desired is None else normal(desired)
    actual = live if live is not None else field.default
    try:
        actual = None if actual is None else normal(actual)
    except Pm2Error:
        return Difference(name, _UNCLEAR, desired, "recreate")
    if desired == actual:
        return None
    # a reload sets values, but never takes a field out again
    remedy: Remedy = "recreate" if declared is None else field.remedy
    return Difference(name, actual, desired, remedy)


def _numbered(process: Pm2Process) -> bool:
    """Whether the process has log files of its own, with its number in their names."""
    return str(process.settings.get("pm_out_log_path")).endswith(f"-{process.pm_id}.log")


def _default_path(process: Pm2Process, name: str) -> str | None:
    """Where PM2 writes when nothing is declared; unknown for a process that was not told PM2's home."""
    home = (_live_environment(process) or {}).get("PM2_HOME")
    return f"{home}/{_DEFAULT_PATHS[name].format(_SPECIAL.sub('-', process.name))}" if home else None


def _same_interpreter(app: Mapping[str, Any], declared: Any, live: str) -> bool:
    """In cluster mode the daemon's own Node.js runs the workers: PM2 records its path, however it was declared."""
    name = PurePath(live).name
    if declared is None:
        return name in _INTERPRETERS.get(PurePath(str(app.get("script", ""))).suffix, ("node", "none"))
    clustered = mode(app.get("exec_mode", "fork")) == "cluster"
    return str(declared) == live or (clustered and PurePath(str(declared)).name == "node" and name == "node")


def _live_environment(process: Pm2Process) -> Mapping[str, Any] | None:
    """None where what the process is said to have is no environment."""
    found = process.settings.get("env") or {}
    return found if isinstance(found, dict) else None


def _environment(app: Mapping[str, Any], process: Pm2Process) -> list[Difference]:
    """Values are not shown: whatever a program is told may be confidential."""
    reported = _live_environment(process)
    if reported is None:
        return [Difference("env", _UNCLEAR, "an environment", "recreate")]
    desired = {key: text(value) for key, value in (app.get("env") or {}).items()}
    # its value differs from process to process
    desired.pop(str(app.get("increment_var")), None)
    own = {process.name, str(app.get("instance_var") or "NODE_APP_INSTANCE"), str(app.get("increment_var") or "")}
    live = {
        key: text(value)
        for key, value in reported.items()
        if key in desired or not (key in own or _OWN_VARIABLES.match(key))
    }
    changed = [key for key, value in desired.items() if key in live and live[key] != value]
    return [
        *(Difference(f"env.{key}", "absent", "set", "reload") for key in desired if key not in live),
        *(Difference(f"env.{key}", "set", "changed", "reload") for key in changed),
        *(Difference(f"env.{key}", "set", "absent", "recreate") for key in live if key not in desired),
    ]


def check_app(app: Mapping[str, Any]) -> None:
    """Refuse what PM2 accepts but cannot run well. Raises Pm2Error with what to do instead."""
    name, script = app["name"], str(app.get("script") or "")
    for field in ("script", "cwd"):
        if not app.get(field):
            raise Pm2Error(f"app {name}: {field} is missing")
    if not re.fullmatch(r"[^\s,]+", name):
        raise Pm2Error(
            f"app {name!r}: PM2 takes a space or comma in an app's name for the end of it; choose another name"
        )
    for variable in (name, *(app.get("env") or {})):
        if variable in _SETTINGS:
            # measured: `pm2 start` of an app named cron_restart never returns
            raise Pm2Error(
                f"app {name}: PM2 keeps an app's name and variables among its settings, so {variable} would be taken"
                " for the setting of that name; choose another name"
            )
    count(app.get("instances"))
    for field in ("watch", "max_memory_restart", "min_uptime"):
        if app.get(field) is not None:
            FIELDS[field].normal(app[field])
    if mode(app.get("exec_mode") or "fork") == "fork":
        if script.endswith((".ts", ".tsx", ".mts")) and not app.get("interpreter"):
            raise Pm2Error(f"app {name}: PM2 starts {script} with bun unless `interpreter` is given: set it to node")
        return
    if "node_modules/.bin/" in script or PurePath(script).name in _WRAPPERS:
        raise Pm2Error(
            f"app {name}: {script} only starts another process, so in cluster mode every instance binds the address"
            " itself, all but one die with EADDRINUSE, and the memory limit measures the starter. Name the program's"
            " own entry file as the script and load TypeScript by node_args, for example"
            " `--import file:///srv/app/node_modules/tsx/dist/loader.mjs`"
        )
    if PurePath(str(app.get("interpreter") or "node")).name not in ("node", "none"):
        raise Pm2Error(f"app {name}: cluster mode runs Node.js only, not {app['interpreter']}; use exec_mode fork")
