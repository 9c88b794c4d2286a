# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WebSockets through Nginx: how many, how long, and what a reload does to them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from edge import Edge, behind, edge_site
from testinfra.host import Host

BEHIND = 9121
TOTAL, EACH = 5, 3
ONE, TWO, THREE = "127.0.6.1", "127.0.6.2", "127.0.6.3"
LIMITS = "/etc/nginx/modules-enabled/90-worker-limits.conf"
IDLE = 65  # seconds; Nginx closes other connections after 60


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    limits = {"nginx_websocket_max_connections": str(TOTAL), "nginx_websocket_max_per_address": EACH}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **limits) as site:
        site.serve()
        yield site


@contextmanager
def sockets(edge: Edge, seconds: str, *sources: str) -> Iterator[tuple[list[str], subprocess.Popen[str]]]:
    """WebSockets from these addresses, with the status of each handshake."""
    running = edge.websockets(seconds, *sources)
    assert running.stdout is not None
    statuses: list[str] = []
    while (line := running.stdout.readline().strip()) != "opened":
        assert line, statuses
        statuses.append(line)
    try:
        yield statuses, running
    finally:
        assert running.stdin is not None
        running.stdin.close()
        running.wait(timeout=20)


def words(running: subprocess.Popen[str], limit: float) -> list[str]:
    """What it says in the end, while its standard input stays open."""
    assert running.stdout is not None
    running.wait(timeout=limit)
    return running.stdout.read().split()


@pytest.fixture(scope="module")
def idle(edge: Edge) -> Iterator[tuple[float, subprocess.Popen[str]]]:
    """One that says nothing while the other tests run."""
    with sockets(edge, str(IDLE), THREE) as (statuses, running):
        assert statuses == ["101"]
        yield time.monotonic(), running


@pytest.mark.usefixtures("idle")
def test_an_address_has_so_many_and_all_together_have_so_many(edge: Edge) -> None:
    with sockets(edge, "30", *[ONE] * 4, TWO, TWO, THREE) as (statuses, _running):
        # With the idle one there are five when the second address asks for its second.
        assert statuses == ["101", "101", "101", "429", "101", "503", "503"]
        refused = edge.ask("/ws", source=ONE, headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        assert (refused["status"], refused["headers"]["retry-after"]) == (429, ["5"])
        assert "x-frame-options" in refused["headers"]
        # What is no WebSocket is not counted.
        assert edge.ask("/page", source=ONE)["status"] == 200
    deadline = time.monotonic() + 10
    while True:
        with sockets(edge, "0", ONE) as (statuses, _running):
            if statuses == ["101"]:
                return
        assert time.monotonic() < deadline, "the places of closed connections stay taken"


@pytest.mark.usefixtures("idle")
def test_one_outlives_a_reload_and_counts_on(edge: Edge) -> None:
    with sockets(edge, "4", ONE, ONE) as (statuses, running):
        assert statuses == ["101", "101"]
        edge.host.check_output("systemctl reload nginx")
        time.sleep(1)
        with sockets(edge, "0", ONE, ONE) as (more, _running):
            assert more == ["101", "429"]
        assert words(running, 20) == ["alive", "alive"]


def test_one_that_is_idle_lives_past_a_minute(idle: tuple[float, subprocess.Popen[str]]) -> None:
    began, running = idle
    assert words(running, IDLE + 20) == ["alive"]
    assert time.monotonic() - began >= IDLE - 1


def test_old_workers_end_them_in_time(edge: Edge) -> None:
    """The limit is the host's: of what its sites ask for the largest counts, so it is shortened by hand here."""
    before = edge.host.file(LIMITS).content_string
    assert "worker_shutdown_timeout" in before
    edge.host.check_output("sed -i 's/^worker_shutdown_timeout .*/worker_shutdown_timeout 4s;/' %s", LIMITS)
    try:
        edge.host.check_output("systemctl reload nginx")
        time.sleep(1)
        with sockets(edge, "30wait", ONE) as (_statuses, running):
            edge.host.check_output("systemctl reload nginx")
            word, seconds = words(running, 40)
    finally:
        edge.host.check_output("printf %s %s > %s", "%s", before, LIMITS)
        edge.host.check_output("systemctl reload nginx")
    assert word == "ended"
    assert 3 <= float(seconds) <= 12
    assert edge.host.file(LIMITS).content_string == before


def test_the_error_log_has_no_token_of_a_websocket(edge: Edge) -> None:
    """The last one: nothing serves any more. Each request leaves a line then, with its query."""
    edge.host.check_output("systemctl stop molecule-upstream-%s", str(BEHIND))
    handshake = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert edge.ask("/ws?token=of-a-websocket", headers=handshake)["status"] >= 500
    assert edge.ask("/page?this=is-logged")["status"] >= 500
    log = edge.host.check_output("cat /var/log/nginx/edge.error.log")
    assert "/page?this=is-logged" in log
    assert "of-a-websocket" not in log
    assert '"uri":"/ws"' in edge.host.check_output("tail -n 2 /var/log/nginx/edge.access.log")
