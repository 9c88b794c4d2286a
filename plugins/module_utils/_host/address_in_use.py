# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds the address that a program could not have: the port or socket after EADDRINUSE in its log.

The kernel's tables (proc_net_tcp(5), proc_net_unix(5)) give the socket, and of a TCP one its user; the descriptors of
the processes give the process. Inside a container root may not look into another user's process; that user may.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable
from pathlib import Path

from .command import Identity, effective_user
from .unix_sockets import socket_inodes

# Node.js: "listen EADDRINUSE: address already in use :::3000"; in a cluster worker "bind EADDRINUSE null:3000"
_IN_USE = re.compile(r"EADDRINUSE(?:: address already in use)? (\S+)")
_LISTENS = "0A"
_LISTENING_FLAG = 0x10000
_PATH_COLUMN = 7
_INODE_COLUMN = 9


def explain(lines: Iterable[str]) -> list[str]:
    """One sentence for each address that the log lines say is in use."""
    addresses = dict.fromkeys(found[1] for line in lines for found in _IN_USE.finditer(line))
    return [_sentence(address) for address in addresses]


def _sentence(address: str) -> str:
    if address.startswith("/"):
        return _of_socket(Path(address))
    port = address.rpartition(":")[2]
    if not re.fullmatch(r"[0-9]{1,5}", port):
        return f"{address} is held by another program."
    return _of_port(int(port))


def _of_port(port: int) -> str:
    tables = "\n".join(_read(Path("/proc/net") / name) for name in ("tcp", "tcp6"))
    holders = listening(tables, port)
    if not holders:
        return f"Nothing listens on port {port} any more."
    said = {_describe(inode, user) for inode, user in holders}
    return f"Port {port} is held by {' and '.join(sorted(said))}."


def _of_socket(path: Path) -> str:
    inodes = bound(_read(Path("/proc/net/unix")), str(path))
    if not inodes:
        return f"No process listens on {path}: it is a left-over of one that was killed, remove it."
    owner = path.stat().st_uid if path.exists() else os.geteuid()
    said = {_describe(inode, owner) for inode in inodes}
    return f"{path} is held by {' and '.join(sorted(said))}."


def listening(table: str, port: int) -> list[tuple[int, int]]:
    """Inode and user of each socket that listens on the port, from the text of /proc/net/tcp and tcp6."""
    rows = (line.split() for line in table.splitlines())
    return [
        (int(row[_INODE_COLUMN]), int(row[7]))
        for row in rows
        if len(row) > _INODE_COLUMN and row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port
    ]


def bound(table: str, path: str) -> list[int]:
    """Inode of each socket that listens on the path, from the text of /proc/net/unix."""
    rows = (line.split(None, _PATH_COLUMN) for line in table.splitlines()[1:])
    return [
        int(row[6])
        for row in rows
        # a PM2 cluster binds the path relative to its working directory, /
        if len(row) > _PATH_COLUMN and row[_PATH_COLUMN].lstrip("/") == path.lstrip("/")
        if int(row[3], 16) & _LISTENING_FLAG
    ]


def _describe(inode: int, user: int) -> str:
    try:
        identity = Identity.of(pwd.getpwuid(user).pw_name)
    except KeyError:
        identity = None
    name = identity.name if identity else str(user)
    pid = _holder(inode) or _holder_as(inode, identity)
    if pid is None:
        return f"a process of the user {name}"
    command = _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()
    return f"process {pid} of the user {name} ({command[:100] or _read(Path(f'/proc/{pid}/comm')).strip()})"


def _holder_as(inode: int, identity: Identity | None) -> int | None:
    with effective_user(identity):
        return _holder(inode)


def _holder(inode: int) -> int | None:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return next((pid for pid in pids if inode in socket_inodes(pid)), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
