# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service as an earlier version set it up: one PM2 for all activations, and `active` led to sockets alone.

What is active there is given a directory, so that it is drained and stopped as any other one is. Its PM2 ends with it.
"""

from __future__ import annotations

from pathlib import Path

from .._host.atomic import point, remove, remove_tree
from .._host.units import Unit, do, reload_daemon, states, steps
from .._pm2.ecosystem import read as read_ecosystem
from .._service.active import worker_socket
from .._service.footprint import UNITS
from .links import make_public
from .model import Activation, ActivationError, Places

_UNIT_DIRECTORY = Path(UNITS)


def is_earlier(places: Places) -> bool:
    """Whether such a version has set up the service, and none since."""
    return _find(places, 1) is not None


def bring_over(places: Places, binaries: Path, instances: int) -> None:
    """Give what is active a directory, if that is of such a version; what is interrupted, the next run repeats.

    The older link leads to the first worker of whatever is active from now on: a proxy that knows no other follows it.
    A watchdog of that time would miss what it knows, and restart all: it does not run until its role replaces it.
    Raises ActivationError when the PM2 has apps besides.
    """
    found = _find(places, instances)
    if found is None:
        return
    activation, sockets = found
    _require_alone(places)
    _end(f"{places.service}-watchdog.service")
    make_public(places.of(activation))
    point(places.pm2_link(activation), _home(places))
    point(places.binaries(activation), binaries.resolve())
    for number, socket in enumerate(sockets):
        point(places.link(activation, number), socket)
    point(places.active, places.of(activation))
    if places.shared_link.is_symlink():
        point(places.shared_link, worker_socket(places.active, 0))


def stop(places: Places) -> None:
    """End the one PM2, and remove what was of it alone."""
    unit = f"pm2-{places.service}.service"
    _end(unit)
    remove(_UNIT_DIRECTORY / unit)
    reload_daemon()
    remove(_config(places))
    for tree in (_home(places), _links(places), places.directory / "config/environments"):
        remove_tree(tree)


def _find(places: Places, instances: int) -> tuple[Activation, list[Path]] | None:
    """What is active, and its workers' sockets: one for all of them, or links in a directory that had nothing else."""
    if shared := places.with_shared_socket():
        return shared[0], [shared[1]] * instances
    directory = places.active.readlink() if places.active.is_symlink() else places.active
    activation = Activation.parse(directory.name) if directory.parent == _links(places) else None
    return (activation, [link.readlink() for link in sorted(directory.iterdir())]) if activation else None


def _require_alone(places: Places) -> None:
    _text, apps = read_ecosystem(_config(places))
    others = [name for app in apps if not (name := str(app["name"])).startswith(f"{places.service}-")]
    if others:
        raise ActivationError(
            f"{_config(places)} has other apps besides the service: {', '.join(others)}. From now on the service has a"
            " PM2 of its own for each release. Give them another one (module pm2_app, with a pm2_home of theirs), and"
            " remove them there"
        )


def _links(places: Places) -> Path:
    return places.directory / "sockets"


def _home(places: Places) -> Path:
    return places.directory / "home/.pm2"


def _config(places: Places) -> Path:
    return places.directory / "config/ecosystem.config.cjs"


def _end(name: str) -> None:
    """Also after a boot: a run that fails before its role is repeated, but not at once."""
    unit = Unit(name, enabled=False, started=False)
    for step in steps([unit], states([unit.name]), (), {}):
        do(step)
