# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments of the modules that talk to PM2, and how Ansible shows them. Their documentation is the fragment `pm2`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ansible.module_utils.common.text.converters import to_native

from .._host.module import Module, logged
from .fields import FIELDS


def _option(kind: str) -> dict[str, Any]:
    """The option of a field of that type."""
    name, _of, elements = kind.partition(" of ")
    return {"type": name, "elements": elements} if elements else {"type": name}


APP_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: _option(field.type) for name, field in FIELDS.items()},
    "name": {"type": "str", "required": True},
    "node_args": {"type": "list", "elements": "str", "aliases": ["interpreter_args"]},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"], "default": "fork"},
    "instances": {"type": "raw", "default": 1},
    "port": {"type": "int"},
    "env": {"type": "dict", "default": {}},
    "filter_env": {"type": "list", "elements": "str"},
    "log_type": {"type": "str", "choices": ["json"]},
    "disable_trace": {"type": "bool"},
}

COMMAND_OPTIONS: dict[str, dict[str, Any]] = {
    "user": {"type": "str"},
    "pm2": {"type": "path", "default": "/usr/bin/pm2"},
    "node": {"type": "path", "default": "/usr/bin/node"},
}
DAEMON_OPTIONS: dict[str, dict[str, Any]] = {
    "pm2_home": {"type": "path", "required": True},
    **COMMAND_OPTIONS,
}
TIMEOUT_OPTION: dict[str, dict[str, Any]] = {"timeout": {"type": "float", "default": 120}}
CONNECTION_OPTIONS: dict[str, dict[str, Any]] = {**DAEMON_OPTIONS, **TIMEOUT_OPTION}

MODULE_OPTIONS: dict[str, dict[str, Any]] = {
    "apps": {"type": "list", "elements": "dict", "options": APP_OPTIONS},
    "ecosystem": {"type": "path"},
    "environment": {"type": "str"},
    "config_file": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw", "default": "0640"},
    "secrets_file": {"type": "path"},
    "reload_when_newer": {"type": "list", "elements": "path", "default": []},
    "state": {
        "type": "str",
        "choices": ["started", "stopped", "restarted", "reloaded", "absent"],
        "default": "started",
    },
    "prune": {"type": "str", "default": ""},
    "update_daemon": {"type": "bool", "default": False},
    "wait": {"type": "float", "default": 60},
    "stay_up": {"type": "float"},
    **CONNECTION_OPTIONS,
}

# Stands for a value of an app's environment in what Ansible shows of a task, in the journal and with -vvv. no_log
# is no way: Ansible then hides each such value, `1` or `production`, wherever it stands in any message.
_HIDDEN = "(hidden)"
_HAVE_VALUES = ("app", "apps")


def shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they may be shown; they may be of any type, for they are shown when they are wrong, too."""
    apps = {name: options[name] for name in _HAVE_VALUES if options.get(name)}
    return {**options, **{name: _without_values(value) for name, value in apps.items()}}


def _without_values(value: Any) -> Any:
    """An app, or a list of apps."""
    if isinstance(value, list):
        return [_without_values(app) for app in value]
    if not isinstance(value, Mapping):
        return _HIDDEN
    env = value.get("env") or {}
    return {**value, "env": dict.fromkeys(env, _HIDDEN) if isinstance(env, Mapping) else _HIDDEN}


class Pm2Module(Module):
    """A module whose option `app` or `apps` has fields of PM2's ecosystem file."""

    def exit_json(self, **result: Any) -> NoReturn:
        super().exit_json(**{"invocation": {"module_args": shown(self.params)}, **result})

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        super().fail_json(msg, **{"invocation": {"module_args": shown(self.params)}, **result})

    def log(self, msg: str, log_args: Mapping[str, Any] | None = None) -> None:
        if log_args:
            hidden = {name: value for name, value in shown(self.params).items() if name in _HAVE_VALUES}
            safe = {name: logged(value, self.no_log_values) for name, value in hidden.items()}
            log_args = {**log_args, **safe}
            msg = f"Invoked with {' '.join(f'{name}={to_native(value)}' for name, value in log_args.items())}"
        super().log(msg, log_args=log_args)
