# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the workers of one PM2 daemon log and throw, and how they end. Other activations write into the same log files.

The daemon publishes it on pub.sock, in the protocol of rpc.sock: the name of an event, and what it is about as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

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
# So much of the first words is kept: a worker that is started again and again buries them.
_FIRST = 16_384
_LONGEST_ERROR = 300
_LONGEST_LINE = 1000
_MOST_WORKERS = 1000
# God.handleExit of PM2 7.0.4; it says SIGINT where there was no signal.
_ENDED = re.compile(r"App \[.*:(\d+)\] exited with code \[(\d{1,10})\] via signal \[(\w{1,20})\]")
_NO_SIGNAL = "SIGINT"
# A line of a log may begin with a time. Node.js prints "TypeError [ERR_X]: ...", "Error: ...".
_ERROR = re.compile(r"(?:\w*Error|\w*Exception)(?: \[\w+\])?: .*")
_OF_PM2 = "You have triggered an unhandledRejection"
_NOISE = re.compile(rf"{_OF_PM2}|^\s+at .*(node:internal/|/node_modules/(pm2|async)/)")
# What a worker wrote at its end is on its way through the daemon when it is already seen to be gone.
_ON_THE_WAY_SECONDS = 0.3


class Bus:
    """Hears one daemon from its beginning on. Its user is not trusted: it may say anything, and as much as it likes."""

    def __init__(self, client: Pm2Client) -> None:
        self._client = client
        self._said = {b"s:log:err": "", b"s:log:out": ""}
        self._first = ""
        self.ends: dict[int, str] = {}
        """By PM2's number of a worker: how it ended last, as "exit status 1" or "signal SIGKILL"."""
        self.thrown: set[int] = set()
        """Those that nothing has caught an error of. PM2 lets a worker live on after a rejected promise."""
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
        lines = next(filter(None, said), [])
        # each worker says the same, and of a stack the program's own lines tell where it is
        return list(dict.fromkeys(line for line in lines if not _NOISE.search(line)))[-_LINES:]

    def error(self) -> str:
        """The first error that the workers' log names, else its first line; "" where it has none."""
        return first_error(self._first.splitlines())

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether the workers' first or last words have this in them."""
        return any(pattern.search(text) for text in (self._first, *self._said.values()))

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
            if parts:
                with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
                    self._note(event, json.loads(parts[0][2:]))

    def _note(self, event: bytes, told: dict[str, Any]) -> None:
        if event in self._said:
            self._said[event] = (self._said[event] + told["data"])[-_KEPT:]
        if event == b"s:log:err":
            self._first = (self._first + told["data"])[:_FIRST]
        elif event == b"s:log:PM2" and (found := _ENDED.search(told["data"])) and len(self.ends) < _MOST_WORKERS:
            self.ends[int(found[1])] = f"exit status {found[2]}" if found[3] == _NO_SIGNAL else f"signal {found[3]}"
        elif event == b"s:process:exception" and len(self.thrown) < _MOST_WORKERS:
            self.thrown.add(int(told["process"]["pm_id"]))


def first_error(lines: Iterable[str]) -> str:
    """The first of these lines that names an error, from there on; the first one of all where none does."""
    # of an endless line the search would take as long as its square
    said = [line.strip()[:_LONGEST_LINE] for line in lines if line.strip() and _OF_PM2 not in line]
    named = (found[0] for line in said if (found := _ERROR.search(line)))
    return next(named, said[0] if said else "")[:_LONGEST_ERROR]
