# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests that come while no copy of a service runs: they wait on a socket, and are handed on to the next copy.

The proxy connects to that socket, its `backup`, when the service's own refuses. Nothing is accepted there until a copy
answers: the kernel keeps the connections, with all that was sent on them. Then the copy gets them as they are.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._host.atomic import remove
from .._host.command import Identity, effective_user

# Linux keeps as many at most, whatever is asked for (net.core.somaxconn).
_BACKLOG = 4096
# Two descriptors for each connection.
_DESCRIPTORS = 2 * _BACKLOG + 256
# Nobody is sent here any more; one who was on the way has come by then.
_QUIET_SECONDS = 0.25
_POLL_SECONDS = 0.01
_CHUNK = 1 << 16


class Hold:
    """The socket on which requests wait."""

    def __init__(self, listener: socket.socket, user: Identity, limit: float) -> None:
        self._listener = listener
        self._user = user
        self._limit = limit
        self._began = time.monotonic()

    def hand_on(self, target: Path) -> dict[str, float]:
        """Hand those who wait to whoever listens on `target`; how many `requests`, and `seconds` that the first waited.

        Returns when all have hung up, and after `limit` seconds: the proxy does it when a connection has been idle for
        some, WebSockets and streams are cut.
        """
        seconds = round(time.monotonic() - self._began, 1)
        _allow_descriptors()
        # root connects to nothing in a directory of the service's user
        with effective_user(self._user):
            return {"requests": asyncio.run(self._hand_on(target)), "seconds": seconds}

    async def _hand_on(self, target: Path) -> int:
        relays = [asyncio.create_task(_relay(connection, target)) async for connection in _waiting(self._listener)]
        if relays:
            _done, late = await asyncio.wait(relays, timeout=self._limit)
            for relay in late:
                relay.cancel()
        return len(relays)


@contextmanager
def hold(path: Path, group: int, user: Identity, limit: float) -> Iterator[Hold]:
    """Let the requests of that group's processes wait at `path`, in a directory that is root's. Raises OSError."""
    remove(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.setblocking(False)
        listener.bind(str(path))
        try:
            os.chown(path, -1, group)
            path.chmod(0o660)
            listener.listen(_BACKLOG)
            yield Hold(listener, user, limit)
        finally:
            remove(path)


def _allow_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def _waiting(listener: socket.socket) -> AsyncIterator[socket.socket]:
    """Those who have connected, until for a while nobody has."""
    last = time.monotonic()
    while time.monotonic() - last < _QUIET_SECONDS:
        try:
            connection, _address = listener.accept()
        except BlockingIOError:
            await asyncio.sleep(_POLL_SECONDS)
            continue
        last = time.monotonic()
        yield connection


async def _relay(connection: socket.socket, target: Path) -> None:
    """Be the wire between both until one of them hangs up. One that is refused, or gone, is hung up on."""
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    try:
        there, back = await asyncio.open_unix_connection(str(target))
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
    finally:
        writer.close()
        back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
