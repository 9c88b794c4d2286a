# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at in Nginx: its processes, a WebSocket through it, and the certificate that it serves."""

from __future__ import annotations

import dataclasses
import http.client
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from ...._checks.certificates import Served, check_served
from ...._checks.findings import CRITICAL, OK, WARNING, Finding
from ...._checks.nginx import DEFAULT_PORTS, PID_FILE, instead_at, judge_nginx, read_nginx
from ...._net.tls import open_connection, reason_of
from ...._net.websocket import Handshake, handshake
from ..runner import Context

_HOUR = 3600
_FULL = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_LOGIN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def check_websocket(context: Context) -> list[Finding]:
    """A handshake on every WebSocket path of the service, the way that users take."""
    section = context.section("websocket")
    return [_websocket(section["url"], path, context) for path in section["paths"] if section["url"]]


def _websocket(url: str, path: str, context: Context) -> Finding:
    section, timeout = context.section("health"), context.http_timeout
    parts = urlsplit(url)
    address, tls = parts.hostname or "", parts.scheme == "wss"
    name = section["host_name"] or address
    started = time.monotonic()
    try:
        with open_connection(address, parts.port or DEFAULT_PORTS[parts.scheme], name, tls, timeout) as connected:
            answer = handshake(connected, name, path, timeout)
    except (OSError, http.client.HTTPException) as error:
        found = judge_handshake(path, None, reason_of(error, timeout))
        return dataclasses.replace(found, timed=isinstance(error, TimeoutError))
    return judge_handshake(path, answer, f"{1000 * (time.monotonic() - started):.0f} ms")


def judge_handshake(path: str, answer: Handshake | None, told: str) -> Finding:
    """`told` is how long an answer took, or why there is none."""
    check = f"websocket.{path}"
    if answer is None:
        message = f"no WebSocket on {path}: {told}. See the checks nginx and health."
        return Finding(check, CRITICAL, message, None, HTTPStatus.SWITCHING_PROTOCOLS.value)
    status, expected = answer.status, HTTPStatus.SWITCHING_PROTOCOLS.value
    if not answer.problem:
        return Finding(check, OK, f"a handshake through Nginx took {told}", status, expected)
    if status in _LOGIN:
        message = f"the service asks for a login ({status}), so a handshake gets through to it; it took {told}"
        return Finding(check, OK, message, status, expected)
    # Nginx has none for a handshake of ours: the program misses what its clients send in the query, as Socket.IO does.
    if status == HTTPStatus.BAD_REQUEST:
        message = (
            f"the service refuses a handshake without a query ({status}), so one gets through to it; it took {told}"
        )
        return Finding(check, OK, message, status, expected)
    if status in _FULL:
        message = f"no WebSocket on {path}: status {status}, as when a limit of connections is reached"
        return Finding(check, WARNING, f"{message}. See how many are open, and Nginx's error log.", status, expected)
    return Finding(check, CRITICAL, f"{path}: {answer.problem}. See Nginx's error log.", status, expected)


def check_certificates(context: Context) -> list[Finding]:
    """Until when the certificate is valid that Nginx serves now, and why the last attempt to get another one failed."""
    section, health = context.section("certificates"), context.section("health")
    if not section["url"]:
        return []
    served = Served(context.config["service"], section["url"], health["host_name"], context.http_timeout)
    return [check_served(served, context.now, context.falling_thresholds("certificate_days"))]


def check_nginx(context: Context) -> list[Finding]:
    """Are master and workers there, and are old workers gone after a reload? Only where a unit nginx is to run."""
    if not _is_expected(context):
        return []
    reading = read_nginx(PID_FILE)
    samples, master = context.samples, str(reading.master)
    seen = [samples.record(f"nginx.old.{pid}", master, 0, context.now).since for pid in reading.old]
    return judge_nginx(reading, (context.now - min(seen, default=context.now)) / _HOUR, instead_of_nginx(context))


def instead_of_nginx(context: Context) -> str:
    """Which other program answers in Nginx's place; empty for none."""
    return instead_at(context.section("health")["url"]) if _is_expected(context) else ""


def _is_expected(context: Context) -> bool:
    return bool({"nginx", "nginx.service"} & set(context.config["units"]))
