# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Debian's node_exporter shows of the service, compared with what its clients and the host itself count."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

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
WATCHDOG = "workbot-watchdog.service"
DIAGNOSE = "/srv/workbot/config/diagnose.json"
LOGS = "/var/log/workbot"

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


def until(scrape: Callable[[], Metrics], that: Callable[[Metrics], Any], seconds: float = 90) -> Metrics:
    """The metrics as soon as it is so."""
    deadline = time.monotonic() + seconds
    while not that(shown := scrape()):
        assert time.monotonic() < deadline, shown
        time.sleep(1)
    return shown


def labelled(shown: Metrics, name: str) -> list[str]:
    """The labels of all series of that name, without `service`."""
    found = [series.removeprefix(f"{name}{{").removesuffix("}") for series in shown if series.startswith(f"{name}{{")]
    return [labels.replace('service="workbot"', "").strip(",").replace(",,", ",") for labels in found]


def test_what_the_watchdog_takes_is_what_the_kernel_counts(host: Host, scrape: Callable[[], Metrics]) -> None:
    shown = scrape()
    pid = host.check_output("systemctl show --value -p MainPID %s", WATCHDOG)
    times = host.file(f"/proc/{pid}/stat").content_string.rpartition(")")[2].split()
    own, commands = sum(map(int, times[11:13])) / 100, sum(map(int, times[13:15])) / 100
    series = 'watchdog_cpu_seconds_total{part="%s",service="workbot"}'
    # of a few seconds ago; a run of the diagnosis takes less than a second
    assert shown[series % "itself"] == pytest.approx(own, abs=0.3)
    assert shown[series % "commands"] == pytest.approx(commands, abs=2)
    rss = 1024 * int(host.check_output("awk '/^VmRSS/ {print $2}' /proc/%s/status", pid))
    assert shown['watchdog_rss_bytes{service="workbot"}'] == pytest.approx(rss, rel=0.1)
    assert 0 < shown['probe_duration_seconds{service="workbot"}'] < 3


def test_free_space_and_the_size_of_the_logs_are_what_the_host_says(host: Host, scrape: Callable[[], Metrics]) -> None:
    shown = scrape()
    for path in ("/srv/workbot", LOGS):
        free, inodes = host.check_output("df --block-size=1 --output=avail,iavail %s | tail -n 1", path).split()
        labels = f'{{path="{path}",service="workbot"}}'
        assert shown[f"disk_free_bytes{labels}"] == pytest.approx(int(free), rel=0.05)
        # "-" where their number is not fixed
        assert shown.get(f"disk_free_inodes{labels}", "-") == (
            pytest.approx(int(inodes), rel=0.05) if inodes.isdecimal() else "-"
        )
    size = 'log_size_bytes{service="workbot"}'
    host.check_output("head -c 5000000 /dev/zero | runuser -u workbot -- tee %s/large.log > /dev/null", LOGS)
    try:
        until(scrape, lambda now: now[size] > shown[size] + 4_900_000, 40)
        total = sum(map(int, host.check_output("find %s -maxdepth 1 -type f -printf '%%s\n'", LOGS).split()))
        assert scrape()[size] == pytest.approx(total, rel=0.05)
    finally:
        host.check_output("rm %s/large.log", LOGS)


def test_the_pools_have_the_connections_that_the_database_counts(host: Host, scrape: Callable[[], Metrics]) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'workbot' AND application_name <> 'diagnose'"

    def agree(shown: Metrics) -> bool:
        """They come and go as the service is asked."""
        opened = sum(value for name, value in shown.items() if name.startswith("worker_pool_connections{"))
        return opened == float(host.check_output("runuser -u postgres -- psql -Atc %s", count))

    shown = until(scrape, agree)
    planned = json.loads(host.file(DIAGNOSE).content_string)["database"]["service"]
    workers = range(planned["instances"])
    of_each = {
        name: [shown[f'worker_pool_{name}{{service="workbot",worker="{number}"}}'] for number in workers]
        for name in ("connections_limit", "connections_idle", "connections", "waiting_requests")
    }
    assert of_each["connections_limit"] == [planned["pool_max"]] * len(workers)
    assert of_each["connections_idle"] <= of_each["connections"]
    assert of_each["waiting_requests"] == [0] * len(workers)


