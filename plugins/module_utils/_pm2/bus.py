# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the workers of one PM2 daemon log. Into the files of their app those of other activations write as well.

The daemon publishes it on pub.sock, in the protocol of rpc.sock: the name of an event, and what it is about as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator

from .._host.later import later
from .client import Pm2Client
from .rpc import RpcError, Stream

_PAUSE_SECONDS = 0.05
# More than a deployment takes, and than one logs of which somebody wants to know the end.
_MOST_SECONDS = 7200.0
_MOST_BYTES = 256 << 20
_MESSAGE_BYTES = 1 << 20
# Of each kind so much is kept, of which the last lines are shown: Node.js prints an error and its stack in up to 17.
_KEPT = 16_384
_LINES = 20
# What a worker wrote at its end is on its way through the daemon when it is already seen to be gone.
_ON_THE_WAY_SECONDS = 0.3


class Bus:
    """Hears one daemon from its beginning on. Its user is not trusted: it may say anything, and as much as it likes."""

    def __init__(self, client: Pm2Client) -> None:
        self._client = client
        self._said = {b"s:log:err": "", b"s:log:out": ""}
        self._bytes = 0
        self._deadline = 0.0
        self._over = threading.Event()

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Begin before the daemon is started: what nobody hears is lost."""
        self._deadline = time.monotonic() + _MOST_SECONDS
        later("bus", self._hear)
        try:
            yield
        finally:
            self._over.set()

    def lines(self) -> list[str]:
        """The last lines of the workers' errors, or of their output where there are none."""
        if self._deadline:
            time.sleep(_ON_THE_WAY_SECONDS)
        said = ([line for line in text.splitlines() if line.strip()] for text in self._said.values())
        return next((lines[-_LINES:] for lines in said if lines), [])

    def _hear(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS) and time.monotonic() < self._deadline:
            # there is none yet, or systemd starts it again
            with contextlib.suppress(OSError, RpcError), self._connection() as connection:
                self._listen(Stream(connection, self._deadline, _MESSAGE_BYTES))
                return

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        """To a socket of the daemon's user, and no other that a link leads to.

        All threads of a process are one user; this one may not be another.
        """
        owner = self._client.owner
        descriptor = os.open(self._client.home / "pub.sock", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISSOCK(found.st_mode) or (owner and found.st_uid != owner.uid):
                raise FileNotFoundError
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(1)
                connection.connect(f"/proc/self/fd/{descriptor}")
                yield connection
        finally:
            os.close(descriptor)

    def _listen(self, stream: Stream) -> None:
        while self._bytes < _MOST_BYTES and not self._over.is_set():
            event, *parts = stream.message()
            self._bytes += len(event) + sum(map(len, parts))
            if event in self._said and parts:
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    self._said[event] = (self._said[event] + json.loads(parts[0][2:])["data"])[-_KEPT:]
