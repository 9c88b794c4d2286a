# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specifications of the modules that talk to PM2. Their documentation is the fragment `pm2`."""

from __future__ import annotations

from typing import Any

_STRINGS = (
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
_NUMBERS = (
    "max_restarts",
    "restart_delay",
    "exp_backoff_restart_delay",
    "kill_timeout",
    "kill_retry_time",
    "listen_timeout",
    "watch_delay",
    "port",
)
_SWITCHES = (
    "autorestart",
    "autostart",
    "wait_ready",
    "shutdown_with_message",
    "treekill",
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

APP_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "script": {"type": "str"},
    "cwd": {"type": "path"},
    "args": {"type": "list", "elements": "str"},
    "node_args": {"type": "list", "elements": "str", "aliases": ["interpreter_args"]},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"], "default": "fork"},
    "instances": {"type": "raw", "default": 1},
    "env": {"type": "dict", "default": {}},
    "stop_exit_codes": {"type": "list", "elements": "int"},
    "watch": {"type": "raw"},
    "watch_options": {"type": "dict"},
    "log_type": {"type": "str", "choices": ["json"]},
    **{name: {"type": "list", "elements": "str"} for name in ("ignore_watch", "filter_env", "post_update")},
    **{name: {"type": "path"} for name in ("out_file", "error_file", "log_file", "pid_file")},
    **{name: {"type": "str"} for name in _STRINGS},
    **{name: {"type": "int"} for name in _NUMBERS},
    **{name: {"type": "bool"} for name in _SWITCHES},
}

CONNECTION_OPTIONS: dict[str, dict[str, Any]] = {
    "pm2_home": {"type": "path", "required": True},
    "user": {"type": "str"},
    "pm2": {"type": "path", "default": "/usr/bin/pm2"},
    "node": {"type": "path", "default": "/usr/bin/node"},
    "timeout": {"type": "float", "default": 120},
}

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
