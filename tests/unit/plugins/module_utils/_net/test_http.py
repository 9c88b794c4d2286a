# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP answers of a real server on a real socket, most of them bad ones."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._net.http import (
    HttpError,
    Request,
    RequestError,
    fetch,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Handler = Callable[[socket.socket, bytes], None]


class Server:
    """Answers each connection with the handler that is set at that moment."""

    def __init__(self, listener: socket.socket) -> None:
        self.handler: Handler = say(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.requests: list[bytes] = []
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            self.requests.append(request)
            self.handler(connection, request)


def say(answer: bytes) -> Handler:
    return lambda connection, _request: connection.sendall(answer)


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture(scope="module")
def listening() -> Iterator[tuple[Server, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Server(listener), f"http://127.0.0.1:{listener.getsockname()[1]}/health"


@pytest.fixture
def server(listening: tuple[Server, str]) -> Server:
    listening[0].requests.clear()
    return listening[0]


@pytest.fixture
def url(listening: tuple[Server, str]) -> str:
    return listening[1]


def test_an_answer_is_returned_whole(server: Server, url: str) -> None:
    server.handler = say(answer(b'{"status": "ok"}'))
    got = fetch(Request(url, headers={"X-Probe": "1"}))
    assert (got.status, got.body, got.url) == (200, b'{"status": "ok"}', url)
    assert b"X-Probe: 1" in server.requests[0]


def test_a_unix_socket_is_asked_for_a_path(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = Server(listener)
        server.handler = say(answer(b"fine"))
        assert fetch(Request("/api/health?full=1", unix_socket=str(path))).body == b"fine"
    assert server.requests[0].startswith(b"GET /api/health?full=1 HTTP/1.1\r\nHost: localhost\r\n")


def drip_body(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _attempt in range(600):  # 30 s in all
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_headers(connection: socket.socket, _request: bytes) -> None:
    for letter in (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100)[:600]:  # 30 s in all
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def silence(connection: socket.socket, _request: bytes) -> None:
    connection.recv(1)


@pytest.mark.parametrize(
    ("handler", "arrived"), [(drip_body, r" \([0-9]+ bytes of the body arrived\)"), (drip_headers, ""), (silence, "")]
)
def test_the_time_limit_covers_the_whole_answer(server: Server, url: str, handler: Handler, arrived: str) -> None:
    server.handler = handler
    started = time.monotonic()
    with pytest.raises(HttpError, match=rf"no complete answer within 0\.3 s{arrived}$"):
        fetch(Request(url, timeout=0.3))
    assert time.monotonic() - started < 10


def endless(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_an_endless_body_is_refused(server: Server, url: str) -> None:
    server.handler = endless
    with pytest.raises(HttpError, match="more than 1000 bytes"):
        fetch(Request(url, max_body=1000))


def reset(connection: socket.socket, _request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (reset, "closed before the answer was complete"),
        (say(b""), "closed before the answer was complete"),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "96 bytes of the body missing|before the answer"),
        (say(b"SSH-2.0-OpenSSH_9.9\r\n"), "no HTTP answer"),
        (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "no HTTP answer|before the answer"),
        (say(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), "no HTTP answer"),
    ],
)
def test_a_broken_answer_is_explained(server: Server, url: str, handler: Handler, message: str) -> None:
    server.handler = handler
    with pytest.raises(HttpError, match=message):
        fetch(Request(url, timeout=2))


def test_a_redirect_on_the_same_host_is_followed(server: Server, url: str) -> None:
    def handler(connection: socket.socket, request: bytes) -> None:
        moved = answer(b"", "302 Found", "Location: /new\r\n")
        connection.sendall(moved if b"GET /health" in request else answer(b"here"))

    server.handler = handler
    got = fetch(Request(url))
    assert (got.body, got.url) == (b"here", url.replace("/health", "/new"))


def test_a_redirect_loop_ends(server: Server, url: str) -> None:
    server.handler = say(answer(b"", "302 Found", "Location: /health\r\n"))
    with pytest.raises(HttpError, match="more than 3 redirects"):
        fetch(Request(url))
    assert len(server.requests) == 4


@pytest.mark.parametrize("location", ["http://192.0.2.1/", "//example.org/health", "ftp://127.0.0.1/", "http://[bad/"])
def test_a_redirect_elsewhere_is_not_followed(server: Server, url: str, location: str) -> None:
    server.handler = say(answer(b"", "302 Found", f"Location: {location}\r\n"))
    with pytest.raises((HttpError, RequestError)):
        fetch(Request(url))
    assert len(server.requests) == 1


def test_nothing_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HttpError, match="connection refused"):
        fetch(Request(f"http://127.0.0.1:{port}/"))
    with pytest.raises(HttpError, match="no such socket"):
        fetch(Request("/", unix_socket=str(tmp_path / "gone.sock")))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Request("127.0.0.1/health"), "no http or https URL"),
        (Request("file:///etc/passwd"), "no http or https URL"),
        (Request("http://127.0.0.1:99999/"), "no http or https URL"),
        (Request("http://127.0.0.1/a b"), "no http or https URL"),
        (Request("http://me:secret@127.0.0.1/"), "would show in logs"),
        (Request("https://localhost/", unix_socket="/x"), "asked over http"),
        (Request("http://127.0.0.1/", headers={"X": "a\r\nY: b"}), "line break"),
        (Request("https://127.0.0.1/", ca_path="/nonexistent.pem"), "certificate authorities"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_sent(wrong: Request, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        fetch(wrong)
    assert "secret" not in str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_an_answer_or_an_explained_error(server: Server, url: str, garbage: bytes, with_head: bool) -> None:
    server.handler = say((b"HTTP/1.1 200 OK\r\n" if with_head else b"") + garbage)
    with contextlib.suppress(HttpError, RequestError):
        assert 100 <= fetch(Request(url, timeout=2)).status <= 999
