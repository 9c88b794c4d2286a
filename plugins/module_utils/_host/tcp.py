# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's TCP sockets: who listens, who holds the other end of a connection, and waiting for connections to end.

psutil has no inodes, finds the process by the descriptors of all processes at each question, and is not on proxies.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .proc import wait_for_holder

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _LISTENS = "01", "0A"
# Hexadecimal digits of four bytes.
_WORD = 8
# The tables are long on a busy host.
_HOLDER_POLL_SECONDS = 0.02
_END_POLL_SECONDS = 0.5

Address = tuple[str, int]


@dataclass(frozen=True)
class TcpSocket:
    """A row of proc_net_tcp(5). Its ends are worked out for who asks: a busy host has very many rows."""

    columns: Sequence[str]

    @property
    def local(self) -> Address:
        return address(self.columns[1])

    @property
    def remote(self) -> Address:
        return address(self.columns[2])

    @property
    def listens(self) -> bool:
        return self.columns[3] == _LISTENS

    @property
    def established(self) -> bool:
        return self.columns[3] == _ESTABLISHED

    @property
    def user(self) -> int:
        return int(self.columns[7])

    @property
    def inode(self) -> int:
        """0 of a connection that no process has accepted."""
        return int(self.columns[9])


def parse(table: str, local: int | None = None, remote: int | None = None) -> Iterator[TcpSocket]:
    """The sockets in the text of /proc/net/tcp or tcp6, where ports are given those with them."""
    here, there = ("" if port is None else f":{port:04X}" for port in (local, remote))
    for line in table.splitlines()[1:]:
        columns = line.split()
        if columns[1].endswith(here) and columns[2].endswith(there):
            yield TcpSocket(columns)


def sockets(local: int | None = None, remote: int | None = None) -> Iterator[TcpSocket]:
    """The sockets of this host, where ports are given those with them."""
    for path in _TABLES:
        try:
            table = path.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue  # a kernel without IPv6
        yield from parse(table, local, remote)


def listening(port: int) -> list[TcpSocket]:
    """The sockets that listen on the port."""
    return [found for found in sockets(port) if found.listens]


def address(column: str) -> Address:
    """An end as the kernel prints it: words of four bytes in the host's order, then the port."""
    words, _colon, port = column.partition(":")
    packed = b"".join(struct.pack("=I", int(words[start : start + _WORD], 16)) for start in range(0, len(words), _WORD))
    return plain(str(ipaddress.ip_address(packed)), int(port, 16))


def plain(host: str, port: int) -> Address:
    """An IPv4 address that a socket for both kinds has as a part of an IPv6 one, as itself."""
    parsed = ipaddress.ip_address(host)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed), port


def holder(connection: socket.socket, pids: Collection[int], seconds: float) -> int | None:
    """Which of the processes has accepted the connection; None when none has within the time."""
    here, there = (plain(name[0], name[1]) for name in (connection.getsockname(), connection.getpeername()))
    return wait_for_holder(
        lambda: inode_of(sockets(there[1], here[1]), there, here), pids, seconds, _HOLDER_POLL_SECONDS
    )


def inode_of(found: Iterable[TcpSocket], local: Address, remote: Address) -> int:
    """Inode of the socket with these two ends; 0 while nobody accepted it."""
    return next((one.inode for one in found if one.inode and (one.local, one.remote) == (local, remote)), 0)


def addresses_of(host: str) -> set[str]:
    """The addresses of a host that is an address or a name. Raises OSError."""
    return {str(ipaddress.ip_address(found[4][0])) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}


def established() -> list[Address]:
    """The other ends of all connections of this host."""
    return [found.remote for found in sockets() if found.established]


def wait_for_end(
    servers: set[Address], limit: float, read: Callable[[], list[Address]] = established
) -> dict[str, float]:
    """Return when no connection to the servers is left, or when the time (seconds) is over.

    How many connections there were at first, how many are left, and the seconds that it took.
    """
    began = time.monotonic()
    first = left = _count(read(), servers)
    while left and time.monotonic() - began < limit:
        time.sleep(_END_POLL_SECONDS)
        left = _count(read(), servers)
    return {"connections": first, "left": left, "seconds": round(time.monotonic() - began, 1)}


def _count(ends: Iterable[Address], servers: set[Address]) -> int:
    return sum(end in servers for end in ends)