def test_the_last_diagnosis_is_what_the_command_finds(host: Host, scrape: Callable[[], Metrics]) -> None:
    """It is begun at once when its settings are others."""
    ended = 'diagnosis_timestamp_seconds{service="workbot"}'
    content = json.loads(host.file(DIAGNOSE).content_string)
    content["units"].append("nosuch.service")
    host.check_output("cp -p %s %s.kept", DIAGNOSE, DIAGNOSE)
    try:
        begun = float(host.check_output("date +%s.%N"))
        host.check_output("printf %%s %s > %s", json.dumps(content), DIAGNOSE)
        shown = until(scrape, lambda now: now.get(ended, 0) > begun)
        report = json.loads(host.run("workbot-diagnose --json --read-only").stdout)
    finally:
        host.check_output("mv %s.kept %s", DIAGNOSE, DIAGNOSE)
    findings = {finding["check"]: finding for finding in report["findings"]}
    expected = [(check, one["status"]) for check, one in findings.items() if one["status"] != "ok"]
    assert ("units.nosuch.service", "critical") in expected
    assert sorted(labelled(shown, "diagnosis_finding")) == sorted(
        f'check="{check}",level="{status}"' for check, status in expected
    )
    counted = Counter(finding["status"] for finding in report["findings"])
    series = 'diagnosis_findings{level="%s",service="workbot"}'
    bad = ("warning", "unknown", "critical")
    assert {level: shown[series % level] for level in bad} == {level: counted[level] for level in bad}
    # one for each process and each log, which come and go from run to run
    assert shown[series % "ok"] == pytest.approx(counted["ok"], abs=5)
    budget, opened = findings["connections.of.workbot"], findings["connections.open"]
    assert shown['database_connections_limit{service="workbot"}'] == budget["threshold"]
    assert shown['database_connections{service="workbot"}'] == pytest.approx(budget["value"], abs=3)
    ratio = shown['database_server_connections_ratio{service="workbot"}']
    assert ratio == pytest.approx(opened["value"] / 100, abs=0.05)
    assert shown['diagnosis_interval_seconds{service="workbot"}'] == 300
    begun = float(host.check_output("date +%s.%N"))
    shown = until(scrape, lambda now: now.get(ended, 0) > begun)
    assert not [labels for labels in labelled(shown, "diagnosis_finding") if "nosuch" in labels]


def test_what_is_live_and_when_it_came_is_what_the_host_has(host: Host, scrape: Callable[[], Metrics]) -> None:
    def live() -> list[str]:
        current, active = (
            host.check_output("basename $(readlink /srv/workbot/%s)", link) for link in ("current", "active")
        )
        return [f'activation="{active}",release="{current}"']

    deployed = 'deployment_timestamp_seconds{release="%s",result="succeeded",service="workbot"}'
    release = host.check_output("basename $(readlink /srv/workbot/current)")
    before = scrape()
    assert labelled(before, "release_info") == live()
    (last,) = [one for one in labelled(before, "deployment_timestamp_seconds") if "succeeded" in one]
    assert last == f'release="{release}",result="succeeded"'
    begun = float(host.check_output("date +%s.%N"))
    host.check_output("systemctl start workbot-renewal.service")
    ended = float(host.check_output("date +%s.%N"))
    shown = until(scrape, lambda now: now[deployed % release] > begun)
    assert shown[deployed % release] < ended
    seconds = shown[deployed.replace("timestamp", "duration") % release]
    assert 0 < seconds < ended - begun
    assert labelled(shown, "release_info") == live() != labelled(before, "release_info")


def test_why_nothing_is_recovered_is_there_as_long_as_it_is_so(host: Host, scrape: Callable[[], Metrics]) -> None:
    assert not labelled(scrape(), "inhibition")
    host.check_output("systemd-run --unit=deploys --collect flock /srv/workbot/.processes.lock sleep 60")
    try:
        shown = until(scrape, lambda now: labelled(now, "inhibition"), 30)
        assert labelled(shown, "inhibition") == ['code="deployment",target="service"']
    finally:
        host.run("systemctl stop deploys")
    until(scrape, lambda now: not labelled(now, "inhibition"), 30)


def test_it_takes_little_memory(host: Host) -> None:
    pid = host.check_output("systemctl show --value -p MainPID %s", UNIT)
    assert int(host.check_output("awk '/^VmRSS/ {print $2}' /proc/%s/status", pid)) < 25 * 1024
