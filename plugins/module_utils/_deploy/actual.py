# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a service's activations is on the host now. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.command import effective_user
from .._pm2.client import Pm2Client
from .._pm2.ecosystem import read as read_ecosystem
from .._pm2.errors import Pm2Error
from .._pm2.process import Pm2Process
from .._pm2.rpc import WELL, read_daemon
from .._service.dotenv import parse
from .model import Activation, Places

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Actual:
    """The host as it is. Activations are there as PM2 apps, in the ecosystem file, as links and as snapshots."""

    active: Activation | None = None
    current: str = ""
    """The release that the link `current` names, "" when there is none."""
    previous: str = ""
    config: str = ""
    """Text of the ecosystem file."""
    apps: tuple[Mapping[str, Any], ...] = ()
    """Its apps."""
    live: tuple[Pm2Process, ...] = ()
    releases: tuple[str, ...] = ()
    """Ids of the releases on the host, whole or not."""
    sockets: tuple[Path, ...] = ()
    """Where the links to the active one's sockets lead, by the workers' numbers."""
    links: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    """Names of the directories of links and of the files, each an activation's."""
    active_environment: Mapping[str, str] | None = None
    """What the active activation's snapshot says; None when it has none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the environment file says now."""
    preloaded_at: float = 0
    """Seconds since the epoch when the youngest of the preloaded files was written."""
    pending: tuple[str, ...] = ()
    """In check mode: what earlier tasks would have changed for the processes."""

    def processes(self, name: str) -> list[Pm2Process]:
        return [process for process in self.live if process.name == name]


def read_actual(client: Pm2Client, places: Places, preloads: Iterable[str], running: bool) -> Actual:
    """The host now; `running` tells whether there is a PM2 daemon to ask. Raises Pm2Error, OSError."""
    active = read_active(places)
    config, apps = read_ecosystem(places.config_file)
    return Actual(
        active=active,
        current=linked_name(places.current),
        previous=linked_name(places.previous),
        config=config,
        apps=tuple(apps),
        live=_processes(client) if running else (),
        releases=release_names(places.releases),
        sockets=_linked_sockets(places, active) if active else (),
        links=_names(places.sockets),
        snapshots=_names(places.environments),
        active_environment=_environment(places.snapshot(active)) if active else None,
        environment=_environment(places.environment) or {},
        preloaded_at=max((Path(path).stat().st_mtime for path in preloads if Path(path).exists()), default=0),
    )


def _processes(client: Pm2Client) -> tuple[Pm2Process, ...]:
    if not client.missing:
        return tuple(client.processes())
    # In check mode PM2's command may be repaired earlier in the same run; the daemon itself runs on.
    with effective_user(client.owner):
        reading = read_daemon(client, _ANSWER_SECONDS)
    if reading.state != WELL:
        raise Pm2Error(reading.message)
    return reading.processes


def read_active(places: Places) -> Activation | None:
    """The activation whose sockets the active link names; None when none is active."""
    return Activation.parse(linked_name(places.active)) or places.with_shared_socket()


def _linked_sockets(places: Places, activation: Activation) -> tuple[Path, ...]:
    found: list[Path] = []
    with contextlib.suppress(OSError):
        while True:
            found.append(places.link(activation, len(found)).readlink())
    return tuple(found)


def linked_name(link: Path) -> str:
    """The last part of what a link points to; "" when it is none."""
    try:
        return link.readlink().name
    except OSError:
        return ""


def release_names(releases: Path) -> tuple[str, ...]:
    """The releases on the host, whole or not."""
    return tuple(name for name in _names(releases) if not name.startswith(".") and (releases / name).is_dir())


def _environment(path: Path) -> dict[str, str] | None:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _names(directory: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in directory.iterdir()))
    except FileNotFoundError:
        return ()
