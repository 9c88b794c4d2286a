# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel knows about unix sockets: who holds the other end of a connection, how many connections a path has.

Questions to a cluster prove nothing about one worker: its primary hands connections only to workers that listen. The
kernel tells which process holds the connection that was answered.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from .errors import StabilityError
from .proc import wait_for_holder

# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_ALL_STATES = _NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_ANSWER_BYTES = 8192
_ANSWER_SECONDS = 2.0

_TABLE = Path("/proc/net/unix")
# In it: state of a connection that is accepted, and of one that still waits to be
_CONNECTED, _CONNECTING = "03", "02"
_LISTENING_FLAG = 0x10000
_PATH_COLUMN = 7
_POLL_SECONDS = 0.005


class UnixSocketError(StabilityError):
    """The kernel did not tell."""


def peer_inode(connection: socket.socket) -> int:
    """Inode of the other end; 0 as long as nobody has accepted the connection. Raises UnixSocketError."""
    inode = os.fstat(connection.fileno()).st_ino
    body = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, inode, _UDIAG_SHOW_PEER, _NO_COOKIE, _NO_COOKIE)
    head = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_ANSWER_SECONDS)
            netlink.send(head + body)
            answer = netlink.recv(_ANSWER_BYTES)
    except OSError as error:
        raise UnixSocketError(f"the kernel can't be asked about sockets (unix_diag): {error}") from error
    return parse_peer(answer)


def parse_peer(answer: bytes) -> int:
    """The peer's inode in one answer of the kernel; 0 when the answer names none. Raises UnixSocketError."""
    length, kind, _flags, _sequence, _port = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", answer, _HEADER.size)
        raise UnixSocketError(f"the kernel can't tell the other end of a socket (unix_diag): {os.strerror(-number)}")
    position = _HEADER.size + _ANSWER.size
    while position + _ATTRIBUTE.size <= min(length, len(answer)):
        size, name = _ATTRIBUTE.unpack_from(answer, position)
        if name == _UNIX_DIAG_PEER:
            return int(_NUMBER.unpack_from(answer, position + _ATTRIBUTE.size)[0])
        # attributes begin at multiples of four bytes
        position += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return 0


def holder(connection: socket.socket, pids: Collection[int], seconds: float) -> int | None:
    """Which of the processes has accepted the connection; None when none has within the time.

    To be asked as the user that the processes run as: inside a container root may not look into another user's process.
    """
    return wait_for_holder(lambda: peer_inode(connection), pids, seconds, _POLL_SECONDS)


def connections(path: str | Path, table: Path = _TABLE) -> int:
    """How many connections to the socket at that path are open or wait to be accepted."""
    rows = _rows(str(path), table)
    return sum(state in (_CONNECTED, _CONNECTING) for flags, state, _inode in rows if not flags & _LISTENING_FLAG)


def listens(path: str | Path) -> bool:
    """Whether some process listens on that path."""
    return bool(listening(path))


def listening(path: str | Path, table: Path = _TABLE) -> list[int]:
    """Inode of each socket that listens on that path."""
    return [inode for flags, _state, inode in _rows(str(path), table) if flags & _LISTENING_FLAG]


def _rows(path: str, table: Path) -> Iterator[tuple[int, str, int]]:
    """Flags, state and inode of each socket of the path. Only the accepting side of a connection has the path."""
    for line in table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        columns = line.split(None, _PATH_COLUMN)
        # a cluster's primary binds the path relative to its directory, which is / for a PM2 daemon under systemd
        if len(columns) > _PATH_COLUMN and columns[_PATH_COLUMN].lstrip("/") == path.lstrip("/"):
            yield int(columns[3], 16), columns[5], int(columns[6])
