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
from contextlib import ExitStack, contextmanager

import pytest
from edge import HOST_NAME, PORT, TLS_PORT, Edge, behind, edge_site
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
# So many requests from one address, each with a body of this length: "whole", or without its last thousand bytes, of
# which one is sent every other second until the end of standard input. Prints how often which status was the answer.
BODIES = textwrap.dedent(
    """
    import collections, json, select, socket, sys, time
    address, port, count, length, whole, head = sys.argv[1:]
    length, whole, nginx = int(length), whole == "whole", ("127.0.0.1", int(port))
    held = [socket.create_connection(nginx, source_address=(address, 0)) for _number in range(int(count))]
    for one in held:
        one.settimeout(20)
        one.sendall(head.encode())
    time.sleep(1)
    refused = select.select(held, [], [], 0)[0]
    held = [one for one in held if one not in refused]
    for start in range(0, length - 1000, 1000000):
        for one in held:
            one.sendall(bytes(min(1000000, length - 1000 - start)))
    if whole:
        for one in held:
            one.sendall(bytes(1000))
    answers = [one.recv(65536).decode() for one in refused + (held if whole else [])]
    statuses = [answer.split(" ")[1] + (" later" if "Retry-After: " in answer else "") for answer in answers]
    print(json.dumps(collections.Counter(statuses)), flush=True)
    while not (whole or select.select([sys.stdin], [], [], 2)[0]):
        for one in held:
            one.sendall(b"x")
    """
)
# Bytes that bodies take on the disk: Nginx removes the name of a file as soon as it is open.
ON_DISK = textwrap.dedent(
    """
    import os, pathlib
    files = set()
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).startswith("/var/lib/nginx/body/"):
                file = link.stat()
                files.add((file.st_ino, file.st_blocks * 512))
        except OSError:
            pass
    print(sum(size for _inode, size in files))
    """
)
MB = 1024 * 1024
# The facts of a container have no disk: all bodies have 1 GB then, large ones half of it, and one address a quarter.
OF_ALL, OF_ADDRESS = 51, 12


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {"nginx_trusted_proxies": [PROXY]}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **variables) as site:
        site.serve()
        yield site


@contextmanager
def held(address: str, count: int, text: str) -> Iterator[None]:
    """So many connections from this address of the host, each with the beginning of a request."""
    with holding(HOLD, address, str(PORT), str(count), text) as said:
        assert said == str(count)
        yield


@contextmanager
def bodies(address: str, count: int, length: int = 10 * MB, kind: str = "slow") -> Iterator[dict[str, int]]:
    """So many requests at a time of this address with such a body; yields how many got which answer, in a word."""
    head = f"POST /upload HTTP/1.1\r\nHost: {HOST_NAME}\r\nContent-Length: {length}\r\n\r\n"
    with holding(BODIES, address, str(PORT), str(count), str(length), kind, head) as said:
        yield json.loads(said)


def answers(address: str, count: int, length: int) -> dict[str, int]:
    """The answers to so many whole ones."""
    with bodies(address, count, length, "whole") as statuses:
        return statuses


@contextmanager
def holding(program: str, *words: str) -> Iterator[str]:
    """A program on the host that says a line and goes on until the block ends."""
    command = ["ssh", "-F", SSH_CONFIG, HOST, "sudo " + shlex.join(["python3", "-c", program, *words])]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        yield running.stdout.readline().strip()
    finally:
        running.stdin.close()
        running.wait(timeout=30)


def on_disk(host: Host) -> int:
    return int(host.check_output("python3 -c %s", ON_DISK))


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


def test_slow_bodies_of_one_address_take_little_of_the_disk_and_nobody_else_s_place(edge: Edge) -> None:
    with bodies("127.0.7.5", 300) as refused:
        taken = on_disk(edge.host)
        assert taken < OF_ADDRESS * 11 * MB, f"{taken // MB} MB"
        assert refused == {"429 later": 300 - OF_ADDRESS}
        # small ones of the same address, and six at a time of another one, as a browser has them
        assert answers("127.0.7.5", 40, 9000) == {"200": 40}
        assert answers("127.0.7.5", 40, 90_000) == {"200": 40}
        assert answers("127.0.7.6", 6, 9 * MB) == {"200": 6}
    assert answers("127.0.7.5", 6, 9 * MB) == {"200": 6}


def test_slow_bodies_of_many_addresses_take_a_bounded_part_of_the_disk(edge: Edge) -> None:
    with ExitStack() as stack:
        refused = Counter[str]()
        for number in range(8):
            refused.update(stack.enter_context(bodies(f"127.0.7.{10 + number}", 40)))
        taken = on_disk(edge.host)
        assert taken < OF_ALL * 11 * MB, f"{taken // MB} MB"
        assert refused == {"429 later": 320 - OF_ALL}
        assert answers("127.0.7.20", 1, 9 * MB) == {"429 later": 1}
        assert answers("127.0.7.20", 40, 900_000) == {"200": 40}
        assert answers("127.0.7.20", 40, 9000) == {"200": 40}


def test_a_body_of_http_2_without_a_length_counts_where_its_method_has_one(edge: Edge) -> None:
    edge.serve(nginx_tls_enabled=True, nginx_tls_port=TLS_PORT, nginx_tls_redirect=False, nginx_tls_self_signed=True)
    edge.host.check_output("apt-get install --quiet --yes --no-install-recommends curl")
    address = f"--resolve {HOST_NAME}:{TLS_PORT}:127.0.0.1 https://{HOST_NAME}:{TLS_PORT}"
    asked = {
        (method, length, path): edge.host.check_output(
            f"head -c {length} /dev/zero | curl --silent --insecure --http2 --max-time 10 --request {method}"
            f" --upload-file - --output /dev/null --write-out '%{{http_version}} %{{http_code}}' {address}{path}"
        )
        for method in ("GET", "POST")
        for length in (9000, MB)
        for path in ("/page", "/ws")
    }
    assert {told for request, told in asked.items() if request[:2] == ("GET", MB)} == {"2 413"}
    assert {told for request, told in asked.items() if request[:2] != ("GET", MB)} == {"2 200"}
    with bodies("127.0.0.1", 20):
        said = edge.host.check_output(
            f"head -c {MB} /dev/zero | curl --silent --insecure --http2 --upload-file - --write-out '%{{http_code}}' "
            f"--output /dev/null --request POST {address}/page"
        )
    assert said == "429"


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
