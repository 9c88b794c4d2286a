# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes, of a server that answers as the tests say."""

from __future__ import annotations

import base64
import hashlib
import http.server
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._net.websocket import WEBSOCKET_GUID
from ansible_collections.workbot.stability.plugins.module_utils._nginx.probe import (
    Probe,
    failures,
    from_url,
)
from certificates import issue

BETWEEN = issue("Between", authority=True)
SITE = issue("shop.test", BETWEEN, names=["shop.test"])
OTHER = issue("shop.test", BETWEEN, names=["shop.test"])


class Handler(http.server.BaseHTTPRequestHandler):
    """/status/N answers with that status, /late with 200 from the third time on, /ws with a WebSocket handshake."""

    asked = 0

    def do_GET(self) -> None:
        if self.path == "/late":
            Handler.asked += 1
            self.answer(200 if Handler.asked > 2 else 502)
        elif self.path.startswith("/ws") and self.headers["Upgrade"] == "websocket":
            key = self.headers["Sec-WebSocket-Key"] if self.path == "/ws" else "another"
            digest = hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()
            self.answer(101, Accept=base64.b64encode(digest).decode())
        else:
            self.answer(int(self.path.rpartition("/")[2]) if self.headers["Host"] == "shop.test" else 404)

    def answer(self, status: int, **websocket: str) -> None:
        self.send_response(status)
        for name, value in websocket.items():
            self.send_header(f"Sec-WebSocket-{name}", value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    yield from serving()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    (directory / "chain.pem").write_text(SITE.pem + BETWEEN.pem)
    (directory / "key.pem").write_text(SITE.key_pem())
    (directory / "short.pem").write_text(SITE.pem)
    (directory / "other.pem").write_text(OTHER.pem + BETWEEN.pem)
    return directory


@pytest.fixture(scope="module")
def tls_port(certificates: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "chain.pem", certificates / "key.pem")
    yield from serving(context)


def ask(port: int, path: str, patient: bool = False, root: Path = Path("/"), **options: Any) -> str:
    """The reason of a failure; empty when there is none."""
    probe = Probe("127.0.0.1", port, options.pop("host", "shop.test"), path, timeout=2, **options)
    return failures([probe], root.joinpath, patient).get(probe, "")


def test_the_expected_status_is_right(port: int) -> None:
    assert ask(port, "/status/200") == ""
    assert ask(port, "/status/301", expect_status=(200, 301)) == ""
    assert ask(port, "/status/502", expect_status=(200, 301)) == "the answer has status 502, not 200 or 301"


def test_the_host_name_is_asked_for(port: int) -> None:
    assert ask(port, "/status/200", host="other.test") == "the answer has status 404, not 200"


def test_a_patient_probe_waits_for_the_right_answer(port: int) -> None:
    Handler.asked = 0
    assert "502" in ask(port, "/late")
    assert ask(port, "/late", patient=True) == ""


def test_a_websocket_must_be_accepted(port: int) -> None:
    assert ask(port, "/ws", websocket=True) == ""
    assert "does not accept its key" in ask(port, "/ws-of-another", websocket=True)
    assert "has status 200, not 101" in ask(port, "/status/200", websocket=True)


def test_nobody_there_is_a_failure() -> None:
    assert ask(1, "/") == "Connection refused"


def test_the_served_chain_is_compared_with_the_file(tls_port: int, certificates: Path) -> None:
    for name, good in {"chain.pem": True, "short.pem": sys.version_info < (3, 13), "other.pem": False}.items():
        reason = ask(tls_port, "/status/200", tls=True, certificate_chain=name, root=certificates)
        assert (reason == "") == good, (name, reason)
    assert ask(tls_port, "/status/200", tls=True) == ""


def test_tls_and_plain_text_do_not_mix(port: int, tls_port: int) -> None:
    assert ask(port, "/status/200", tls=True)
    assert ask(tls_port, "/status/200")


@pytest.mark.parametrize(
    ("url", "probe"),
    [
        ("http://shop.test", Probe("shop.test", 80, "shop.test")),
        ("wss://shop.test/ws?a=b", Probe("shop.test", 443, "shop.test", "/ws?a=b", tls=True)),
        ("https://[::1]:8443/health", Probe("::1", 8443, "::1", "/health", tls=True)),
    ],
)
def test_a_url_is_taken_apart(url: str, probe: Probe) -> None:
    assert from_url(url) == probe


@pytest.mark.parametrize("url", ["shop.test", "ftp://shop.test/", "http:///health", "http://shop.test:port/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(StabilityError, match=r"is no URL such as"):
        from_url(url)


def test_a_probe_says_what_it_asks() -> None:
    assert Probe("127.0.0.1", 443, "shop.test", "/ws", True, websocket=True).title() == (
        "wss://shop.test/ws at 127.0.0.1:443"
    )
