# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds the address that a program could not have: the port or socket after EADDRINUSE in its log.

The kernel's tables (proc_net_tcp(5), proc_net_unix(5)) give the socket, and of a TCP one its user; the descriptors of
the processes give the process. Inside a container root may not look into another user's process; that user may.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Iterable
from pathlib import Path

from . import proc, tcp, unix_sockets
from .accounts import user_name
from .command import Identity, effective_user

# Node.js: "listen EADDRINUSE: address already in use :::3000"; in a cluster worker "bind EADDRINUSE null:3000"
_IN_USE = re.compile(r"EADDRINUSE(?:: address already in use)? (\S+)")


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
    sockets = tcp.listening(port)
    if not sockets:
        return f"Nothing listens on port {port} any more."
    said = {_describe(found.inode, found.user) for found in sockets}
    return f"Port {port} is held by {' and '.join(sorted(said))}."


def _of_socket(path: Path) -> str:
    inodes = unix_sockets.listening(path.__eq__)
    if not inodes:
        return f"No process listens on {path}: it is a left-over of one that was killed, remove it."
    owner = path.stat().st_uid if path.exists() else os.geteuid()
    said = {_describe(inode, owner) for inode in inodes}
    return f"{path} is held by {' and '.join(sorted(said))}."


def _describe(inode: int, user: int) -> str:
    name, pid = user_name(user), holder(inode, user)
    if pid is None:
        return f"a process of the user {name}"
    command = proc.text(pid, "cmdline")[:100] or proc.text(pid, "comm")
    return f"process {pid} of the user {name} ({command})"


def holder(inode: int, user: int) -> int | None:
    """The process that has the user's socket open; None when it is gone or may not be looked into."""
    pid = proc.socket_holder(inode, proc.pids())
    if pid is None:
        with contextlib.suppress(KeyError), effective_user(Identity.of(pwd.getpwuid(user).pw_name)):
            pid = proc.socket_holder(inode, proc.pids())
    return pid
