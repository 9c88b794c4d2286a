# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of module active_release, and those of them that canary_analysis has as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._pm2.argspec import APP_OPTIONS, COMMAND_OPTIONS, TIMEOUT_OPTION
from .._pm2.fields import check_app
from .model import ActivationError

_HOOK_NAMES = (
    "before_migrate",
    "after_migrate",
    "before_start",
    "after_start",
    "before_switch",
    "after_switch",
    "before_stop",
    "after_stop",
)
_HOOK = {"type": "list", "elements": "list", "default": []}
# Their documentation is the fragment `activation`. They stand after those of PM2, by which `user` is not required.
ACTIVATION_OPTIONS: dict[str, Any] = {
    "service": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "run_directory": {"type": "path", "required": True},
    "user": {"type": "str", "required": True},
    "health_path": {"type": "str", "default": "/"},
    "health_timeout": {"type": "float", "default": 5},
    "proxy_url": {"type": "str", "default": ""},
    "proxy_headers": {"type": "dict", "default": {}},
}
SPEC: dict[str, Any] = {
    "release": {"type": "str", "default": ""},
    "app": {"type": "dict", "required": True},
    "loader": {"type": "str", "default": ""},
    "socket_variable": {"type": "str", "default": "PORT"},
    "listen_port": {"type": "int", "default": 0},
    "preloads": {"type": "list", "elements": "path", "default": []},
    **COMMAND_OPTIONS,
    **TIMEOUT_OPTION,
    **ACTIVATION_OPTIONS,
    "group": {"type": "str", "required": True},
    "start_timeout": {"type": "float", "default": 60},
    "stay_up": {"type": "float", "default": 3},
    "drain_time": {"type": "float", "default": 60},
    "overlap": {"type": "bool", "default": True},
    "hooks": {"type": "dict", "default": {}, "options": dict.fromkeys(_HOOK_NAMES, _HOOK)},
    "migrate": {"type": "list", "elements": "str", "default": []},
    "hook_timeout": {"type": "int", "default": 600},
    "discard_failed": {"type": "bool", "default": False},
    "environment_digest": {"type": "str", "default": "", "no_log": True},
    "preloads_pending": {"type": "bool", "default": False},
    "tools_pending": {"type": "bool", "default": False},
    "deployer": {"type": "str", "default": ""},
    "background": {"type": "int", "default": 0},
    "job": {"type": "str", "default": ""},
}
# each activation has its own
_OWN_FIELDS = ("name", "cwd")


def validated(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the app's fields of the right types, by the rules of pm2_app. Raises StabilityError."""
    known = {name: option for name, option in APP_OPTIONS.items() if name not in _OWN_FIELDS}
    result = ArgumentSpecValidator(known).validate(dict(options["app"]))
    if result.error_messages:
        raise ActivationError(f"app: {'; '.join(result.error_messages)}")
    app = {name: value for name, value in result.validated_parameters.items() if value is not None}
    check_app({"name": options["service"], "cwd": options["directory"], **app})
    return {**options, "app": app}
