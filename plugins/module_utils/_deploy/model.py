# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of a deployment: a release, an activation of it, where each thing of an activation lies, its PM2 app.

A release is a directory. An activation is one way of running it: `<id>` is the first, `<id>@2` the same release with
other settings, and so on. Each is a unit, `<service>@<activation>.service`: a PM2 daemon with its workers, under the
Node.js and the PM2 that were installed when it was made. So the old and the new one run side by side, neither sees the
other's settings, and the daemon ends with its release.

What root has made of an activation is in one directory, `activations/<activation>/`: its ecosystem file, its copy of
the environment, the options that it was made of, and links to its tools, to its PM2's home and, as `<instance>.sock`,
to its workers' sockets. `active` is a link to one of these directories.

The sockets lie where the service makes them: `<run>/<activation>@<instance>.sock`. A worker binds one beside that name
and renames it, so that its successor takes its place without a moment without a socket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.errors import StabilityError
from .._pm2.fields import count
from .._service.active import PROCESS_LOCK, worker_socket

SOCKET_VARIABLE = "LISTEN_SOCKET"
"""Where the program asks for a TCP port: the socket that the preload has it listen on instead."""

OPTIONS = "options.json"
"""In the directory of an activation."""

# No directory of PATH can have a colon in its name, and no unit a plus.
_NAME = re.compile(r"([^@]+)(?:@(\d+))?")
# sun_path of Linux holds 108 bytes, the last one a NUL. A worker has up to three digits in the place of the one, and
# binds its process id, of up to seven, in the place of `sock`.
_LONGEST_SOCKET = 107 - 2 - 3
_RUN = Path("/run")


class ActivationError(StabilityError):
    """A release can't be activated; the message says why and what would be right."""

    def __init__(self, message: str, serves: str = "") -> None:
        super().__init__(message)
        self.serves = serves
        """What serves now, where that is known."""


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
        return self.release if self.number == 1 else f"{self.release}@{self.number}"

    def next(self) -> Activation:
        """The same release, run in another way."""
        return Activation(self.release, self.number + 1)


@dataclass(frozen=True)
class Places:
    """Where everything of one service lies."""

    service: str
    releases: Path
    run: Path
    environment: Path
    """The environment file that the next activation gets a copy of."""
    activations: Path
    active: Path
    """The link to one of these, which Nginx and the boot follow: the one truth about what is active."""
    hold_socket: Path
    """Where the proxy has requests wait while the one copy of a service is replaced."""
    current: Path
    previous: Path

    @classmethod
    def below(cls, directory: Path, service: str = "", run: Path | None = None) -> Places:
        """Those of the service of that directory. `run` is where the sockets are."""
        name = service or directory.name
        return cls(
            service=name,
            releases=directory / "releases",
            run=run or _RUN / name,
            environment=directory / "config/environment",
            activations=directory / "activations",
            active=directory / "active",
            hold_socket=directory / "hold.sock",
            current=directory / "current",
            previous=directory / "previous",
        )

    @property
    def directory(self) -> Path:
        return self.releases.parent

    @property
    def process_lock(self) -> Path:
        return self.directory / PROCESS_LOCK

    def release(self, release: str) -> Path:
        return self.releases / release

    def socket(self, activation: Activation, instance: int = 0) -> Path:
        return self.run / f"{activation.name}@{instance}.sock"

    def is_socket_of(self, activation: Activation, path: Path) -> bool:
        """Whether one of its workers has bound that path."""
        name, _at, _instance = path.name.rpartition("@")
        return path.parent == self.run and name == activation.name

    def of(self, activation: Activation) -> Path:
        """The directory of what root has made of it."""
        return self.activations / activation.name

    def link(self, activation: Activation, instance: int = 0) -> Path:
        """Where one of its workers can be asked."""
        return worker_socket(self.of(activation), instance)

    def snapshot(self, activation: Activation) -> Path:
        """Its copy of the environment file."""
        return self.of(activation) / "environment"

    def config_file(self, activation: Activation) -> Path:
        """The ecosystem file that its PM2 starts."""
        return self.of(activation) / "ecosystem.config.cjs"

    def options_file(self, activation: Activation) -> Path:
        """What was asked for when it was made, or since, for another activation of its release."""
        return self.of(activation) / OPTIONS

    def binaries(self, activation: Activation) -> Path:
        """The link to the node and the pm2 that it runs under."""
        return self.of(activation) / "bin"

    def pm2_home(self, activation: Activation) -> Path:
        """The home of its PM2: systemd makes it when the unit starts, and removes it at the end."""
        return _RUN / f"{self.service}@{activation.name}"

    def pm2_link(self, activation: Activation) -> Path:
        """The link to it, for whoever knows only what is active."""
        return self.of(activation) / "pm2"

    def unit(self, activation: Activation) -> str:
        """What systemd calls its PM2 and its workers."""
        return f"{self.service}@{activation.name}.service"

    @property
    def boot_unit(self) -> str:
        """What starts the active one at a boot, and by hand."""
        return f"{self.service}.service"

    def app_name(self, activation: Activation) -> str:
        return f"{self.service}-{activation.name}"


@dataclass(frozen=True)
class Desired:
    """What a run of module active_release is asked for. Its fields but one are the module's options of these names."""

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
    """Files that are read when an activation starts, whatever its release: what its processes load, and the unit."""
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
    renews: bool = False
    """Whether another activation takes the place of the active one whatever that is, and its PM2 is not asked first."""
    discard_failed: bool = False
    """Whether this run made the release, or in check mode would have: then it need not be there yet."""
    environment_digest: str = ""
    """In check mode: SHA-256 of the environment file as it would be, without comments; "" when that is not known."""
    preloads_pending: bool = False
    """In check mode: whether a preloaded file would have been changed."""
    tools_pending: bool = False
    """In check mode: whether another Node.js or PM2 would have been installed."""

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
        return (
            f"the program must listen on {must}. One without HTTP, such as the worker of a queue, needs a health"
            " endpoint all the same (docs/applications.md has it in a line)"
        )

    @property
    def number_advice(self) -> str:
        """What to set for a program that has Number(process.env.PORT) of a path."""
        return (
            f"{self.socket_variable} is the path of a socket, and the program takes it for a number. Set"
            " pm2_listen_port: 3000 (or another port that is its own): it is told this one, and gets the socket instead"
        )

    def port_advice(self, ports: Sequence[int]) -> str:
        """What to set for a program that listens on TCP ports of its own choice."""
        listed = " and ".join(map(str, ports))
        return (
            f"The program listens on TCP port {listed} and not where {self.socket_variable} says. Set pm2_listen_port:"
            f" {ports[0]}, and it gets the socket instead"
        )

    def _address(self, socket: str) -> dict[str, str]:
        if not self.listen_port:
            return {self.socket_variable: socket}
        return {self.socket_variable: str(self.listen_port), SOCKET_VARIABLE: socket}


def takes_for_number(variable: str, run: Path) -> re.Pattern[str]:
    """What a program says that takes the path of its socket, in that variable, for a number: net's own error, zod's."""
    name = rf"\b{re.escape(variable)}\b"
    return re.compile(
        rf"ERR_SOCKET_BAD_PORT|{name}.{{0,200}}\bNaN\b|\bNaN\b.{{0,200}}{name}|\binvalid\b.{{0,100}}{re.escape(str(run))}/",
        re.DOTALL | re.IGNORECASE,
    )
