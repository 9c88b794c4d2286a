# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections of this host to others, as the kernel lists them, and waiting for their end."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .tcp_table import TABLES, Address, address

_ESTABLISHED = "01"
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Ended:
    """How many connections there were at first, how many are left, and how long that took."""

    first: int
    left: int
    seconds: float


def remote_ends(table: str) -> list[Address]:
    """The other end of each connection that is established, from the text of /proc/net/tcp or tcp6.

    An IPv4 address that an IPv6 socket is connected to is given as IPv4.
    """
    rows = [line.split() for line in table.splitlines()[1:]]
    return [address(row[2]) for row in rows if len(row) > 3 and row[3] == _ESTABLISHED]  # noqa: PLR2004


def addresses_of(host: str) -> set[str]:
    """The addresses of a host that is an address or a name. Raises OSError."""
    return {str(ipaddress.ip_address(found[4][0])) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}


def count(ends: Iterable[Address], servers: set[Address]) -> int:
    return sum(end in servers for end in ends)


def established() -> list[Address]:
    """The other ends of all connections of this host."""
    return [end for table in TABLES if table.exists() for end in remote_ends(table.read_text(encoding="ascii"))]


def wait_for_end(servers: set[Address], limit: float, read: Callable[[], list[Address]] = established) -> Ended:
    """Return when no connection to the servers is left, or when the time (seconds) is over."""
    began = time.monotonic()
    first = left = count(read(), servers)
    while left and time.monotonic() - began < limit:
        time.sleep(_POLL_SECONDS)
        left = count(read(), servers)
    return Ended(first, left, round(time.monotonic() - began, 1))
