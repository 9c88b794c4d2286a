# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about Nginx, WebSockets and certificates."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import create_server

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._diagnose_proxy import (
    NginxReading,
    judge_dates,
    judge_handshake,
    judge_nginx,
    read_nginx,
)
from ansible_collections.workbot.stability.plugins.module_utils._findings import (
    CRITICAL,
    OK,
    WARNING,
    FallingThresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._served_certificate import (
    CertificateDates,
    begin_postgresql,
    read_dates,
)
from ansible_collections.workbot.stability.plugins.module_utils._websocket import Handshake
from certificates import issue

DAY = 86400


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Handshake(101, True), OK),
        (Handshake(101, False), CRITICAL),
        (Handshake(401, False), OK),
        (Handshake(429, False), WARNING),
        (Handshake(503, False), WARNING),
        (Handshake(502, False), CRITICAL),
        (Handshake(200, False), CRITICAL),
        (None, CRITICAL),
    ],
)
def test_a_handshake_is_judged(answer: Handshake | None, status: str) -> None:
    finding = judge_handshake("/ws", answer, "5 ms")
    assert (finding.check, finding.status) == ("websocket./ws", status)


@pytest.mark.parametrize(
    ("begins", "ends", "status", "said"),
    [
        (-1, 90, OK, "90 days"),
        (-1, 21, WARNING, "Renew it"),
        (-1, 7, CRITICAL, "Renew it"),
        (-1, -2, CRITICAL, "has expired"),
        (1, 90, CRITICAL, "not valid before"),
    ],
)
def test_dates_are_judged(begins: float, ends: float, status: str, said: str) -> None:
    now = time.time()
    dates = CertificateDates(now + begins * DAY, now + ends * DAY)
    finding = judge_dates("x.test", dates, now, FallingThresholds(21, 7))
    assert finding.status == status
    assert said in finding.message


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """A TLS server whose certificate has expired yesterday: it can't be trusted, and its dates are wanted."""
    issued = issue("x.test", begins=-9, ends=-1)
    (tmp_path / "pem").write_text(issued.pem + issued.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    with create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _connection in range(2):
                plain, _address = listener.accept()
                # a client that has seen enough goes without a word
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                    secured.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_the_dates_of_a_served_certificate_are_read_even_when_it_has_expired(tls_port: int) -> None:
    dates = read_dates("127.0.0.1", tls_port, "x.test", 5)
    assert dates.begins < dates.ends < time.time()


def test_a_postgresql_without_tls_is_told() -> None:
    server, client = socket.socketpair()
    server.sendall(b"N")
    with pytest.raises(ConnectionError, match="does not speak TLS"):
        begin_postgresql(client)
    assert server.recv(8) == bytes([0, 0, 0, 8, 4, 210, 22, 47]), "as PostgreSQL's protocol has the SSLRequest"


@pytest.mark.parametrize(
    ("reading", "hours", "expected"),
    [
        (NginxReading(1, False, 2), 0.0, [OK]),
        (NginxReading(None), 0.0, [CRITICAL]),
        (NginxReading(1, True, 2), 0.0, [CRITICAL]),
        (NginxReading(1, False, 0, (7,)), 0.0, [CRITICAL]),
        (NginxReading(1, False, 2, (7, 8)), 1.0, [OK, OK]),
        (NginxReading(1, False, 2, (7, 8)), 4.0, [OK, WARNING]),
    ],
)
def test_processes_of_nginx_are_judged(reading: NginxReading, hours: float, expected: list[str]) -> None:
    assert [finding.status for finding in judge_nginx(reading, hours)] == expected


@pytest.mark.parametrize("content", ["", "x", "1", "99999999"])
def test_a_pid_file_of_something_else_is_no_nginx(content: str, tmp_path: Path) -> None:
    path = tmp_path / "nginx.pid"
    path.write_text(content)
    assert read_nginx(path) == NginxReading(None)
