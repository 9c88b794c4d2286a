# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a PM2 daemon for its processes over its own socket: a few milliseconds, where `pm2 jlist` starts a Node.js.

No daemon is ever started by this. What PM2 speaks on rpc.sock is axon: messages of parts, each with its length, after
one byte with the protocol's version and the number of parts (npm packages amp, amp-message, pm2-axon, pm2-axon-rpc).
"""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

from .._host.command import effective_user
from .._host.errors import StabilityError
from .client import ANSWER_SECONDS, Pm2Client, restart_advice
from .errors import Pm2Error
from .process import Pm2Process, parse_processes

ABSENT = "absent"
HUNG = "hung"
WELL = "well"

# A process's record has 5 KB and its whole environment, thrice: with 100 KB of that, 32 workers have 10 MB.
MAX_ANSWER = 16 * 1024 * 1024
_VERSION = 1
# PM2 7 has two: an answer and the number of its call, or the name of an event and what it is about.
_MOST_PARTS = 4
_LENGTH = struct.Struct(">I")
_CHUNK = 262144
_JSON, _TEXT = b"j:", b"s:"
_SOCKET = "rpc.sock"
_CALL_ID = "watchdog:1"


class RpcError(StabilityError):
    """The daemon did not answer, or not in its own language; the message never quotes what it said."""


class RpcTimeoutError(RpcError):
    """The daemon did not answer in time."""


class NoDaemonError(RpcError):
    """Nothing listens on the socket."""


@dataclasses.dataclass(frozen=True)
class DaemonReading:
    state: str
    """absent, hung or well."""
    message: str = ""
    """What is wrong, unless it is well."""
    pid: int | None = None
    processes: tuple[Pm2Process, ...] = ()
    timed_out: bool = False


def read_daemon(client: Pm2Client, timeout: float) -> DaemonReading:
    """The daemon and every process that it has, within `timeout` seconds."""
    pid = client.daemon_pid()
    try:
        with effective_user(client.owner):
            answer = call(client.home / _SOCKET, "getMonitorData", {}, timeout)
        processes = parse_processes(answer)
    except NoDaemonError as error:
        if pid is None:
            return DaemonReading(ABSENT, f"no PM2 daemon runs for {client.home}")
        return DaemonReading(HUNG, f"PM2's daemon (process {pid}) does not listen: {error}", pid)
    except (RpcError, Pm2Error) as error:
        message, timed_out = f"PM2's daemon (process {pid or 'unknown'}): {error}", isinstance(error, RpcTimeoutError)
        return DaemonReading(HUNG, message, pid, timed_out=timed_out)
    return DaemonReading(WELL, "", pid, tuple(processes))


def processes_of(client: Pm2Client) -> tuple[Pm2Process, ...]:
    """Every process that the daemon has. Raises Pm2Error."""
    reading = read_daemon(client, min(client.timeout, ANSWER_SECONDS))
    if reading.state != WELL:
        raise Pm2Error(reading.message)
    return reading.processes


def live_processes(client: Pm2Client) -> list[Pm2Process]:
    """The same, of a daemon that people look after. Raises Pm2Error, which says what they can do."""
    pid = client.require_daemon()
    try:
        return list(processes_of(client))
    except Pm2Error as error:
        raise Pm2Error(f"{error}; {restart_advice(pid)}") from error


def reload_worker(client: Pm2Client, number: int, timeout: float) -> None:
    """Replace a worker by a new one, which has said that it is ready, before it ends. Raises RpcError.

    `pm2 reload <number>` names it by a text, with which the daemon never finds the new one's `ready`: it waits for the
    whole listen_timeout each time.
    """
    call(client.home / _SOCKET, "reloadProcessId", {"id": number, "env": {}}, timeout)


def start_worker(client: Pm2Client, number: int, timeout: float) -> None:
    """Start a worker that PM2 gave up, with the back-off that it has reached. Raises RpcError.

    `pm2 restart` takes the back-off to its beginning: one that still can't start is given up again seconds later, while
    with this PM2 goes on trying every 15 seconds.
    """
    call(client.home / _SOCKET, "startProcessId", number, timeout)


def stop_worker(client: Pm2Client, number: int, timeout: float) -> None:
    """Have a worker end and stay stopped; returns when it has ended, if need be by kill_timeout. Raises RpcError."""
    call(client.home / _SOCKET, "stopProcessId", number, timeout)


def remove_outgoing(client: Pm2Client, number: int, timeout: float) -> None:
    """Have a worker end that a reload has replaced and PM2 has lost from its list. Raises RpcError."""
    call(client.home / _SOCKET, "deleteProcessId", f"_old_{number}", timeout)


def call(path: Path, method: str, argument: Any, timeout: float) -> Any:
    """What the daemon's method returns. Raises RpcError; the time limit covers all of it."""
    deadline = time.monotonic() + timeout
    message = _message({"type": "call", "method": method, "args": [argument]}, _CALL_ID)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(message)
            parts = Stream(connection, deadline).message()
    except TimeoutError:
        raise RpcTimeoutError(f"no answer on {path.name} within {timeout:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoDaemonError(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise RpcError(f"{path}: {error.strerror or error}") from None
    return _result(parts)


def _message(content: Any, call_id: str) -> bytes:
    parts = [_JSON + json.dumps(content).encode(), _TEXT + call_id.encode()]
    head = bytes([_VERSION << 4 | len(parts)])
    return head + b"".join(_LENGTH.pack(len(part)) + part for part in parts)


class Stream:
    """Messages of a daemon, each wait within what is left of the time. Raises RpcError, TimeoutError and OSError."""

    def __init__(self, connection: socket.socket, deadline: float, most: int = MAX_ANSWER) -> None:
        self._connection = connection
        self._deadline = deadline
        self._most = most
        """Bytes of a message, of all its parts together."""
        self._buffer = bytearray()

    def message(self) -> list[bytes]:
        version, count = divmod(self._take(1)[0], 16)
        if version != _VERSION or not 0 < count <= _MOST_PARTS:
            raise RpcError("the answer is not in PM2's protocol")
        parts: list[bytes] = []
        for _number in range(count):
            (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
            if sum(map(len, parts)) + length > self._most:
                raise RpcError(f"the answer has more than {self._most} bytes")
            parts.append(self._take(length))
        return parts

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            chunk = self._connection.recv(_CHUNK)
            if not chunk:
                raise RpcError("the connection was closed before the answer was complete")
            self._buffer += chunk
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _result(parts: list[bytes]) -> Any:
    """The first value of the answer: either {args: [value]} or {error: text}, in the first part of the message."""
    contents = [part[len(_JSON) :] for part in parts if part.startswith(_JSON)]
    try:
        answer = next((value for text in contents if isinstance(value := json.loads(text), dict)), None)
        if answer is None:
            raise RpcError("the answer is not in PM2's protocol")
        if answer.get("error"):
            raise RpcError("PM2's daemon could not do it: see pm2.log in its home")
        return answer["args"][0] if answer["args"] else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RpcError(f"the answer is not in PM2's protocol ({type(error).__name__})") from None
