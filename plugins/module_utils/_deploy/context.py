# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about the host, and about what is desired, that the steps need."""

from __future__ import annotations

import contextlib
import grp
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .._host import proc
from .._host.atomic import Ownership
from .._host.command import Identity, Scopes
from .._host.errors import StabilityError
from .._pm2.bus import Bus
from .._pm2.client import Pm2Client, grown
from .._pm2.daemon import daemon_of, with_versions
from .._pm2.ecosystem import declaration
from .._pm2.fields import count
from .health_gate import Health, Workers
from .model import Activation, ActivationError, Desired, Places
from .tools import tools_for

# What a later activation of the same release does not need to know.
_OF_ONE_RUN = frozenset(
    {
        *("release", "migrate", "discard_failed", "deployer", "background", "job"),
        *("environment_digest", "preloads_pending", "tools_pending"),
    }
)


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
    kept: str = ""
    """The options, as they are kept on the host for another activation of the same release."""

    @classmethod
    def of(cls, options: Mapping[str, Any], check_mode: bool = False) -> Context:
        """From the module's options, or from those that are kept. Raises ActivationError."""
        places = Places.below(Path(options["directory"]), options["service"], Path(options["run_directory"]))
        given = {field.name: options[field.name] for field in fields(Desired) if field.name in options}
        if not options["overlap"] and count(options["app"].get("instances")) != 1:
            raise ActivationError("overlap is false, so that never two copies run: instances must be 1")
        return cls(
            tools=Pm2Client.of({**options, "pm2_home": places.active / "pm2"}),
            places=places,
            desired=Desired(**given, check_mode=check_mode),
            health=Health.of(options),
            user=_identity(options["user"], check_mode),
            config_ownership=Ownership(0, _group(options["group"], check_mode), 0o640),
            kept=json.dumps({name: options[name] for name in sorted({*options} - _OF_ONE_RUN)}, indent=2) + "\n",
        )

    @property
    def scopes(self) -> Scopes:
        """Those of the user's commands around an activation, a migration above all."""
        return Scopes.of("deploy", self.places.directory, f"command of a deployment of {self.places.service}")

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
        problem = grown(proc.resident_mb(pid) if pid else 0)
        return (*([problem] if problem else []), *self._replaced(activation))

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

    def workers(
        self,
        activation: Activation,
        restarts: Mapping[int, int],
        instances: int | None = None,
        bus: Bus | None = None,
    ) -> Workers:
        """Those of the activation. `restarts` says by PM2's number which ones do not count.

        `instances` is how many it has, when these are not the desired ones; `bus` hears them.
        """
        return Workers(
            self.client(activation),
            app=self.places.app_name(activation),
            instances=self.desired.instances if instances is None else instances,
            sockets=self.places.of(activation),
            health=self.health,
            user=self.user,
            restarts=restarts,
            bus=bus,
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
