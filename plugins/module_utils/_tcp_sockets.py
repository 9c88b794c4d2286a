# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who on this host holds the other end of a TCP connection, as _unix_sockets tells it of a unix socket."""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Collection
from pathlib import Path

from ._unix_sockets import socket_inodes

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _INODE = 1, 2, 9
_WORD = 8
# The tables are long on a busy host.
_POLL_SECONDS = 0.02

Address = tuple[str, int]


def holder(connection: socket.socket, pids: Collection[int], seconds: float) -> int | None:
    """Which of the processes has accepted the connection; None when none has within the time."""
    here, there = (_plain(name[0], name[1]) for name in (connection.getsockname(), connection.getpeername()))
    deadline = time.monotonic() + seconds
    while True:
        inode = next((inode for table in _TABLES if (inode := inode_in(_text(table), there, here))), 0)
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
        if (_address(columns[_LOCAL]), _address(columns[_REMOTE])) == (local, remote):
            return int(columns[_INODE])
    return 0


def _address(column: str) -> Address:
    """An end as the kernel prints it: words of four bytes in the host's order, then the port."""
    words, _colon, port = column.partition(":")
    packed = b"".join(struct.pack("=I", int(words[start : start + _WORD], 16)) for start in range(0, len(words), _WORD))
    return _plain(str(ipaddress.ip_address(packed)), int(port, 16))


def _plain(address: str, port: int) -> Address:
    """An IPv4 address that a socket for both kinds has as a part of an IPv6 one, as itself."""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed), port


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # a kernel without IPv6
