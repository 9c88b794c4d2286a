# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients get through each proxy, and what the hosts behind it learn of them."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections import Counter

import pytest
from deployments import load
from fleet import APPS, DATABASE, PROXIES, address_of, get, logged, names_of, served_by
from hosts import host_of
from waiting import until

FORGED = "198.51.100.7"


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("proxy", PROXIES)
def test_requests_reach_every_app_host(proxy: str, mark: str) -> None:
    assert served_by(proxy, mark) == set(APPS)


@pytest.mark.parametrize("proxy", PROXIES)
def test_websockets_reach_every_app_host(proxy: str) -> None:
    websockets, path = 9, '"uri":"/ws"'
    before = len(logged(proxy, path))
    with load(f"http://{address_of(proxy)}", "--connections=0", f"--websockets={websockets}") as tally:
        host_of(proxy).check_output("sleep 2")
    assert (tally["failed"], tally["opened"], tally["closed"]) == (0, websockets, [])
    assert tally["messages"] >= websockets
    until("each WebSocket has a line in the proxy's log", lambda: len(logged(proxy, path)) == before + websockets, 10)
    assert names_of(logged(proxy, path)[before:]) == set(APPS)


@pytest.mark.parametrize("proxy", PROXIES)
def test_tls_ends_at_the_proxy(proxy: str, mark: str) -> None:
    status, text = get(proxy, "/api/health", tls=True, **{"User-Agent": mark})
    assert (status, json.loads(text)["status"]) == (200, "ok")
    assert names_of(logged(proxy, mark)) <= set(APPS)


def test_the_service_has_the_database_of_the_database_host() -> None:
    assert [json.loads(get(app, "/api/health")[1])["database"]["status"] for app in APPS] == ["ok"] * len(APPS)
    for other in (*APPS, *PROXIES):
        assert host_of(other).run("systemctl cat postgresql.service").rc != 0, f"{other} has a server of its own"
    assert host_of(DATABASE).run("systemctl cat nginx.service").rc != 0


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_client_can_not_say_who_it_is(proxy: str, mark: str) -> None:
    headers = {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED, "User-Agent": mark}
    assert {get(proxy, "/api/health", **headers)[0] for _time in range(3)} == {200}
    seen = {line["client"] for app in APPS for line in logged(app, mark)}
    # One client, this machine, at its address in the hosts' network; not the proxy, and not what it claims.
    assert seen == {line["client"] for line in logged(proxy, mark)}
    assert not seen & {FORGED, *map(address_of, PROXIES)}


def test_an_app_host_believes_the_proxies_alone(mark: str) -> None:
    assert get(APPS[0], "/api/health", **{"X-Forwarded-For": FORGED, "User-Agent": mark})[0] == 200
    assert {line["client"] for line in logged(APPS[0], mark)} != {FORGED}


def test_a_user_is_limited_once() -> None:
    """10 requests in 10 s, counted by the proxy, whichever app host serves them; the app hosts' Nginx counts none."""
    headers = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in range(30))
    began = time.monotonic()
    statuses = Counter(get(PROXIES[1], "/api/conversations", **each)[0] for each in headers)
    # another one each second
    assert 10 <= statuses[200] <= 11 + math.ceil(time.monotonic() - began), statuses
    assert statuses[429] == 30 - statuses[200], statuses
