# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the running nginx whether it serves what it should: an answer over HTTP, a WebSocket handshake, a TLS chain."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .._host.errors import StabilityError
from .._net.certificate import chain_of
from .._net.tls import open_connection
from .._net.websocket import handshake, host_header

PAUSE = 0.2


@dataclass(frozen=True)
class Probe:
    """One question to the running nginx. `certificate_chain` is a path, absolute or relative to the configuration."""

    address: str
    port: int
    host: str
    path: str = "/"
    tls: bool = False
    expect_status: Sequence[int] = (200,)
    websocket: bool = False
    certificate_chain: str = ""
    if_healthy: bool = False
    timeout: float = 5.0

    def title(self) -> str:
        scheme = ("wss" if self.tls else "ws") if self.websocket else ("https" if self.tls else "http")
        return f"{scheme}://{self.host}{self.path} at {self.address}:{self.port}"


def from_url(url: str) -> Probe:
    """What the URL says of a probe; StabilityError when it is no such URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise StabilityError(f"probes: {url!r} is no URL such as http://127.0.0.1/health.") from None
    tls = parts.scheme in ("https", "wss")
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise StabilityError(f"probes: {url!r} is no URL such as http://127.0.0.1/health.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Probe(parts.hostname, port or (443 if tls else 80), parts.hostname, path, tls)


def failures(probes: Sequence[Probe], find: Callable[[str], Path], patient: bool) -> dict[Probe, str]:
    """The probes that fail, with the reason. A patient one tries again until its time is over."""
    found = {}
    for probe in probes:
        reason = _ask(probe, find)
        deadline = time.monotonic() + (probe.timeout if patient else 0)
        while reason and time.monotonic() < deadline:
            time.sleep(PAUSE)
            reason = _ask(probe, find)
        if reason:
            found[probe] = reason
    return found


def _ask(probe: Probe, find: Callable[[str], Path]) -> str:
    """Why the probe fails; empty when it does not."""
    try:
        with open_connection(probe.address, probe.port, probe.host, probe.tls, probe.timeout) as connected:
            wrong = _chain(probe, connected, find) if isinstance(connected, ssl.SSLSocket) else ""
            return wrong or _talk(probe, connected)
    except TimeoutError:
        return f"no answer within {probe.timeout:g} s"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"


def _chain(probe: Probe, secured: ssl.SSLSocket, find: Callable[[str], Path]) -> str:
    if not probe.certificate_chain:
        return ""
    expected = chain_of(find(probe.certificate_chain).read_text(encoding="utf-8", errors="replace"))
    # Python tells the whole chain from 3.13 on, and the first certificate before.
    whole = getattr(secured, "get_unverified_chain", None)
    served = list(whole()) if whole else [secured.getpeercert(binary_form=True) or b""]
    if served == (expected if whole else expected[:1]):
        return ""
    return f"the certificates that are served are not those of {probe.certificate_chain}"


def _talk(probe: Probe, connected: socket.socket) -> str:
    if probe.websocket:
        return handshake(connected, probe.host, probe.path, probe.timeout).problem
    # The name here is of no use: it is connected already, and the header below says whom it asks for.
    connection = http.client.HTTPConnection("localhost", timeout=probe.timeout)
    connection.sock = connected
    connection.request("GET", probe.path, headers={"Host": host_header(probe.host), "Connection": "close"})
    answer = connection.getresponse()
    expected = " or ".join(map(str, probe.expect_status))
    return "" if answer.status in probe.expect_status else f"the answer has status {answer.status}, not {expected}"
