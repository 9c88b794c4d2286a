# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steady load on a web service: what its clients notice is counted, and nothing is tried twice in silence.

    python tests/load/load_driver.py http://127.0.0.1:8080 --connections 32 --websockets 50

Clients with a pool of connections open another one when a kept-alive connection turns out to be closed. Here each
connection is one client's, and a close counts as failed unless the server announced it (`Connection: close`, which
Nginx sends after keepalive_requests). POST matters as much as GET: a proxy may send a failed GET again and hide it.

Prints `ready` when every connection has been used once, runs until SIGINT or SIGTERM, or for --seconds, and then prints
one JSON object, see `Tally`. Times are seconds since the epoch.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

FAILURES_KEPT = 100
AFTER_FAILURE = 0.2  # seconds until a client that failed goes on: a dead server is asked often, not in a busy loop
BODY = json.dumps({"text": "x" * 200}).encode()


@dataclass(frozen=True)
class Settings:
    """What to ask. `host` is sent as the Host header; empty for that of the address. Certificates are not judged."""

    address: str
    host: str = ""
    connections: int = 32
    websockets: int = 0
    path: str = "/"
    websocket_path: str = "/ws"
    methods: tuple[str, ...] = ("GET", "POST")
    pause: float = 0.2
    message_pause: float = 1
    timeout: float = 10
    release_header: str = "x-release"
    once: int = 0
    """1: each request has a connection of its own, as with clients that a reload of the proxy can't find idle."""


@dataclass
class Tally:
    """What the clients noticed.

    `failed` counts requests without a complete 2xx answer, WebSockets that could not be opened and messages that were
    not answered; `failures` tells the first of them. `closed` tells each WebSocket that the other side ended; `renewed`
    counts announced closes of connections. `releases` tells when the first and the last request was sent that each
    value of the release header answered.
    """

    began: float = field(default_factory=time.time)
    ended: float = 0
    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    renewed: int = 0
    slowest: float = 0
    opened: int = 0
    messages: int = 0
    closed: list[dict[str, Any]] = field(default_factory=list)
    releases: dict[str, dict[str, float]] = field(default_factory=dict)

    def fail(self, what: str, why: str) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append({"time": time.time(), "what": what, "why": why})

    def answered(self, method: str, status: int, sent: float, release: str) -> None:
        self.requests[method] += 1
        self.statuses[status] += 1
        self.slowest = max(self.slowest, time.time() - sent)
        if not 200 <= status < 300:
            self.fail(method, f"status {status}")
        if release:
            seen = self.releases.setdefault(release, {"count": 0, "first": sent, "last": sent})
            seen["count"] += 1
            seen["first"], seen["last"] = min(seen["first"], sent), max(seen["last"], sent)


class StepError(Exception):
    """What a client could not do, and why."""


