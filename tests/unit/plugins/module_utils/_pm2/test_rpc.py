# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The language of PM2's socket, against one that speaks it well, badly or not at all. The host tests ask a real PM2."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import (
    ABSENT,
    HUNG,
    MAX_ANSWER,
    WELL,
    NoDaemonError,
    RpcError,
    Stream,
    call,
    processes_of,
    read_daemon,
)
from axon import answer, frame

MARKER = "this-must-not-be-told"
RECORD = {"name": "shop-1", "pm_id": 3, "pid": 44, "pm2_env": {"status": "online", "env": {"TOKEN": MARKER}}}
Serve = Callable[[bytes], Path]


@pytest.fixture
def asked() -> list[bytes]:
    return []


@pytest.fixture
def serve(tmp_path: Path, asked: list[bytes]) -> Iterator[Serve]:
    """Answers the next connection with these bytes, in two pieces; none mean silence."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "rpc.sock"))
    server.listen(1)
    held = []

    def work(content: bytes) -> None:
        connection, _address = server.accept()
        held.append(connection)
        asked.append(connection.recv(65536))
        # who sees at once that it is no answer has gone away before its end
        with contextlib.suppress(OSError):
            if content:
                connection.sendall(content[:-2])
                time.sleep(0.05)
                connection.sendall(content[-2:])
                connection.close()

    def start(content: bytes) -> Path:
        threading.Thread(target=work, args=(content,), daemon=True).start()
        return tmp_path / "rpc.sock"

    yield start
    server.close()
    for connection in held:
        connection.close()


def client(home: Path) -> Pm2Client:
    return Pm2Client(home, "/nonexistent/pm2", "/nonexistent/node", None, 5)


def test_a_call_is_what_pm2s_own_client_sends(serve: Serve, asked: list[bytes]) -> None:
    assert call(serve(answer({"args": ["done"]})), "reloadProcessId", {"id": 2}, 5) == "done"
    body = b'j:{"type": "call", "method": "reloadProcessId", "args": [{"id": 2}]}'
    assert asked == [frame(body, b"s:watchdog:1")]


def test_the_processes_are_read_and_their_environment_is_not_shown(serve: Serve) -> None:
    reading = read_daemon(client(serve(answer({"args": [[RECORD]]})).parent), 5)
    assert reading.state == WELL
    assert [(process.name, process.pm_id, process.pid) for process in reading.processes] == [("shop-1", 3, 44)]
    assert MARKER not in repr(reading)


def test_a_large_answer_in_many_pieces_is_read_whole(serve: Serve) -> None:
    assert call(serve(answer({"args": ["x" * 3_000_000]})), "any", {}, 5) == "x" * 3_000_000


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(b"j:{not json", b"s:1"),
        frame(b"j:" + b"[" * 100_000, b"s:1"),
        frame(b"s:text alone"),
        answer([MARKER]),
        answer({"args": MARKER * 2})[:-20],
        answer({"error": MARKER}),
        bytes([16 + 1]) + struct.pack(">I", 1 << 31),
    ],
)
def test_what_is_no_answer_is_an_error_that_quotes_nothing(serve: Serve, garbage: bytes) -> None:
    with pytest.raises(RpcError) as error:
        call(serve(garbage), "getMonitorData", {}, 5)
    assert MARKER not in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (frame(b"s:12345678", b"j:1"), r"^the answer has more than 12 bytes$"),
        (frame(b"s:1234567890abc"), r"^the answer has more than 12 bytes$"),
        (frame(*[b"x"] * 5), "not in PM2's protocol"),
    ],
)
def test_a_message_is_bounded_as_a_whole(content: bytes, problem: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = Stream(ours, time.monotonic() + 5, 12)
        theirs.sendall(frame(b"s:1234567", b"j:1"))
        assert stream.message() == [b"s:1234567", b"j:1"]
        theirs.sendall(content)
        with pytest.raises(RpcError, match=problem):
            stream.message()


def test_an_answer_has_room_for_many_workers_with_large_environments_and_no_more(serve: Serve) -> None:
    record = RECORD | {"pm2_env": {"status": "online", "env": {"LARGE": "x" * 300_000}}}
    assert len(read_daemon(client(serve(answer({"args": [[record] * 32]})).parent), 10).processes) == 32
    with pytest.raises(RpcError, match=r"more than 16777216 bytes$"):
        call(serve(bytes([16 + 1]) + struct.pack(">I", MAX_ANSWER + 1)), "getMonitorData", {}, 5)


@pytest.mark.parametrize(
    "content", [{"args": [None]}, {"args": [{}]}, {"args": [[{"name": "x"}]]}, {"args": [[7]]}, {"args": []}]
)
def test_something_else_than_a_process_list_is_a_daemon_that_is_not_well(serve: Serve, content: Any) -> None:
    reading = read_daemon(client(serve(answer(content)).parent), 5)
    assert (reading.state, reading.timed_out) == (HUNG, False)


def test_silence_ends_with_the_time_limit(serve: Serve) -> None:
    begun = time.monotonic()
    reading = read_daemon(client(serve(b"").parent), 0.3)
    assert (reading.state, reading.timed_out) == (HUNG, True)
    assert time.monotonic() - begun < 10


def test_bytes_that_drip_do_not_stretch_the_time(tmp_path: Path) -> None:
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "rpc.sock"))
        server.listen(1)

        def drip() -> None:
            connection, _address = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.send(bytes([17]) + struct.pack(">I", 1000))
                while not done.wait(0.05):
                    connection.send(b"x")

        threading.Thread(target=drip, daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(RpcError, match="no answer"):
            call(tmp_path / "rpc.sock", "getMonitorData", {}, 0.3)
        done.set()
    assert time.monotonic() - begun < 10


def test_no_socket_and_no_process_is_a_daemon_that_is_absent(tmp_path: Path) -> None:
    assert read_daemon(client(tmp_path), 1).state == ABSENT
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "rpc.sock"))
    with pytest.raises(NoDaemonError):
        call(tmp_path / "rpc.sock", "getMonitorData", {}, 1)
    assert read_daemon(client(tmp_path), 1).state == ABSENT


def test_processes_are_those_of_a_daemon_that_is_well(serve: Serve) -> None:
    (found,) = processes_of(client(serve(answer({"args": [[RECORD]]})).parent))
    assert (found.name, found.pm_id, found.pid) == ("shop-1", 3, 44)


def test_of_a_daemon_that_is_not_well_it_is_said_why_there_are_none(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Pm2Error, match=rf"^no PM2 daemon runs for {tmp_path}/empty$"):
        processes_of(client(tmp_path / "empty"))
    with pytest.raises(
        Pm2Error, match=r"^PM2's daemon \(process unknown\): the answer is not in PM2's protocol"
    ) as error:
        processes_of(client(serve(answer([MARKER])).parent))
    assert MARKER not in str(error.value)
