# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The links by which the proxy, and root, find the sockets of an activation's workers."""

from __future__ import annotations

from pathlib import Path

from .._host.atomic import point, remove
from .._host.units import Unit, do, states, steps
from .._host.unix_sockets import connections, listening
from .._service.active import worker_socket
from .model import Activation, Places
from .plan import Decision


def link_sockets(places: Places, decision: Decision, names: int) -> None:
    """Make the links to the sockets that the workers have, or will have, and no fewer than `names` of them.

    What asks for the sockets by number may know of more than there are workers: then some of these have two names.
    """
    sockets = decision.sockets
    numbers = range(max(len(sockets), names))
    _make(places.links(decision.activation), [sockets[number % len(sockets)] for number in numbers])


def bring_over(places: Places, instances: int) -> bool:
    """Give links of this kind to a service whose workers have one socket together, as an earlier version had it.

    The old link leads to the first worker of whatever is active from now on: a proxy that knows no other follows it. A
    watchdog of that time would miss what it knows, and restart all: it does not run until its role replaces it. Returns
    whether there was anything to do; what is interrupted, the next run repeats.
    """
    activation = places.with_shared_socket()
    if activation is None:
        return False
    _end_watchdog(places.service)
    _make(places.links(activation), [places.shared_socket.readlink()] * instances)
    point(places.active, places.links(activation))
    point(places.shared_socket, worker_socket(places.active, 0))
    return True


def connections_of(places: Places, activation: Activation) -> int:
    """How many connections its workers have, or are to accept."""
    return connections(lambda path: places.is_socket_of(activation, path))


def listens(places: Places, activation: Activation) -> bool:
    """Whether any of its processes listens where it was told to."""
    return bool(listening(lambda path: places.is_socket_of(activation, path)))


def socket_files(places: Places, activation: Activation) -> list[Path]:
    """What its workers, killed ones too, have left where the sockets are."""
    return [path for path in places.run.iterdir() if places.is_socket_of(activation, path)]


def remove_sockets(places: Places, activation: Activation) -> None:
    """From then on nobody reaches it; what is connected stays so."""
    for path in socket_files(places, activation):
        remove(path)


def _make(directory: Path, sockets: list[Path]) -> None:
    directory.mkdir(exist_ok=True, parents=True)
    # whatever the umask is: the proxy goes through them
    for path in (directory.parent, directory):
        path.chmod(0o755)
    for number, socket in enumerate(sockets):
        point(worker_socket(directory, number), socket)


def _end_watchdog(service: str) -> None:
    """Also after a boot: a run that fails before its role is repeated, but not at once."""
    unit = Unit(f"{service}-watchdog.service", enabled=False, started=False)
    for step in steps([unit], states([unit.name]), (), {}):
        do(step)
