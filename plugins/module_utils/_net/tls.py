# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a server that is asked about itself, and the certificate that it serves.

What is served counts, not what lies on disk: an unprivileged user can see it, and a certificate that was renewed while
the server was not reloaded is told, too.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name: the dates are judged by the caller.
_NO_CHECK_TIME = 0x200000


@dataclass(frozen=True)
class CertificateDates:
    """Seconds since the epoch."""

    begins: float
    ends: float


@contextmanager
def open_connection(address: str, port: int, name: str, tls: bool, timeout: float) -> Iterator[socket.socket]:
    """Over TLS everybody is trusted: the caller judges who answered. Raises OSError."""
    with socket.create_connection((address, port), timeout) as plain:
        plain.settimeout(timeout)
        if not tls:
            yield plain
            return
        with trusting_client().wrap_socket(plain, server_hostname=name) as secured:
            yield secured


def trusting_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_trusting(certificate: str | bytes, *, check_hostname: bool) -> ssl.SSLContext:
    """A client that trusts this certificate itself, in PEM form or in DER, whatever its dates are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_hostname
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.load_verify_locations(cadata=certificate)
    return context


def reason_of(error: Exception, timeout: float) -> str:
    """Why a connection came to nothing, in words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return getattr(error, "strerror", None) or f"what came back is no answer ({type(error).__name__})"


def begin_postgresql(plain: socket.socket) -> None:
    """PostgreSQL is asked for TLS (its SSLRequest) before TLS begins. Raises OSError."""
    plain.sendall(struct.pack("!ii", 8, 80877103))
    if plain.recv(1) != b"S":
        raise ConnectionError("the server does not speak TLS")


def read_dates(
    address: str, port: int, name: str, timeout: float, begin: Callable[[socket.socket], None] = lambda _plain: None
) -> CertificateDates:
    """The dates of the certificate that is served for the name; HTTPS needs nothing to `begin` with. Raises OSError.

    Python reads a certificate only once it is trusted, so the one that was served is trusted in a second handshake.
    """
    with socket.create_connection((address, port), timeout) as plain:
        begin(plain)
        with trusting_client().wrap_socket(plain, server_hostname=name) as secured:
            served = secured.getpeercert(binary_form=True) or b""
    context = client_trusting(served, check_hostname=False)
    with socket.create_connection((address, port), timeout) as plain:
        begin(plain)
        with context.wrap_socket(plain, server_hostname=name) as again:
            found: dict[str, Any] = dict(again.getpeercert() or {})
    begins, ends = (float(ssl.cert_time_to_seconds(found[field])) for field in ("notBefore", "notAfter"))
    return CertificateDates(begins, ends)
