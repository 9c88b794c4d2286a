# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who on this host holds the other end of a TCP connection, as _unix_sockets tells it of a unix socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection
from pathlib import Path

from .tcp_table import TABLES, Address, address, plain
from .unix_sockets import socket_inodes

_LOCAL, _REMOTE, _INODE = 1, 2, 9
# The tables are long on a busy host.
_POLL_SECONDS = 0.02


def holder(connection: socket.socket, pids: Collection[int], seconds: float) -> int | None:
    """Which of the processes has accepted the connection; None when none has within the time."""
    here, there = (plain(name[0], name[1]) for name in (connection.getsockname(), connection.getpeername()))
    deadline = time.monotonic() + seconds
    while True:
        inode = next((inode for table in TABLES if (inode := inode_in(_text(table), there, here))), 0)
        found = next((pid for pid in pids if inode in socket_inodes(pid)), None) if inode else None
        if found is not None or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)


def inode_in(table: str, local: Address, remote: Address) -> int:
    """Inode of the socket with these two ends, from the text of /proc/net/tcp or tcp6; 0 while nobody accepted it."""
    wanted = f"{local[1]:04X}", f"{remote[1]:04X}"
    for line in table.splitlines()[1:]:
        columns = line.split()
        # the ports first: few lines have both
        if (columns[_LOCAL][-4:], columns[_REMOTE][-4:]) != wanted:
            continue
        if (address(columns[_LOCAL]), address(columns[_REMOTE])) == (local, remote):
            return int(columns[_INODE])
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # a kernel without IPv6
