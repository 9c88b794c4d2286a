# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root makes of an activation before it is started, and the sockets that its workers make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .._host import proc, tcp
from .._host.atomic import Ownership, point, write
from .._host.command import Identity, effective_user
from .._host.service_tree import discard, open_directory, read
from .._host.unix_sockets import connections, listening
from .._service.dotenv import LARGEST
from .context import Context
from .model import Activation, Places
from .plan import Decision


def make_directory(context: Context, decision: Decision, names: int) -> None:
    """All that the unit needs to start. The old processes keep theirs, also when PM2 restarts them meanwhile."""
    places, activation = context.places, decision.activation
    make_public(places.of(activation))
    point(places.pm2_link(activation), places.pm2_home(activation))
    point(places.binaries(activation), Path(context.tools.node).parent.resolve())
    own = Ownership(context.user.uid, context.user.gid, 0o600)
    write(places.snapshot(activation), read(places.environment, LARGEST), own)
    write_declared(context, decision)
    link_sockets(places, decision, names)


def write_declared(context: Context, decision: Decision) -> None:
    """What its PM2 starts, and what another activation of its release will be made of."""
    places, activation = context.places, decision.activation
    write(places.config_file(activation), decision.config.encode(), context.config_ownership)
    write(places.options_file(activation), decision.options.encode(), replace(context.config_ownership, mode=0o600))


def link_sockets(places: Places, decision: Decision, names: int) -> None:
    """Make the links to the sockets that the workers have, or will have, and no fewer than `names` of them.

    What asks for the sockets by number may know of more than there are workers: then some of these have two names.
    """
    sockets = decision.sockets
    for number in range(max(len(sockets), names)):
        point(places.link(decision.activation, number), sockets[number % len(sockets)])


def make_public(directory: Path) -> None:
    """Whatever the umask is: the proxy goes through it."""
    directory.mkdir(exist_ok=True, parents=True)
    for path in (directory.parent, directory):
        path.chmod(0o755)


def connections_of(places: Places, activation: Activation) -> int:
    """How many connections its workers have, or are to accept."""
    return connections(lambda path: places.is_socket_of(activation, path))


def listens(places: Places, activation: Activation) -> bool:
    """Whether any of its processes listens where it was told to."""
    return bool(listening(lambda path: places.is_socket_of(activation, path)))


def ports_of(pids: Iterable[int], user: Identity) -> list[int]:
    """The TCP ports that these processes of the user listen on. Inside a container root may not look into them."""
    with effective_user(user):
        inodes = {inode for pid in pids for inode in proc.socket_inodes(pid)}
    return sorted({found.local[1] for found in tcp.sockets() if found.listens and found.inode in inodes})


def socket_files(places: Places, activation: Activation) -> list[Path]:
    """What its workers, killed ones too, have left where the sockets are."""
    return [path for path in places.run.iterdir() if places.is_socket_of(activation, path)]


def remove_sockets(places: Places, activation: Activation) -> None:
    """From then on nobody reaches it; what is connected stays so.

    The service may put anything in their place, also before the activation is there: a directory must not stop it.
    """
    with open_directory(places.run) as run:
        for path in socket_files(places, activation):
            discard(run, path.name)
