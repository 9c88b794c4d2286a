# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Debian's node_exporter shows of the service, compared with what its clients counted."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from deployments import load
from testinfra.host import Host

FETCH = (
    "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9100/metrics', timeout=10).read().decode())"
)
# node_exporter sorts the labels
REQUESTS = 'http_requests_total{entry="true",route="%s",service="workbot",status="%s"}'
DURATIONS = 'http_request_duration_seconds_%s{entry="true",route="/",service="workbot"}'
UPSTREAM = 'http_upstream_duration_seconds_%s{entry="true",route="/",service="workbot"}'
# A log that has come and gone between two looks is seen by nobody.
ROTATIONS, BETWEEN = 3, 7
UNIT = "workbot-metrics.service"

Metrics = dict[str, float]


@pytest.fixture
def scrape(host: Host) -> Callable[[], Metrics]:
    """Each series of the service, without the prefix of its name."""

    def answer() -> Metrics:
        lines = host.check_output("python3 -c %s", FETCH).splitlines()
        assert "node_textfile_scrape_error 0" in lines
        series = [line.rpartition(" ") for line in lines if line.startswith("nodejs_service_")]
        return {name.removeprefix("nodejs_service_"): float(value) for name, _space, value in series}

    return answer


def changes(scrape: Callable[[], Metrics], before: Metrics, series: str, expected: float) -> Metrics:
    """By how much each series has grown, once that one has grown by so much, or has stopped to grow."""
    deadline = time.monotonic() + 60
    while (now := scrape())[series] - before[series] < expected and time.monotonic() < deadline:
        time.sleep(1)
    return {name: value - before.get(name, 0) for name, value in now.items()}


def test_each_request_is_counted_once_also_when_the_log_is_rotated(
    host: Host, address: str, scrape: Callable[[], Metrics]
) -> None:
    before = scrape()
    with load(address, "--path=/", "--methods=GET", "--connections=8") as tally:
        for _time in range(ROTATIONS):
            time.sleep(BETWEEN)
            host.check_output("logrotate --force /etc/logrotate.d/nginx")
        time.sleep(BETWEEN)
    assert tally["failed"] == 0, tally["failures"]
    sent = tally["requests"]["GET"]
    grown = changes(scrape, before, REQUESTS % ("/", "2xx"), sent)
    assert grown[REQUESTS % ("/", "2xx")] == sent
    assert grown[DURATIONS % "count"] == grown[UPSTREAM % "count"] == sent
    # eight clients, each with one request at a time; Nginx rounds each of both to a millisecond
    assert 0 < grown[UPSTREAM % "sum"] <= grown[DURATIONS % "sum"] + sent / 1000
    assert grown[DURATIONS % "sum"] < 8 * BETWEEN * (ROTATIONS + 2)
    assert grown[REQUESTS % ("/", "5xx")] == 0
    assert len(host.check_output("ls /proc/$(systemctl show --value -p MainPID %s)/fd", UNIT).split()) < 12


def test_what_a_limit_refuses_is_counted_by_its_route(address: str, scrape: Callable[[], Metrics]) -> None:
    before = scrape()
    with load(address, "--path=/api/conversations", "--methods=GET", "--connections=4") as tally:
        time.sleep(3)
    refused = tally["statuses"]["429"]
    grown = changes(scrape, before, REQUESTS % ("/api/conversations", "4xx"), refused)
    assert grown[REQUESTS % ("/api/conversations", "4xx")] == refused
    assert 0 < grown['http_limited_requests_total{entry="true",limit="rate",service="workbot"}'] <= refused


def test_it_takes_little_memory(host: Host) -> None:
    pid = host.check_output("systemctl show --value -p MainPID %s", UNIT)
    assert int(host.check_output("awk '/^VmRSS/ {print $2}' /proc/%s/status", pid)) < 25 * 1024
