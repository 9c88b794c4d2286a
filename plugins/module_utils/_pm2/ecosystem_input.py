# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apps from an ecosystem file of the user's own: read by PM2's own parser, named by our options.

PM2 reads JSON, YAML and JavaScript, takes several names for most fields and passes over those that it does not know,
misspelled ones too. The names are those of its lib/API/schema.json and of
https://pm2.keymetrics.io/docs/usage/application-declaration/.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .argspec import APP_OPTIONS
from .client import Pm2Client
from .daemon import package_directory
from .errors import Pm2Error

# What a program writes while it is read goes before the mark.
_MARK = "\x1eapps\x1e"
_READ = """
const [common, file, mark] = process.argv.slice(1);
const { readFileSync } = require('node:fs');
try {
  const read = require(common).parseConfig(readFileSync(file), file);
  process.stdout.write(mark + JSON.stringify(read.default ?? read));
} catch (error) {
  process.stdout.write(mark + JSON.stringify({ failed: `${error.name}: ${String(error.message).split('\\n')[0]}` }));
}
"""
_ENDINGS = (".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs")
_ALIASES = {
    "exec": "script",
    "cmd": "script",
    "command": "script",
    "exec_interpreter": "interpreter",
    "interpreter_args": "node_args",
    "out": "out_file",
    "output": "out_file",
    "out_log": "out_file",
    "error": "error_file",
    "err": "error_file",
    "err_file": "error_file",
    "err_log": "error_file",
    "log": "log_file",
    "pid": "pid_file",
    "cron": "cron_restart",
    "combine_logs": "merge_logs",
    "user": "uid",
}
# They steer the pm2 command or PM2's paid service, or exist on Windows only: nothing of them is in what runs.
_WITHOUT_EFFECT = frozenset(
    {
        "append_env_to_name",
        "deep_monitoring",
        "event_loop_inspector",
        "execute_command",
        "force",
        "install_url",
        "io",
        "name_prefix",
        "username",
        "v8",
        "windows_hide",
        "write",
    }
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_QUOTED = re.compile(r"""[^\s"'=]+="[^"]*"|[^\s"'=]+='[^']*'|"([^"]*)"|'([^']*)'|\S+""")
_LISTS = tuple(name for name, option in APP_OPTIONS.items() if option["type"] == "list")


def read_file(client: Pm2Client, path: Path, environment: str) -> list[dict[str, Any]]:
    """The apps of an ecosystem file, as this collection's modules take them.

    The file is a program: it runs as PM2's user. environment chooses the variables of `env_<environment>`. Raises
    Pm2Error; no message shows a value of the environment.
    """
    if not path.name.endswith(_ENDINGS):
        raise Pm2Error(
            f"ecosystem: PM2 does not take {path} as an ecosystem file; its name ends in {', '.join(_ENDINGS)}"
        )
    if not path.is_file():
        raise Pm2Error(f"ecosystem: {path} is not there")
    stated = _evaluate(client, path)
    return [app_options(app, environment, path, client.home) for app in _apps(stated, path)]


def _evaluate(client: Pm2Client, path: Path) -> Any:
    common = package_directory(client.pm2) / "lib" / "Common.js"
    argv = [client.node, "--eval", _READ, "--", str(common), str(path), _MARK]
    try:
        done = client.as_user(argv, client.timeout, cwd=str(path.parent))
    except subprocess.TimeoutExpired as error:
        raise Pm2Error(f"ecosystem: {path} was not read within {client.timeout:g} s") from error
    except OSError as error:
        raise Pm2Error(f"ecosystem: {path} can't be read as the user {client.user}: {error}") from error
    _said, mark, answer = done.stdout.decode(errors="replace").rpartition(_MARK)
    if not mark:
        raise Pm2Error(f"ecosystem: {path} ended the program that reads it (exit status {done.returncode})")
    try:
        stated = json.loads(answer)
    except (ValueError, RecursionError) as error:
        # JSON has no functions, and the file can print whatever it likes
        raise Pm2Error(f"ecosystem: {path} exports nothing that can be written as JSON") from error
    if isinstance(stated, dict) and set(stated) == {"failed"}:
        raise Pm2Error(f"ecosystem: {path} can't be read: {stated['failed']}")
    return stated


def _apps(stated: Any, path: Path) -> list[Mapping[str, Any]]:
    """PM2 takes {apps: []}, {pm2: []}, a list of apps, and a single one."""
    found = stated.get("apps") or stated.get("pm2") or stated if isinstance(stated, dict) else stated
    apps = found if isinstance(found, list) else [found]
    if not apps or not all(isinstance(app, dict) for app in apps):
        raise Pm2Error(f"ecosystem: {path} declares no apps: a list named apps is needed")
    return apps


def app_options(app: Mapping[str, Any], environment: str, path: Path, home: Path) -> dict[str, Any]:
    """One app of an ecosystem file as options of the module. Raises Pm2Error with the field that is wrong."""
    named = {_canonical(key): value for key, value in app.items() if value is not None}
    script = str(named.get("script", ""))
    name = str(named.get("name") or PurePath(script).stem)
    stated = named.pop("env", {})
    if not isinstance(stated, dict):
        raise Pm2Error(f"ecosystem: {path}: app {name}: env is no object of names and values")
    env = {**stated, **_chosen(named, environment, name)}
    if named.get("append_env_to_name") and environment:
        name = f"{name}-{environment}"
    fields = {key: value for key, value in named.items() if not key.startswith("env_") and key not in _WITHOUT_EFFECT}
    _refuse_unknown(fields, name, path)
    fields |= {
        "name": name,
        "cwd": posixpath.normpath(PurePath(path.parent, str(fields.get("cwd", ".")))),
        "env": {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in env.items()
            if value is not None
        },
        "exec_mode": _mode(fields),
    }
    for key in _LISTS:
        if isinstance(fields.get(key), str):
            fields[key] = _words(fields[key])
        elif key in fields and not isinstance(fields[key], list):
            fields[key] = [fields[key]]
    if isinstance(fields.get("log_file"), bool):
        fields["log_file"] = str(home / "logs" / f"{name}.log") if fields["log_file"] else None
    return _validated(fields, name, path)


def _canonical(key: str) -> str:
    """PM2 takes camelCase for every field, and other names for some."""
    if key.startswith("env_"):
        return key
    snake = _CAPITAL.sub(lambda found: f"_{found[1].lower()}", key)
    return _ALIASES.get(snake, snake)


def _words(text: str) -> list[str]:
    """What PM2 makes of a string where it wants a list."""
    return [found[1] or found[2] or found[0] for found in _QUOTED.finditer(text)]


def _mode(fields: Mapping[str, Any]) -> str:
    """PM2 takes a number of instances for cluster mode where none is declared and Node.js runs the script."""
    if fields.get("exec_mode"):
        return str(fields["exec_mode"]).removesuffix("_mode")
    node = PurePath(str(fields.get("interpreter") or "node")).name == "node"
    runs_on_node = fields.get("interpreter") or PurePath(str(fields.get("script", ""))).suffix in (
        ".js",
        ".cjs",
        ".mjs",
    )
    return "cluster" if "instances" in fields and node and runs_on_node else "fork"


def _chosen(named: Mapping[str, Any], environment: str, name: str) -> Mapping[str, Any]:
    key = f"env_{environment}"
    if not environment:
        return {}
    if not isinstance(named.get(key), dict):
        known = ", ".join(sorted(item.removeprefix("env_") for item in named if item.startswith("env_"))) or "none"
        raise Pm2Error(f"environment: app {name} has no {key}; it has {known}")
    chosen: Mapping[str, Any] = named[key]
    return chosen


def _refuse_unknown(fields: Mapping[str, Any], name: str, path: Path) -> None:
    for key in sorted(fields.keys() - APP_OPTIONS.keys()):
        near = difflib.get_close_matches(key, APP_OPTIONS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Pm2Error(f"ecosystem: {path}: app {name}: PM2 knows no field {key} and would pass over it{hint}")


def _validated(fields: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    try:
        found = ArgumentSpecValidator(APP_OPTIONS).validate(dict(fields))
    except OverflowError as error:
        # of Ansible's own validation
        raise Pm2Error(f"ecosystem: {path}: app {name}: a number is infinite") from error
    if found.error_messages:
        raise Pm2Error(f"ecosystem: {path}: app {name}: {found.error_messages[0]}")
    validated: dict[str, Any] = found.validated_parameters
    return validated
