# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load driver sees every way in which a server lets its clients down, and nothing where it does not."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from certificates import issue
from load_driver import Settings, Tally, measure
from websockets.asyncio.server import ServerConnection, serve

DRIVER = Path(__file__).with_name("load_driver.py")
SECONDS = 0.6
# Not 127.0.0.1: Podman leads ports of that to the test hosts, and while a host restarts nobody holds its port, which
# the kernel may then give to a server here.
ADDRESS = "127.0.0.2"
OK = b"HTTP/1.1 200 OK\r\nX-Release: one\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[[int, asyncio.StreamWriter], Awaitable[bool]]


async def serve_http(answer: Answer, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """A server that reads whole requests and lets `answer` write; it closes the connection when that returns False."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, kept = 0, True
        while kept:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            await reader.readexactly(int(head.partition("content-length: ")[2].split("\r\n")[0]))
            number += 1
            kept = await answer(number, writer)
        writer.close()

    return await asyncio.start_server(connection, ADDRESS, 0, ssl=tls)


def load_on_http(answer: Answer, methods: tuple[str, ...] = ("GET", "POST")) -> Tally:
    async def run() -> Tally:
        async with await serve_http(answer) as server:
            port = server.sockets[0].getsockname()[1]
            settings = Settings(f"http://{ADDRESS}:{port}", connections=2, pause=0.01, timeout=0.3, methods=methods)
            return await measure(settings, SECONDS)

    return asyncio.run(run())


def load_on_websockets(
    handler: Callable[[ServerConnection], Awaitable[None]], timeout: float = 0.3, seconds: float = SECONDS
) -> Tally:
    async def run() -> Tally:
        async with serve(handler, ADDRESS, 0) as server:
            port = server.sockets[0].getsockname()[1]
            settings = Settings(
                f"http://{ADDRESS}:{port}", connections=0, websockets=2, message_pause=0.01, timeout=timeout
            )
            return await measure(settings, seconds)

    return asyncio.run(run())


async def echo(client: ServerConnection) -> None:
    async for message in client:
        await client.send(message)


async def good(_number: int, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK)
    return True


async def error(number: int, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK if number % 3 else b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    return True


async def reset(number: int, writer: asyncio.StreamWriter) -> bool:
    if number < 3:
        return await good(number, writer)
    # the kernel sends a reset in place of an orderly end
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def silent_close(number: int, writer: asyncio.StreamWriter) -> bool:
    """The close between two requests that a pool of connections would hide."""
    await good(number, writer)
    return number < 3


async def announced_close(number: int, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK if number < 3 else OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    return number < 3


async def cut_short(number: int, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK if number < 3 else OK[:-1])
    return number < 3


async def no_answer(number: int, writer: asyncio.StreamWriter) -> bool:
    return await good(number, writer) if number < 3 else True


def test_a_good_server_has_no_failures() -> None:
    tally = load_on_http(good)
    assert tally.failed == tally.renewed == 0
    assert min(tally.requests["GET"], tally.requests["POST"]) > 5
    assert set(tally.statuses) == {200}
    seen = tally.releases["one"]
    assert seen["count"] == tally.requests.total()
    assert tally.began <= seen["first"] < seen["last"] <= tally.ended


def test_https_is_http_in_tls(tmp_path: Path) -> None:
    own, names = issue("shop.test"), set()
    (tmp_path / "both.pem").write_text(own.pem + own.key_pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    tls.sni_callback = lambda _connection, name, _context: names.add(name)

    async def run() -> tuple[Tally, Tally]:
        async with await serve_http(good, tls) as plain, serve(echo, ADDRESS, 0, ssl=tls) as websockets:
            ports = [server.sockets[0].getsockname()[1] for server in (plain, websockets)]
            requests, messages = (
                Settings(f"https://{ADDRESS}:{port}", "shop.test", http, 1 - http, pause=0.01, message_pause=0.01)
                for port, http in zip(ports, (1, 0), strict=True)
            )
            return await asyncio.gather(measure(requests, SECONDS), measure(messages, SECONDS))

    requests, messages = asyncio.run(run())
    assert (requests.failed, messages.failed, messages.closed) == (0, 0, [])
    assert requests.statuses[200] > 5
    assert messages.messages > 5
    assert names == {"shop.test"}


def test_an_announced_close_is_no_failure() -> None:
    tally = load_on_http(announced_close)
    assert tally.failed == 0
    assert tally.renewed > 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (error, "status 502"),
        (reset, "ConnectionResetError"),
        (silent_close, "RemoteProtocolError|ConnectionResetError|BrokenPipeError"),
        (cut_short, "RemoteProtocolError"),
        (no_answer, "not done within 0.3 s"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_failures_are_seen(answer: Answer, why: str, method: str) -> None:
    tally = load_on_http(answer, (method,))
    assert tally.failed > 0
    assert {failure["what"] for failure in tally.failures} == {method}
    assert all(re.search(why, failure["why"]) for failure in tally.failures), tally.failures
    assert tally.requests[method] > 0


def test_a_server_that_is_gone_is_seen() -> None:
    with socket.create_server((ADDRESS, 0)) as taken:
        port = taken.getsockname()[1]
    tally = asyncio.run(measure(Settings(f"http://{ADDRESS}:{port}", connections=1, websockets=1), SECONDS))
    assert {failure["what"] for failure in tally.failures} == {"connect", "WebSocket"}
    assert tally.requests.total() == tally.opened == 0


def test_websockets_stay_open_and_exchange_messages() -> None:
    tally = load_on_websockets(echo)
    assert (tally.opened, tally.failed, tally.closed) == (2, 0, [])
    assert tally.messages > 5


@pytest.mark.parametrize("code", [1001, 1011, 1006])
def test_a_closed_websocket_is_told_with_code_and_time(code: int) -> None:
    async def close(client: ServerConnection) -> None:
        await client.send(await client.recv())
        await asyncio.sleep(0.1)
        if code == 1006:
            client.transport.abort()
        else:
            await client.close(code, "goodbye")

    # on a busy machine a tenth of a second may be a whole one
    tally = load_on_websockets(close, timeout=10, seconds=3)
    assert len(tally.closed) >= 2, tally.failures
    assert tally.opened > len(tally.closed) - 2
    assert {entry["code"] for entry in tally.closed} == {code}
    assert all(tally.began < entry["opened"] < entry["time"] <= tally.ended for entry in tally.closed)


def test_a_message_without_an_answer_is_a_failure() -> None:
    async def deaf(client: ServerConnection) -> None:
        async for _message in client:
            await client.send("something else")

    tally = load_on_websockets(deaf)
    assert {failure["what"] for failure in tally.failures} == {"message"}


def test_a_refused_handshake_is_a_failure() -> None:
    async def run() -> Tally:
        async with await serve_http(good) as server:
            port = server.sockets[0].getsockname()[1]
            return await measure(Settings(f"http://{ADDRESS}:{port}", connections=0, websockets=1, timeout=0.3), 0.3)

    # serve_http wants a length, which a handshake lacks: it ends the connection
    assert {failure["what"] for failure in asyncio.run(run()).failures} == {"WebSocket"}


def test_the_command_runs_until_a_signal_and_prints_the_tally() -> None:
    async def run() -> bytes:
        async with await serve_http(good) as server:
            port = server.sockets[0].getsockname()[1]
            driver = await asyncio.create_subprocess_exec(
                sys.executable, DRIVER, f"http://{ADDRESS}:{port}", "--connections=2", "--pause=0.01",
                stdout=subprocess.PIPE,
            )  # fmt: skip
            assert driver.stdout is not None
            assert await driver.stdout.readline() == b"ready\n"
            await asyncio.sleep(0.2)
            driver.send_signal(signal.SIGINT)
            output, _error = await driver.communicate()
            assert driver.returncode == 0
            return output

    tally = json.loads(asyncio.run(run()))
    assert tally["failed"] == 0
    assert tally["requests"]["POST"] > 2
    assert tally["statuses"].keys() == {"200"}
