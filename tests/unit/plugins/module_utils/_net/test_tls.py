# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates as they are served."""

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
from ansible_collections.workbot.stability.plugins.module_utils._net.tls import begin_postgresql, read_dates
from certificates import issue


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
