# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of a deployment: a release, an activation of it, where each thing of an activation lies, its PM2 app.

A release is a directory. An activation is one way of running it: `<id>` is the first, `<id>+2` the same release with
other settings, and so on. Each has a PM2 app, a socket for each of its workers and an environment file of its own, so
that the old and the new one run side by side and neither sees the other's settings.

The sockets lie where the service makes them: `<run>/<activation>@<instance>.sock`. A worker binds one beside that name
and renames it, so that its successor takes its place without a moment without a socket. Where they are to be found,
root's links say: `sockets/<activation>/<instance>.sock`. `active` is a link to one of these directories.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.errors import StabilityError
from .._pm2.fields import count
from .._service.active import worker_socket

SOCKET_VARIABLE = "LISTEN_SOCKET"
"""Where the program asks for a TCP port: the socket that the preload has it listen on instead."""

_NAME = re.compile(r"([^+]+)(?:\+(\d+))?")
# sun_path of Linux holds 108 bytes, the last one a NUL. A worker has up to three digits in the place of the one, and
# binds its process id, of up to seven, in the place of `sock`.
_LONGEST_SOCKET = 107 - 2 - 3


class ActivationError(StabilityError):
    """A release can't be activated; the message says why and what would be right."""


@dataclass(frozen=True)
class Activation:
    """One way of running a release."""

    release: str
    number: int = 1

    @classmethod
    def parse(cls, name: str) -> Activation | None:
        """The activation of that name; None when it is no such name."""
        found = _NAME.fullmatch(name)
        return cls(found[1], int(found[2] or 1)) if found else None

    @property
    def name(self) -> str:
        return self.release if self.number == 1 else f"{self.release}+{self.number}"

    def next(self) -> Activation:
        """The same release, run in another way."""
        return Activation(self.release, self.number + 1)


@dataclass(frozen=True)
class Places:
    """Where everything of one service lies."""

    service: str
    releases: Path
    run: Path
    environments: Path
    environment: Path
    """The environment file that the next activation gets a copy of."""
    sockets: Path
    """For each activation a directory of links to its workers' sockets; root's, as the sockets' own is not."""
    active: Path
    """The link to one of these that Nginx follows: the one truth about what is active."""
    shared_socket: Path
    """What was that link when all workers of an activation had one socket."""
    hold_socket: Path
    """Where the proxy has requests wait while the one copy of a service is replaced."""
    current: Path
    previous: Path
    config_file: Path
    """The ecosystem file: what PM2 starts at boot."""

    @classmethod
    def below(cls, directory: Path, service: str = "", run: Path | None = None) -> Places:
        """Those of the service of that directory. `run` is where the sockets are."""
        config = directory / "config"
        return cls(
            service=service or directory.name,
            releases=directory / "releases",
            run=run or Path("/run", service or directory.name),
            environments=config / "environments",
            environment=config / "environment",
            sockets=directory / "sockets",
            active=directory / "active",
            shared_socket=directory / "active.sock",
            hold_socket=directory / "hold.sock",
            current=directory / "current",
            previous=directory / "previous",
            config_file=config / "ecosystem.config.cjs",
        )

    def release(self, release: str) -> Path:
        return self.releases / release

    def socket(self, activation: Activation, instance: int = 0) -> Path:
        return self.run / f"{activation.name}@{instance}.sock"

    def links(self, activation: Activation) -> Path:
        return self.sockets / activation.name

    def link(self, activation: Activation, instance: int = 0) -> Path:
        """Where one of its workers can be asked."""
        return worker_socket(self.links(activation), instance)

    @property
    def is_earlier(self) -> bool:
        """Whether a version has set up the service of which all workers had one socket, and none since."""
        return self.shared_socket.is_symlink() and not self.active.is_symlink()

    def with_shared_socket(self) -> Activation | None:
        """The active one, if all of its workers have one socket."""
        try:
            socket = self.shared_socket.readlink()
        except OSError:
            return None
        return Activation.parse(socket.stem) if socket.parent == self.run else None

    def is_socket_of(self, activation: Activation, path: Path) -> bool:
        """Whether one of its workers has bound that path, or all of them when they had one socket together."""
        own = path.name.startswith(f"{activation.name}@") or path.name == f"{activation.name}.sock"
        return own and path.parent == self.run

    def snapshot(self, activation: Activation) -> Path:
        return self.environments / activation.name

    def app_name(self, activation: Activation) -> str:
        return f"{self.service}-{activation.name}"

    def activation_of(self, app_name: str) -> Activation | None:
        """The activation whose app has that name; None for apps of other names."""
        prefix = f"{self.service}-"
        return Activation.parse(app_name[len(prefix) :]) if app_name.startswith(prefix) else None

    @property
    def next_config_file(self) -> Path:
        """What PM2 starts a new activation from: the ecosystem file must not hold it before it is healthy."""
        return self.config_file.with_name(f"next.{self.config_file.name}")


