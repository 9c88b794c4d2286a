# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of module active_release, and what they mean to the steps."""

from __future__ import annotations

import grp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._host.atomic import Ownership
from .._host.command import Identity
from .._pm2.argspec import APP_OPTIONS, CONNECTION_OPTIONS
from .._pm2.client import Pm2Client
from .._pm2.fields import check_app
from .context import HOOK_NAMES, Context, Hooks
from .health_gate import Health
from .model import ActivationError, Places, Wanted
from .run import Order

HOOK = {"type": "list", "elements": "list", "default": []}
SPEC: dict[str, Any] = {
    "service": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "run_directory": {"type": "path", "required": True},
    "release": {"type": "str", "default": ""},
    "app": {"type": "dict", "required": True},
    "loader": {"type": "str", "default": ""},
    "socket_variable": {"type": "str", "default": "PORT"},
    "listen_port": {"type": "int", "default": 0},
    "preloads": {"type": "list", "elements": "path", "default": []},
    **CONNECTION_OPTIONS,
    "user": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "health_path": {"type": "str", "default": "/"},
    "health_timeout": {"type": "float", "default": 5},
    "start_timeout": {"type": "float", "default": 60},
    "stay_up": {"type": "float", "default": 3},
    "proxy_url": {"type": "str", "default": ""},
    "proxy_headers": {"type": "dict", "default": {}},
    "drain_time": {"type": "float", "default": 60},
    "hooks": {"type": "dict", "default": {}, "options": dict.fromkeys(HOOK_NAMES, HOOK)},
    "migrate": {"type": "list", "elements": "str", "default": []},
    "hook_timeout": {"type": "int", "default": 600},
    "discard_failed": {"type": "bool", "default": False},
    "restart_outdated_daemon": {"type": "bool", "default": False},
    "environment_digest": {"type": "str", "default": "", "no_log": True},
    "preloads_pending": {"type": "bool", "default": False},
    "deployer": {"type": "str", "default": ""},
}
# each activation has its own
OWN_FIELDS = ("name", "cwd")


def order_of(options: Mapping[str, Any], check_mode: bool) -> Order:
    """What this run is asked for."""
    return Order(
        release=options["release"],
        check_mode=check_mode,
        deployer=options["deployer"],
        discard_failed=options["discard_failed"],
        restart_outdated_daemon=options["restart_outdated_daemon"],
        environment_digest=options["environment_digest"],
        preloads_pending=options["preloads_pending"],
    )


def app_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The app's fields, of the right types; the same rules as for pm2_app. Raises ActivationError, Pm2Error."""
    known = {name: option for name, option in APP_OPTIONS.items() if name not in OWN_FIELDS}
    result = ArgumentSpecValidator(known).validate(dict(options["app"]))
    if result.error_messages:
        raise ActivationError(f"app: {'; '.join(result.error_messages)}")
    app = {name: value for name, value in result.validated_parameters.items() if value is not None}
    check_app({"name": options["service"], "cwd": options["directory"], **app})
    return app


def context_of(options: Mapping[str, Any], check_mode: bool) -> Context:
    """Everything that the steps need. Raises ActivationError, Pm2Error."""
    user = _identity(options["user"], check_mode)
    return Context(
        client=Pm2Client(
            home=Path(options["pm2_home"]),
            pm2=options["pm2"],
            node=options["node"],
            user=options["user"],
            timeout=options["timeout"],
        ),
        places=Places.below(Path(options["directory"]), options["service"], Path(options["run_directory"])),
        wanted=Wanted(
            release=options["release"],
            app=app_of(options),
            loader=options["loader"],
            socket_variable=options["socket_variable"],
            listen_port=options["listen_port"],
            preloads=[Path(path) for path in options["preloads"]],
        ),
        health=Health(
            path=options["health_path"],
            answer_timeout=options["health_timeout"],
            start_timeout=options["start_timeout"],
            stay_up=options["stay_up"],
            proxy_url=options["proxy_url"],
            proxy_headers={name: str(value) for name, value in options["proxy_headers"].items()},
        ),
        hooks=Hooks(
            commands=options["hooks"],
            timeout=options["hook_timeout"],
            user=user,
            bin_directory=Path(options["node"]).parent,
        ),
        migrate=options["migrate"],
        drain_time=options["drain_time"],
        user=user,
        config_ownership=Ownership(0, _group(options["group"], check_mode), 0o640),
    )


def _identity(name: str, check_mode: bool) -> Identity:
    """The user; in check mode on a bare host a stand-in, as it is made later in the same run."""
    try:
        return Identity.of(name)
    except KeyError as error:
        if check_mode:
            return Identity(name, 0, 0, "/")
        raise ActivationError(f"this host has no user {name}") from error


def _group(name: str, check_mode: bool) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        if check_mode:
            return 0
        raise ActivationError(f"this host has no group {name}") from error
