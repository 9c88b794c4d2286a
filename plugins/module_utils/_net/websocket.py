# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A WebSocket handshake over a connection that is open: RFC 6455, section 4."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
from dataclasses import dataclass

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass(frozen=True)
class Handshake:
    status: int
    accepted: bool
    """Whether the server proved that it speaks the protocol: it has answered with our key."""

    @property
    def problem(self) -> str:
        """Why it failed; empty when it did not."""
        if self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            return f"the answer to the WebSocket handshake has status {self.status}, not 101"
        return "" if self.accepted else "the answer to the WebSocket handshake does not accept its key"


def handshake(connected: socket.socket, host: str, path: str, timeout: float) -> Handshake:
    """Shake hands; the connection is of no further use. Raises OSError and http.client.HTTPException."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    connection.sock = connected
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Host": host_header(host),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    digest = hashlib.sha1((key + WEBSOCKET_GUID).encode(), usedforsecurity=False).digest()
    accepted = answer.headers.get("Sec-WebSocket-Accept") == base64.b64encode(digest).decode()
    return Handshake(answer.status, accepted)


def host_header(host: str) -> str:
    """As it also stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