@dataclass(frozen=True)
class Desired:
    """What a run of module active_release is asked for. Its fields are the module's options of these names."""

    app: Mapping[str, Any]
    """Fields of PM2's ecosystem file, all that do not depend on the release."""
    release: str = ""
    """An id, "previous" or "" for the active one."""
    loader: str = ""
    """Module that Node.js loads before the program, relative to the release; "" for none."""
    socket_variable: str = "PORT"
    listen_port: int = 0
    """The TCP port that the program asks for and gets its socket instead; 0 when it can listen on a path."""
    preloads: Sequence[str] = ()
    """Files that each process reads at its start, whatever its release."""
    migrate: Sequence[str] = ()
    hooks: Mapping[str, Sequence[Sequence[str | int | float]]] = field(default_factory=dict)
    """Lists of commands, each a list of words, by the point they belong to."""
    hook_timeout: int = 600
    """Seconds, for each command."""
    drain_time: float = 60
    """Seconds."""
    overlap: bool = True
    """Whether the old and the new activation may run at the same time."""
    deployer: str = ""
    check_mode: bool = False
    discard_failed: bool = False
    """Whether this run made the release, or in check mode would have: then it need not be there yet."""
    restart_outdated_daemon: bool = False
    environment_digest: str = ""
    """In check mode: SHA-256 of the environment file as it would be, without comments; "" when that is not known."""
    preloads_pending: bool = False
    """In check mode: whether a preloaded file would have been changed."""

    @property
    def instances(self) -> int:
        """How many workers an activation is to have."""
        return count(self.app.get("instances"))

    def app_of(self, activation: Activation, places: Places) -> dict[str, Any]:
        """The PM2 app that runs an activation. Raises ActivationError when its socket's path is too long."""
        socket = str(places.socket(activation))
        if len(socket.encode()) > _LONGEST_SOCKET:
            raise ActivationError(f"the path {socket} is too long for a socket: it can have {_LONGEST_SOCKET} bytes")
        directory = places.release(activation.release)
        arguments = [f"--env-file={places.snapshot(activation)}", *(self.app.get("node_args") or [])]
        if self.loader:
            arguments += ["--import", f"file://{directory}/{self.loader}"]
        return {
            **self.app,
            "name": places.app_name(activation),
            "cwd": str(directory),
            "node_args": arguments,
            "env": {**(self.app.get("env") or {}), **self._address(socket)},
        }

    @property
    def listening_advice(self) -> str:
        """What a program must do to be reached."""
        if self.listen_port:
            must = f"port {self.listen_port} (pm2_listen_port), as {self.socket_variable} says"
        else:
            must = f"the path that {self.socket_variable} tells it; one that knows only a port needs pm2_listen_port"
        return f"the program must listen on {must}"

    def _address(self, socket: str) -> dict[str, str]:
        if not self.listen_port:
            return {self.socket_variable: socket}
        return {self.socket_variable: str(self.listen_port), SOCKET_VARIABLE: socket}