@asynccontextmanager
async def step(what: str, seconds: float) -> AsyncIterator[None]:
    """Turns what goes wrong or takes longer into a StepError; a closed WebSocket is for the caller to judge."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except ConnectionClosed:
        raise
    except TimeoutError:
        raise StepError(what, f"not done within {seconds:g} s") from None
    except (OSError, h11.RemoteProtocolError, WebSocketException) as error:
        raise StepError(what, f"{type(error).__name__}: {error}") from error


class HttpClient:
    """One kept-alive connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, once: bool = False
    ) -> None:
        self.reader, self.writer, self.host, self.once = reader, writer, host, once
        self.protocol = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, path: str) -> h11.Response:
        """The head of the answer, once all of it has come. Raises OSError or h11.RemoteProtocolError."""
        body = BODY if method == "POST" else b""
        headers = [("Host", self.host), ("Content-Length", str(len(body))), ("Content-Type", "application/json")]
        if self.once:
            headers.append(("Connection", "close"))
        for event in (h11.Request(method=method, target=path, headers=headers), h11.Data(body), h11.EndOfMessage()):
            self.writer.write(self.protocol.send(event) or b"")
        await self.writer.drain()
        response = None
        while not isinstance(event := self.protocol.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                self.protocol.receive_data(await self.reader.read(65536))
            elif isinstance(event, h11.Response):
                response = event
        assert response is not None  # h11 gives no end of a message that did not begin
        return response

    def again(self) -> bool:
        """Whether the server keeps the connection for another request."""
        if self.protocol.their_state is not h11.DONE:
            return False
        self.protocol.start_next_cycle()
        return True


class Load:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tally = Tally()
        self.over = asyncio.Event()
        address = urlsplit(settings.address)
        self.tls = ssl._create_unverified_context() if address.scheme == "https" else None
        self.server = (address.hostname or "", address.port or (443 if self.tls else 80))
        self.host = settings.host or address.netloc
        self.name = urlsplit(f"//{self.host}").hostname if self.tls else None
        self.waiting = settings.connections + settings.websockets
        self.ready = asyncio.Event()
        self.methods = itertools.cycle(settings.methods)

    async def run(self) -> Tally:
        talks = [self.http] * self.settings.connections + [self.websocket] * self.settings.websockets
        await asyncio.gather(*map(self.client, talks))
        self.tally.ended = time.time()
        return self.tally

    async def client(self, talk: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """One client: opens a connection, uses it until it ends, opens the next."""
        used = False

        def first_use() -> None:
            nonlocal used
            if not used:
                used = True
                self.waiting -= 1
                if self.waiting == 0:
                    self.ready.set()

        while not self.over.is_set():
            try:
                await talk(first_use)
            except StepError as failure:
                self.tally.fail(*failure.args)
                first_use()
                await self.rest(AFTER_FAILURE)

    async def http(self, used: Callable[[], None]) -> None:
        """Asks over one connection until the load is over or the server announces that it closes the connection."""
        settings = self.settings
        async with step("connect", settings.timeout):
            connection = await asyncio.open_connection(*self.server, ssl=self.tls, server_hostname=self.name)
            client = HttpClient(*connection, self.host, bool(settings.once))
        try:
            for method in self.methods if settings.once else itertools.cycle(settings.methods):
                sent = time.time()
                async with step(method, settings.timeout):
                    response = await client.ask(method, settings.path)
                release = dict(response.headers).get(settings.release_header.lower().encode(), b"").decode()
                self.tally.answered(method, response.status_code, sent, release)
                used()
                if not client.again():
                    self.tally.renewed += not settings.once
                    await self.rest(settings.pause if settings.once else 0)
                    return
                await self.rest(settings.pause)
                if self.over.is_set():
                    return
        finally:
            client.writer.close()

    async def websocket(self, used: Callable[[], None]) -> None:
        """Exchanges messages over one WebSocket until the load is over or the other side ends it."""
        host, port = self.server
        uri = f"ws{'s' if self.tls else ''}://{self.host}{self.settings.websocket_path}"
        async with step("WebSocket", self.settings.timeout):
            # no pings of its own, and no proxy of the environment: only what the server does is looked at
            socket = await connect(uri, host=host, port=port, ssl=self.tls, proxy=None, ping_interval=None)
        self.tally.opened += 1
        opened = time.time()
        try:
            await self.converse(socket, used)
        except ConnectionClosed:
            code, reason = socket.close_code, socket.close_reason
            self.tally.closed.append({"time": time.time(), "opened": opened, "code": code, "reason": reason})
        finally:
            await socket.close()

    async def converse(self, socket: ClientConnection, used: Callable[[], None]) -> None:
        over = asyncio.ensure_future(self.over.wait())
        closed = asyncio.ensure_future(socket.wait_closed())
        try:
            for number in itertools.count():
                mark = f"message {number} of {id(socket)}"
                async with step("message", self.settings.timeout):
                    await socket.send(json.dumps({"type": "load", "mark": mark}))
                    while mark not in str(await socket.recv()):
                        pass
                self.tally.messages += 1
                used()
                # a close is noticed when it happens, not at the next message
                await asyncio.wait(
                    {over, closed}, timeout=self.settings.message_pause, return_when=asyncio.FIRST_COMPLETED
                )
                if over.done():
                    return
        finally:
            over.cancel()
            closed.cancel()

    async def rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


async def measure(settings: Settings, seconds: float, say_ready: Callable[[], None] = lambda: None) -> Tally:
    """Runs the load for that time, or until a signal when it is 0."""
    load = Load(settings)
    loop = asyncio.get_running_loop()
    if seconds:
        loop.call_later(seconds, load.over.set)
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, load.over.set)
    running = asyncio.ensure_future(load.run())
    ready = asyncio.ensure_future(load.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    say_ready()
    return await running


def main() -> None:
    usual = Settings("")
    parser = argparse.ArgumentParser(description="Steady load on a web service; see the head of this file.")
    parser.add_argument("address", help="for example http://127.0.0.1:8080")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0 until a signal")
    for name, value in asdict(usual).items():
        if name not in ("address", "methods"):
            parser.add_argument(
                f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default: {value}"
            )
    parser.add_argument("--methods", type=lambda text: tuple(text.split(",")), default=usual.methods)
    options = vars(parser.parse_args())
    seconds = options.pop("seconds")
    tally = asyncio.run(measure(Settings(**options), seconds, lambda: print("ready", flush=True)))
    json.dump(vars(tally), sys.stdout)


if __name__ == "__main__":
    main()
