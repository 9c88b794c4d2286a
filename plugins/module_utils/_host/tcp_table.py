# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's tables of TCP connections, and an end of one as they print it."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# Hexadecimal digits of four bytes.
_WORD = 8

Address = tuple[str, int]


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
