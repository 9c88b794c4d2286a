# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel knows about unix sockets: who listens and how many connections there are, by the path that was bound.

The table is /proc/net/unix (proc_net_unix(5)). A socket that was renamed since stands in it under its first name. Names
are printed as they are: by one with line breaks in it anybody adds rows, and so can only make more of the connections.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

_TABLE = Path("/proc/net/unix")
# In it: state of a connection that is accepted, and of one that still waits to be
_CONNECTED, _CONNECTING = "03", "02"
_LISTENING_FLAG = 0x10000
# Num, RefCount, Protocol, Flags, Type, St, Inode, Path
_ROW = re.compile(r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} ([0-9A-F]{2}) +([0-9]+) (.+)")

Wanted = Callable[[Path], bool]
"""Whether a socket that was bound at this path is one of those in question."""


def connections(wanted: Wanted, table: Path = _TABLE) -> int:
    """How many connections to such sockets are open or wait to be accepted."""
    rows = _rows(wanted, table)
    return sum(state in (_CONNECTED, _CONNECTING) for flags, state, _inode in rows if not flags & _LISTENING_FLAG)


def listening(wanted: Wanted, table: Path = _TABLE) -> list[int]:
    """Inode of each such socket that listens."""
    return [inode for flags, _state, inode in _rows(wanted, table) if flags & _LISTENING_FLAG]


def _rows(wanted: Wanted, table: Path) -> Iterator[tuple[int, str, int]]:
    """Flags, state and inode of each such socket. Only the accepting side of a connection has the path."""
    for line in table.read_text(encoding="utf-8", errors="replace").split("\n"):
        row = _ROW.fullmatch(line)
        # a cluster's primary binds the path relative to its directory, which is / for a PM2 daemon under systemd
        if row and wanted(Path("/", row[4].lstrip("/"))):
            yield int(row[1], 16), row[2], int(row[3])
