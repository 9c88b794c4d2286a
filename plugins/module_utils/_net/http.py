# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP answer, safely: a time limit that covers all of it, a bounded size; over TCP, TLS or a unix socket."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from .._host.errors import StabilityError

MAX_BODY = 1024 * 1024
MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 65536


class HttpError(StabilityError):
    """There is no answer to judge; the message says why, in words for people."""


class HttpTimeoutError(HttpError):
    """Something took the request and did not answer it completely within the time."""


class RequestError(StabilityError):
    """What was asked for is no request at all (a wrong URL or header)."""


@dataclasses.dataclass(frozen=True)
class Request:
    """`url` names scheme, host and path; with `unix_socket` that socket is asked and `url` may be a path."""

    url: str = "/"
    unix_socket: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout: float = 5.0
    """Seconds for the whole exchange: name, connection, headers, body and redirects together."""
    validate_certs: bool = True
    ca_path: str = ""
    max_body: int = MAX_BODY
    follow: bool = True
    """Whether to follow redirects that stay on the same host; otherwise the redirect itself is the answer."""
    connection: socket.socket | None = None
    """An open connection to ask over, for callers that must know which one it is; closed afterwards."""

    def target(self) -> SplitResult:
        """The parsed URL. Raises RequestError."""
        text = urljoin("http://localhost/", self.url) if self.unix_socket else self.url
        try:
            parts = urlsplit(text)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or any(ord(letter) <= ord(" ") or ord(letter) >= 127 for letter in text):  # noqa: PLR2004
            raise RequestError(f"{self.url!r} is no http or https URL without spaces, such as http://127.0.0.1/health")
        if parts.username or parts.password:
            raise RequestError("a URL with a user name would show in logs; give an Authorization header instead")
        if self.unix_socket and parts.scheme != "http":
            raise RequestError("a unix socket is asked over http")
        return parts


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    elapsed_ms: float
    url: str
    """Where the answer came from, after redirects."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, host: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Exchange:
    """One exchange in a thread of its own: no slow name server and no peer that sends a byte a second holds us up."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._connection: http.client.HTTPConnection | None = None
        self._result: Answer | Exception = HttpError("the exchange ended without an answer")
        self._received = 0
        self._cancelled = False
        self._open = request.connection

    def run(self) -> Answer:
        thread = threading.Thread(target=self._work, daemon=True, name="http")
        thread.start()
        thread.join(self._request.timeout)
        if thread.is_alive():
            self._cancel()
            raise self._too_late()
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _too_late(self) -> HttpError:
        arrived = f" ({self._received} bytes of the body arrived)" if self._received else ""
        return HttpTimeoutError(f"no complete answer within {self._request.timeout:g} s{arrived}")

    def _cancel(self) -> None:
        self._cancelled = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _work(self) -> None:
        try:
            self._result = self._follow()
        except (HttpError, RequestError) as error:
            self._result = error
        except TimeoutError:
            self._result = self._too_late()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._result = HttpError(_explain(error))

    def _follow(self) -> Answer:
        """Ask, and follow redirects that stay on the same host, where asked for."""
        started = time.monotonic()
        url = self._request.target().geturl()
        for _hop in range(MAX_REDIRECTS + 1):
            status, headers, body = self._ask(urlsplit(url))
            location = headers.get("location", "")
            if status not in _REDIRECTS or not location or not self._request.follow:
                elapsed = (time.monotonic() - started) * 1000
                return Answer(status, headers, body, round(elapsed, 1), url)
            url = self._next(url, location)
        raise HttpError(f"more than {MAX_REDIRECTS} redirects, the last one to {url}; give the final URL")

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
        if there.hostname != here.hostname or (self._request.unix_socket and there.scheme != "http"):
            raise HttpError(
                f"redirected from {here.hostname} to another host, {there.scheme}://{there.hostname}, whose answer"
                " would say nothing about this service; give the URL that the service itself answers"
            )
        if here.scheme == "https" and there.scheme != "https":
            raise HttpError("redirected from https to plain http; that would send the headers in the clear")
        return dataclasses.replace(self._request, url=target).target().geturl()

    def _ask(self, parts: SplitResult) -> tuple[int, dict[str, str], bytes]:
        connection = self._connect_to(parts)
        self._connection = connection
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Connection": "close", **self._request.headers})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, self._read(response)
        finally:
            connection.close()

    def _connect_to(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, timeout = parts.hostname or "", self._request.timeout
        if self._open is not None:
            connection = http.client.HTTPConnection(host, timeout=timeout)
            # a redirect needs a connection of its own
            connection.sock, self._open = self._open, None
            return connection
        if self._request.unix_socket:
            return _UnixConnection(self._request.unix_socket, host, timeout)
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self._request.ca_path or None)
        # the forms of older authorities, which other programs accept, and Python before 3.13 did
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self._request.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        while not self._cancelled:
            chunk = response.read1(_CHUNK)
            if not chunk:
                if response.length:
                    raise HttpError(f"the answer broke off with {response.length} bytes of the body missing")
                return bytes(body)
            body += chunk
            self._received = len(body)
            if len(body) > self._request.max_body:
                raise HttpError(f"the body has more than {self._request.max_body} bytes; no health answer is that long")
        raise HttpError("cancelled")


def fetch(request: Request) -> Answer:
    """Return the answer. Raises HttpError when there is none to judge, RequestError when the request is wrong."""
    parts = request.target()
    for name, value in request.headers.items():
        if any(letter in name + value for letter in "\r\n\0") or not name.strip():
            raise RequestError(f"header {name!r} holds a line break or has no name")
    if request.ca_path and not Path(request.ca_path).is_file():
        raise RequestError(f"the file of certificate authorities, {request.ca_path}, is not there")
    answer_from = request.unix_socket or parts.netloc
    try:
        return _Exchange(request).run()
    except HttpError as error:
        raise type(error)(f"{answer_from}: {error}") from error


# What an exception of the network layer means; the first class that fits.
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ConnectionRefusedError,), "connection refused: nothing listens there"),
    ((FileNotFoundError,), "there is no such socket"),
    ((PermissionError,), "permission denied on the socket"),
    (
        (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead),
        "the connection was closed before the answer was complete",
    ),
    ((http.client.HTTPException, ValueError), "what came back is no HTTP answer"),
)


def _explain(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    for classes, meaning in _MEANINGS:
        if isinstance(error, classes):
            return meaning
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
