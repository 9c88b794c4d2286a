# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a service's activations is on the host now. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.units import is_running, unit_states
from .._pm2.ecosystem import read as read_ecosystem
from .._pm2.errors import Pm2Error
from .._pm2.process import Pm2Process
from .._pm2.rpc import processes_of
from .._service.dotenv import read
from .context import Context
from .model import Activation, ActivationError, Places


@dataclass(frozen=True)
class Actual:
    """The host as it is. Activations are there as directories and as units."""

    active: Activation | None = None
    current: str = ""
    """The release that the link `current` names, "" when there is none."""
    previous: str = ""
    config: str = ""
    """Text of the active one's ecosystem file."""
    options: str = ""
    """What is kept of its options."""
    app: Mapping[str, Any] = field(default_factory=dict)
    """The app in it; empty when there is none."""
    live: tuple[Pm2Process, ...] = ()
    """The active one's processes."""
    broken: tuple[str, ...] = ()
    """Why the active one is to be replaced: its PM2 does not run, does not answer, or is not what is installed."""
    releases: tuple[str, ...] = ()
    """Ids of the releases on the host, whole or not."""
    sockets: tuple[Path, ...] = ()
    """Where the links to the active one's sockets lead, by the workers' numbers."""
    activations: tuple[str, ...] = ()
    """Names of all of which there is a directory or a unit."""
    active_environment: Mapping[str, str] | None = None
    """What the active activation's snapshot says; None when it has none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the environment file says now."""
    preloaded_at: float = 0
    """Seconds since the epoch when the youngest of the preloaded files was written."""
    pending: tuple[str, ...] = ()
    """In check mode: what earlier tasks would have changed for the processes."""
    is_coming: bool = False
    """In check mode: an earlier task would have started the active one, which is stopped."""


def read_actual(context: Context) -> Actual:
    """The host now. Raises UnitError, OSError."""
    places, preloads = context.places, map(Path, context.desired.preloads)
    active = read_active(places)
    config, apps = read_ecosystem(places.config_file(active)) if active else ("", [])
    live, broken = _read_pm2(context, active) if active else ((), ())
    return Actual(
        active=active,
        current=linked_name(places.current),
        previous=linked_name(places.previous),
        config=config,
        options=(_text(places.options_file(active)) if active else None) or "",
        app=apps[0] if apps else {},
        live=live,
        broken=broken,
        releases=release_names(places.releases),
        sockets=_linked_sockets(places, active) if active else (),
        activations=_activations(places),
        active_environment=_kept_environment(places.snapshot(active)) if active else None,
        environment=_environment(context),
        preloaded_at=max((path.stat().st_mtime for path in preloads if path.exists()), default=0),
    )


def _read_pm2(context: Context, active: Activation) -> tuple[tuple[Pm2Process, ...], tuple[str, ...]]:
    """Its processes, and what is wrong with it."""
    places = context.places
    if context.desired.renews:
        return (), ("another one was asked for",)
    if not (places.pm2_link(active).is_symlink() and places.binaries(active).is_symlink()):
        return (), (f"{places.of(active)} is not whole",)
    try:
        return processes_of(context.client(active)), context.outdated(active)
    except Pm2Error as error:
        return (), (str(error),)


def read_active(places: Places) -> Activation | None:
    """The activation whose directory the active link names; None when none is active."""
    return Activation.parse(linked_name(places.active))


def _activations(places: Places) -> tuple[str, ...]:
    """A unit without a directory goes on all the same."""
    units = unit_states([f"{places.service}@*.service"])
    running = {unit.partition("@")[2].removesuffix(".service") for unit, state in units.items() if is_running(state)}
    return tuple(sorted({*_names(places.activations), *running}))


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


def replaced_by(release: str, current: str, previous: str) -> str:
    """What a release has replaced, by what the links `current` and `previous` name; "" for none.

    A run that was killed between its switch and those links has left them as they were before.
    """
    return next((name for name in (current, previous) if name not in ("", release or current)), "")


def release_names(releases: Path) -> tuple[str, ...]:
    """The releases on the host, whole or not."""
    return tuple(name for name in _names(releases) if not name.startswith(".") and (releases / name).is_dir())


def _environment(context: Context) -> dict[str, str]:
    path, desired = context.places.environment, context.desired
    try:
        return read(path)
    except OSError as error:
        # in check mode the run has not replaced it, and what counts is what it would have written
        if desired.check_mode and desired.environment_digest:
            return {}
        raise ActivationError(f"{path} {error.strerror}; site.yml and deploy.yml write it again.") from error


def _kept_environment(path: Path) -> dict[str, str] | None:
    """None where there is none that can be read: the service's user may have made anything of it."""
    with contextlib.suppress(OSError):
        return read(path) if path.exists() else None
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _names(directory: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in directory.iterdir()))
    except FileNotFoundError:
        return ()
