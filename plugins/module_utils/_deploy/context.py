# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of module active_release, and everything about the host and the request that its steps need."""

from __future__ import annotations

import contextlib
import grp
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._host import proc
from .._host.atomic import Ownership
from .._host.command import Identity
from .._host.errors import StabilityError
from .._pm2.argspec import APP_OPTIONS, COMMAND_OPTIONS, TIMEOUT_OPTION
from .._pm2.client import Pm2Client
from .._pm2.daemon import daemon_of, with_versions
from .._pm2.ecosystem import declaration
from .._pm2.fields import check_app, count
from .health_gate import Health, Workers
from .model import Activation, ActivationError, Desired, Places
from .tools import tools_for

# PM2's daemon has 70 after its start, and is known to leak. People are told by `daemon_mb` of the role diagnostics.
_LEAKED_MB = 256
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
    **COMMAND_OPTIONS,
    **TIMEOUT_OPTION,
    "user": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "health_path": {"type": "str", "default": "/"},
    "health_timeout": {"type": "float", "default": 5},
    "start_timeout": {"type": "float", "default": 60},
    "stay_up": {"type": "float", "default": 3},
    "proxy_url": {"type": "str", "default": ""},
    "proxy_headers": {"type": "dict", "default": {}},
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
}
# each activation has its own
_OWN_FIELDS = ("name", "cwd")


@dataclass(frozen=True)
class Context:
    """How a release is to be taken into service on this host."""

    tools: Pm2Client
    """The installed Node.js and PM2, which the next activation runs under."""
    places: Places
    desired: Desired
    health: Health
    user: Identity
    config_ownership: Ownership

    @classmethod
    def of(cls, options: Mapping[str, Any], check_mode: bool) -> Context:
        """From the module's options. Raises ActivationError, Pm2Error."""
        places = Places.below(Path(options["directory"]), options["service"], Path(options["run_directory"]))
        given = {field.name: options[field.name] for field in fields(Desired) if field.name in options}
        app = _app_of(options)
        if not options["overlap"] and count(app.get("instances")) != 1:
            raise ActivationError("overlap is false, so that never two copies run: instances must be 1")
        return cls(
            tools=Pm2Client.of({**options, "pm2_home": places.active / "pm2"}),
            places=places,
            desired=Desired(**{**given, "app": app, "check_mode": check_mode}),
            health=Health(
                path=options["health_path"],
                answer_timeout=options["health_timeout"],
                start_timeout=options["start_timeout"],
                stay_up=options["stay_up"],
                proxy_url=options["proxy_url"],
                proxy_headers={name: str(value) for name, value in options["proxy_headers"].items()},
            ),
            user=_identity(options["user"], check_mode),
            config_ownership=Ownership(0, _group(options["group"], check_mode), 0o640),
        )

    def client(self, activation: Activation) -> Pm2Client:
        """Talks to its PM2."""
        binaries = self.places.binaries(activation)
        home = self.places.pm2_home(activation)
        return replace(self.tools, home=home, pm2=str(binaries / "pm2"), node=str(binaries / "node"))

    def for_release(self, release: str) -> Context:
        """With the tools that it can run under. Raises StabilityError where there are none."""
        return replace(self, tools=tools_for(self.tools, self.places.release(release), self.user))

    def outdated(self, activation: Activation) -> tuple[str, ...]:
        """What of the Node.js and the PM2 that it runs under is not as it would be now, for people."""
        pid = self.client(activation).daemon_pid()
        size = proc.resident_mb(pid) if pid else 0
        grown = (f"PM2 has grown to {size} MB",) if size > _LEAKED_MB else ()
        return grown + self._replaced(activation)

    def _replaced(self, activation: Activation) -> tuple[str, ...]:
        if self.tools.missing:
            # in check mode: they come earlier in the same run, which says so
            return ()
        installed = replace(self.tools, home=self.places.pm2_home(activation))
        daemon = daemon_of(installed)
        if daemon and daemon.outdated:
            with contextlib.suppress(StabilityError):
                installed = tools_for(installed, self.places.release(activation.release), self.user)
                daemon = daemon_of(installed)
        return with_versions(installed, daemon).difference() if daemon and daemon.outdated else ()

    def app_of(self, activation: Activation) -> dict[str, Any]:
        """The app that is to run as this activation, as its ecosystem file states it. Raises ActivationError."""
        return declaration(self.desired.app_of(activation, self.places), self.client(activation).environment)

    def workers(self, activation: Activation, restarts: Mapping[int, int], instances: int | None = None) -> Workers:
        """Those of the activation. `restarts` says by PM2's number which ones do not count.

        `instances` is how many it has, when these are not the desired ones.
        """
        return Workers(
            self.client(activation),
            app=self.places.app_name(activation),
            instances=self.desired.instances if instances is None else instances,
            sockets=self.places.of(activation),
            health=self.health,
            user=self.user,
            restarts=restarts,
        )


def _app_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The app's fields, of the right types; the same rules as for pm2_app."""
    known = {name: option for name, option in APP_OPTIONS.items() if name not in _OWN_FIELDS}
    result = ArgumentSpecValidator(known).validate(dict(options["app"]))
    if result.error_messages:
        raise ActivationError(f"app: {'; '.join(result.error_messages)}")
    app = {name: value for name, value in result.validated_parameters.items() if value is not None}
    check_app({"name": options["service"], "cwd": options["directory"], **app})
    return app


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
