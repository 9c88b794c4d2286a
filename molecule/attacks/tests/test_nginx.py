# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients without any right send to Nginx: half requests, odd paths, forged headers, requests for health.

Every test has client addresses of its own on the host's loopback. Where they are not to be the host itself, a declared
proxy tells another one.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import textwrap
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from edge import HOST_NAME, PORT, Edge, behind, edge_site
from hosts import HOST, SSH_CONFIG
from testinfra.host import Host

BEHIND = 9171
PROXY = "127.0.9.3"
OUTSIDER = {"source": PROXY, "headers": {"X-Forwarded-For": "203.0.113.9"}}
# Another one in each run: the log outlives them.
SECRET = uuid.uuid4().hex
LOG = "/var/log/nginx/edge.{}.log"
HALF = 1700
# Connections from one address, each with the same beginning of a request, held until the end of standard input. Prints
# how many there are.
HOLD = textwrap.dedent(
    """
    import resource, selectors, socket, sys
    address, port, count, text = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64,) * 2)
    held = [socket.create_connection(("127.0.0.1", port), source_address=(address, 0)) for _number in range(count)]
    for one in held:
        one.sendall(text)
    print(len(held), flush=True)
    sys.stdin.read()
    """
)


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {"nginx_trusted_proxies": [PROXY]}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **variables) as site:
        site.serve()
        yield site


@contextmanager
def held(address: str, count: int, text: str) -> Iterator[None]:
    """So many connections from this address of the host, each with the beginning of a request."""
    command = [
        "ssh",
        "-F",
        SSH_CONFIG,
        HOST,
        "sudo " + shlex.join(["python3", "-c", HOLD, address, str(PORT), str(count), text]),
    ]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        assert running.stdout.readline().strip() == str(count)
        yield
    finally:
        running.stdin.close()
        running.wait(timeout=30)


def established(host: Host, address: str) -> int:
    """Connections of Nginx with this client."""
    return len(host.check_output("ss -Htn state established src %s dst %s", f"127.0.0.1:{PORT}", address).splitlines())


def outside(edge: Edge, path: str) -> tuple[int, str]:
    """Status and text of what somebody outside gets for this path."""
    answer = edge.ask(path, **OUTSIDER)
    return answer["status"], answer.get("body", "")


def test_half_requests_of_one_client_keep_nobody_else_out(edge: Edge) -> None:
    master = edge.host.check_output("cat /run/nginx.pid")
    with held("127.0.7.1", HALF, f"GET / HTTP/1.1\r\nHost: {HOST_NAME}\r\nX-"):
        began = time.monotonic()
        for _attempt in range(3):
            assert set(edge.statuses(10, "/page", source="127.0.7.2", headers={"Connection": "close"})) == {200}
        assert edge.ask("/health")["status"] == 200
        assert time.monotonic() < began + 10, "while the half requests were there"
        deadline = began + 30
        while established(edge.host, "127.0.7.1"):
            assert time.monotonic() < deadline, "half requests are kept for ever"
            time.sleep(1)
    assert edge.host.check_output("cat /run/nginx.pid") == master


def test_requests_without_their_body_are_bounded_for_an_address(edge: Edge) -> None:
    text = f"POST /upload HTTP/1.1\r\nHost: {HOST_NAME}\r\nContent-Length: 1000\r\n\r\nx"
    with held("127.0.7.3", 1200, text):
        assert edge.ask("/page", source="127.0.7.3")["status"] == 429
        assert edge.ask("/page", source="127.0.7.4")["status"] == 200
    log = edge.host.file(LOG.format("access")).content_string.splitlines()
    refused = [line for line in map(json.loads, log) if line["client"] == "127.0.7.3" and line["status"] == 429]
    assert {line["connection_limit"] for line in refused} == {"REJECTED"}
    assert len(refused) >= 1200 - 1024


