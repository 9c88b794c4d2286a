# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests reach the servers behind Nginx, and what clients see when one of these fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from edge import Edge, edge_site, upstreams
from testinfra.host import Host

GOOD, OTHER, DIES, GONE = 9111, 9112, 9113, 9114
REQUESTS, CONNECTIONS, KEEPALIVE = 2000, 32, 64


def server(port: int, **options: object) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, **options}


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    with edge_site(host, {GOOD: "", OTHER: "", DIES: "dies"}, nginx_rate_limits=[]) as site:
        yield site


def test_connections_are_kept_and_reused(edge: Edge) -> None:
    edge.serve(nginx_upstream_servers=[server(GOOD)], nginx_upstream_keepalive=KEEPALIVE)
    before = edge.stats(GOOD)["connections"]
    lists = edge.converse([[{"path": "/page", "times": REQUESTS // CONNECTIONS + 1}]] * CONNECTIONS)
    statuses = {answer["status"] for answers in lists for answer in answers}
    count = sum(len(answers) for answers in lists)
    # One of them is ours, that asks for the number.
    fresh = edge.stats(GOOD)["connections"] - before - 1
    print(f"{count} requests over {CONNECTIONS} connections: {fresh} to the upstream, {fresh / count:.1%}")
    assert statuses == {200}
    # Each connection of a client needs one at a time, each worker keeps as many as the pool has.
    workers = int(edge.host.check_output("pgrep --count --uid www-data --full 'nginx: worker process$'"))
    assert fresh <= min(CONNECTIONS, KEEPALIVE) * workers
    assert fresh < count / 20


def test_a_post_is_never_sent_twice_and_a_get_is(edge: Edge) -> None:
    edge.serve(nginx_upstream_servers=[server(DIES, max_fails=0), server(OTHER, max_fails=0)])
    gets = edge.statuses(20, "/get-once")
    posts = edge.statuses(20, "/post-once", method="POST", body="x=1")
    asked = edge.stats(DIES)["requests"], edge.stats(OTHER)["requests"]
    assert set(gets) == {200}
    assert asked[0].count("GET /get-once") >= 5
    assert asked[1].count("GET /get-once") == 20
    # Those that the dying one got are lost, and were nowhere a second time.
    assert posts.count(502) == asked[0].count("POST /post-once") >= 5
    assert posts.count(200) == asked[1].count("POST /post-once") == 20 - posts.count(502)


def test_a_server_that_fails_is_left_out_by_all_workers(edge: Edge) -> None:
    edge.serve(nginx_upstream_servers=[server(DIES, max_fails=2, fail_timeout="60s"), server(OTHER)])
    before = len(edge.stats(DIES)["requests"])
    lists = edge.converse([[{"path": "/page"}] * 25 for _client in range(8)])
    assert {answer["status"] for answers in lists for answer in answers} == {200}
    # Requests that were under way when it was found out may still have met it.
    assert 1 <= len(edge.stats(DIES)["requests"]) - before <= 10


def test_weights_and_backups_count(edge: Edge) -> None:
    edge.serve(nginx_upstream_servers=[server(GOOD, weight=3), server(OTHER), server(DIES, backup=True)])
    ports = [json.loads(edge.ask("/page")["body"])["port"] for _request in range(12)]
    assert (ports.count(GOOD), ports.count(OTHER)) == (9, 3)
    edge.serve(nginx_upstream_servers=[server(GONE), server(OTHER, backup=True)], nginx_upstream_method="least_conn")
    assert json.loads(edge.ask("/page")["body"])["port"] == OTHER


def test_the_application_is_told_who_asks(edge: Edge) -> None:
    edge.serve(nginx_upstream_servers=[server(GOOD)])
    answer = edge.ask("/page", source="127.0.4.1", headers={"X-Forwarded-For": "9.9.9.9", "X-Request-Id": "forged-123"})
    told = json.loads(answer["body"])["headers"]
    assert told["X-Real-IP"] == told["X-Forwarded-For"] == "127.0.4.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["X-Request-Id"] == answer["headers"]["x-request-id"][0] != "forged-123"
    assert "Connection" not in told
    line = json.loads(edge.host.file("/var/log/nginx/edge.access.log").content_string.splitlines()[-1])
    assert line["request_id"] == told["X-Request-Id"]
    assert (line["client"], line["status"], line["upstream_status"]) == ("127.0.4.1", 200, "200")
    assert line["upstream"] == f"127.0.0.1:{GOOD}"
    assert float(line["upstream_seconds"]) < 5


def test_headers_are_there_once_in_every_answer(edge: Edge) -> None:
    for path in ("/page", "/health", "/.git/config", "/status/404"):
        headers = edge.ask(path)["headers"]
        # The server behind says ALLOWALL.
        assert headers["x-frame-options"] == ["SAMEORIGIN"], path
        assert headers["x-content-type-options"] == ["nosniff"], path
        assert len(headers["x-request-id"]) == 1, path
        assert headers["server"] == ["nginx"], path


def test_names_with_a_dot_in_front_are_refused(edge: Edge) -> None:
    before = len(edge.stats(GOOD)["requests"])
    for path in ("/.env", "/.git/config", "/a/.htpasswd", "/.well-knownx", "/%2egit/config"):
        assert edge.ask(path)["status"] == 404, path
    assert len(edge.stats(GOOD)["requests"]) == before
    assert edge.ask("/.well-known/security.txt")["status"] == 200


def test_an_outage_is_told_in_a_friendly_way(edge: Edge) -> None:
    with upstreams(edge.host, {GONE: ""}):
        edge.serve(nginx_upstream_servers=[server(GONE)], nginx_error_retry_after=7)
        assert edge.ask("/page")["status"] == 200
    for kind in ("application/json", "text/html"):
        answer = edge.ask("/page", headers={"Accept": kind})
        assert answer["status"] == 502
        assert answer["headers"]["retry-after"] == ["7"]
        assert answer["headers"]["x-frame-options"] == ["SAMEORIGIN"]
        assert answer["headers"]["content-type"][0].startswith(kind)
        if kind == "application/json":
            document = json.loads(answer["body"])
            assert (document["status"], document["requestId"]) == (502, answer["headers"]["x-request-id"][0])
        else:
            assert "try again" in answer["body"]
    assert edge.ask("/health")["status"] == 502


def test_health_is_whole_for_declared_networks_and_a_status_for_all_others(edge: Edge) -> None:
    proxy = "127.0.5.1"

    def seen(address: str) -> tuple[int, str]:
        answer = edge.ask("/health", source=proxy, headers={"X-Forwarded-For": address})
        return answer["status"], answer["body"]

    with upstreams(edge.host, {GONE: ""}):
        edge.serve(
            nginx_upstream_servers=[server(GONE)],
            nginx_trusted_proxies=[proxy],
            nginx_health_networks=["10.9.0.0/16"],
        )
        assert json.loads(edge.ask("/health")["body"])["port"] == GONE
        assert "GET /api/health" in edge.stats(GONE)["requests"]
        assert json.loads(seen("10.9.3.4")[1])["port"] == GONE
        assert seen("203.0.113.5") == (200, "ok\n")
        assert edge.ask("/.edge-health")["status"] == 404
        edge.ask("/fall-ill")
        assert edge.ask("/health")["status"] == 503
        assert seen("203.0.113.5") == (503, "unavailable\n")


def test_snippets_are_served_and_a_broken_one_is_refused(edge: Edge) -> None:
    base = {"nginx_upstream_servers": [server(GOOD)]}
    mine = {"http": "map $uri $mine { default 207; }", "server": "location = /mine { return 207; }"}
    edge.serve(**base, nginx_snippets=mine)
    assert edge.ask("/mine")["status"] == 207
    said = edge.refuse(**base, nginx_snippets={"http": "", "server": "location = /mine { retrun 208; }"})
    assert 'unknown directive "retrun"' in said
    assert "services/edge/snippet-server.conf" in said
    assert edge.ask("/mine")["status"] == 207
