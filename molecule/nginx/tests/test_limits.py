# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is limited in requests, and who is not. Each test has client addresses of its own."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest
from edge import HOST_NAME, PORT, Edge, behind, edge_site
from testinfra.host import Host

BEHIND = 9101
PROXY = "127.0.9.1"
ALLOWED = "127.0.9.2"


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {"nginx_trusted_proxies": [PROXY], "nginx_rate_limit_allow": [ALLOWED]}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **variables) as site:
        site.serve()
        yield site


def limited(ask: Callable[[], Iterable[int]], since: float | None = None, room: int = 10) -> float:
    """30 requests of one client: as many pass as there is room for, and one for each second since the first of them.

    It all goes over SSH and may take seconds on a busy machine. Returns when it began, for `since` of the next ones.
    """
    began = time.monotonic()
    statuses = Counter(ask())
    passed = statuses[200]
    assert room <= passed <= room + math.ceil(time.monotonic() - (since or began)), statuses
    assert statuses[429] == 30 - passed, statuses
    return began


def burst(edge: Edge, source: str, since: float | None = None, room: int = 10, **headers: str) -> float:
    return limited(lambda: edge.statuses(30, "/api/things", source=source, headers=headers), since, room)


def test_ten_requests_pass_at_once_and_the_rest_is_refused(edge: Edge) -> None:
    burst(edge, "127.0.1.1")
    burst(edge, "127.0.1.2")


def test_a_forged_header_changes_nothing(edge: Edge) -> None:
    lists = [
        [{"path": "/api/x", "source": "127.0.1.3", "headers": {"X-Forwarded-For": f"9.9.9.{n}"}} for n in range(30)]
    ]
    limited(lambda: [answer["status"] for answer in edge.converse(lists)[0]])


def test_clients_of_a_declared_proxy_are_told_apart(edge: Edge) -> None:
    burst(edge, PROXY, **{"X-Forwarded-For": "203.0.113.1"})
    spent = burst(edge, PROXY, **{"X-Forwarded-For": "203.0.113.2"})
    # What the client itself claims stands before what the proxy adds.
    burst(edge, PROXY, since=spent, room=0, **{"X-Forwarded-For": "198.51.100.7, 203.0.113.2"})


def test_an_ipv6_client_is_its_network(edge: Edge) -> None:
    spent = burst(edge, PROXY, **{"X-Forwarded-For": "2001:db8:0:1::1"})
    burst(edge, PROXY, since=spent, room=0, **{"X-Forwarded-For": "2001:db8:0:1:ffff::2"})
    burst(edge, PROXY, **{"X-Forwarded-For": "2001:db8:0:2::1"})


def test_who_is_allowed_is_not_counted(edge: Edge) -> None:
    assert Counter(edge.statuses(30, "/api/things", source=ALLOWED)) == {200: 30}


@pytest.mark.parametrize("path", ["/", "/page", "/health", "/api/health"])
def test_other_paths_and_health_are_not_limited(edge: Edge, path: str) -> None:
    assert set(edge.statuses(30, path, source="127.0.1.4")) == {200}


@pytest.mark.parametrize("path", ["/api/%74hings", "/api//things", "/API/things", "/%61pi%2fthings"])
def test_no_way_of_writing_the_path_gets_around_it(edge: Edge, path: str) -> None:
    limited(lambda: edge.statuses(30, path, source=f"127.0.2.{len(path)}"))


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_who_is_refused_is_told_when_to_come_back(edge: Edge, kind: str) -> None:
    lists = [[{"path": "/api/x", "source": "127.0.1.5", "headers": {"Accept": kind}}] * 30]
    refused = edge.converse(lists)[0][-1]
    assert refused["status"] == 429
    assert refused["headers"]["retry-after"] == ["1"]
    assert refused["headers"]["x-content-type-options"] == ["nosniff"]
    assert refused["headers"]["content-type"][0].startswith(kind)
    if kind == "application/json":
        assert json.loads(refused["body"])["error"] == "too many requests, try again later"


def test_limits_of_ones_own_by_path_and_method_and_dry_run(edge: Edge) -> None:
    logins = {"name": "logins", "paths": ["/login"], "methods": ["POST"], "requests": 3, "window": 60}
    everything = {"name": "everything", "paths": ["/"], "requests": 20, "window": 10}
    edge.serve(nginx_rate_limits=[logins, everything])
    ask = {"source": "127.0.3.1"}
    assert Counter(edge.statuses(10, "/login", method="POST", **ask)) == {200: 3, 429: 7}
    assert Counter(edge.statuses(10, "/login", source="127.0.3.2")) == {200: 10}
    assert Counter(edge.statuses(10, "/login/", method="POST", source="127.0.3.6")) == {200: 3, 429: 7}
    assert Counter(edge.statuses(10, "/login/x", method="POST", source="127.0.3.3")) == {200: 10}
    assert Counter(edge.statuses(40, "/page", source="127.0.3.4"))[429] >= 18
    # Not even a limit on everything is one on health.
    assert set(edge.statuses(40, "/health", source="127.0.3.4")) == {200}

    edge.serve(nginx_rate_limits=[logins, everything], nginx_rate_limit_dry_run=True)
    assert Counter(edge.statuses(10, "/login", method="POST", source="127.0.3.5")) == {200: 10}
    log = edge.host.file("/var/log/nginx/edge.error.log").content_string
    assert "limiting requests, dry run" in log


def test_wrong_limits_are_refused_before_anything_changes(edge: Edge) -> None:
    before = edge.host.check_output("sha256sum /etc/nginx/services/edge/*")
    wrong = [{"name": "A-b", "paths": ["api"], "requests": 0, "window": 10}]
    said = edge.refuse(nginx_rate_limits=wrong, nginx_rate_limit_allow=["10.0.0.1/8"], nginx_limit_clients=10)
    assert "3 variables are wrong; nothing was changed." in said
    for part in ("[0].name", "[0].paths[0]", "[0].requests"):
        assert f"nginx_rate_limits{part} = " in said
    assert "nginx_rate_limit_allow[0] = 10.0.0.1/8" in said
    assert "nginx_limit_clients = 10" in said
    slow = [{"name": "slow", "paths": ["/"], "requests": 1, "window": 100}]
    assert "requests * 60 / window must be at least 1" in edge.refuse(nginx_rate_limits=slow)
    assert edge.host.check_output("sha256sum /etc/nginx/services/edge/*") == before


def test_health_at_the_front_page_leaves_the_page_and_the_limits(edge: Edge) -> None:
    edge.serve(service_health_path="/")
    visitor = {"source": PROXY, "headers": {"X-Forwarded-For": "203.0.113.30"}}
    assert '"port"' in edge.ask("/", **visitor)["body"]
    assert edge.ask("/health", **visitor)["body"] == "ok\n"
    burst(edge, "127.0.1.30")


def test_unknown_hosts_get_no_answer(edge: Edge) -> None:
    assert edge.ask("/page")["status"] == 200
    assert edge.ask("/page", headers={"Host": "elsewhere.test"}) == {"status": 0, "error": "RemoteDisconnected"}
    assert edge.ask("/page", headers={"Host": f"{HOST_NAME}:{PORT}"})["status"] == 200