SPELLINGS = (
    "/api/health",
    "/api/health?x=1",
    "/api/health/",
    "/API/Health",
    "/api//health",
    "/api/%68ealth",
    "/api%2fhealth",
)


@pytest.mark.parametrize("path", ["/health", *SPELLINGS])
def test_outsiders_learn_the_status_of_health_alone(edge: Edge, path: str) -> None:
    assert outside(edge, path) == (200, "ok\n")


def test_who_may_see_health_sees_all_of_it(edge: Edge) -> None:
    for path in ("/health", "/api/health"):
        assert json.loads(edge.ask(path)["body"])["port"] == BEHIND


AMBIGUOUS = (
    "/api/x/../health", "/api/x/./health", "/api/x/%2e%2e/health", "/api/x/%2E./health", "/api/x%2f..%2fhealth",
    "/api/..", "/x/../api/things", "//x/api/things", "///x/api/health", "/x\\..\\api\\health", "/api/health#x",
    "/./health",
)  # fmt: skip


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_a_path_that_the_service_may_read_otherwise_is_refused(edge: Edge, path: str) -> None:
    before = edge.stats(BEHIND)["requests"]
    assert outside(edge, path)[0] == 400
    assert edge.stats(BEHIND)["requests"] == before


@pytest.mark.parametrize("path", ["/api/health/../x", "/api/%68ealth", "/API/health", "/api/health/", "/api//health"])
def test_no_spelling_of_health_lifts_the_rate_limit(edge: Edge, path: str) -> None:
    statuses = Counter(edge.statuses(30, path, source=f"127.0.8.{len(path)}"))
    assert statuses.get(400, 0) == 30 or statuses[429] >= 18, statuses


UNCHANGED = (
    "/files/a%2Fb", "/files/a%20b", "/files/%E2%82%AC", "/a//b", "/a.b/c..d/e..", "/x?next=/../y#", "/x?u=http://y//z/../w",
    "/%25", "/a;b=c", "/api/%2568ealth", "/a%5Cb", "/x?token=1&x=%2e%2e/",
)  # fmt: skip


@pytest.mark.parametrize("path", UNCHANGED)
def test_other_paths_reach_the_service_as_they_were_sent(edge: Edge, path: str) -> None:
    assert outside(edge, path)[0] == 200
    assert edge.stats(BEHIND)["requests"][-1] == f"GET {path}"


FORGED = (
    "Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Original-URL",
    "X-Original-Host", "X-Rewrite-URL", "X-Client-IP", "True-Client-IP", "X_Forwarded_Host",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/page", "/ws", "/health"])
def test_forged_headers_do_not_reach_the_service(edge: Edge, path: str) -> None:
    forged = dict.fromkeys((*FORGED, "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-For", "X-Request-Id"), SECRET)
    answer = edge.ask(path, source="127.0.0.1", headers=forged)
    assert answer["status"] == 200
    told = json.loads(answer["body"])["headers"]
    assert SECRET not in told.values()
    assert (told["Host"], told["X-Real-IP"], told["X-Forwarded-Proto"]) == (HOST_NAME, "127.0.0.1", "http")
    # Not even a declared proxy passes on what it may have from its client.
    answer = edge.ask("/page", source=PROXY, headers={"X-Forwarded-Host": SECRET, "X-Forwarded-Proto": "https"})
    told = json.loads(answer["body"])["headers"]
    assert (told.get("X-Forwarded-Host"), told["X-Forwarded-Proto"]) == (None, "https")


def test_the_access_log_has_no_query(edge: Edge) -> None:
    for path in (f"/page?token={SECRET}", f"/ws?{SECRET}", f"/nothing?a=b&access_token={SECRET}"):
        edge.ask(path, headers={"Referer": f"http://{HOST_NAME}/from?token={SECRET}"})
    log = edge.host.file(LOG.format("access")).content_string
    assert SECRET not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"/page", "/ws", "/nothing"} <= {line["uri"] for line in lines}
    assert f"http://{HOST_NAME}/from" in {line["referer"] for line in lines}
