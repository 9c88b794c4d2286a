# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/dashboard.json asks for is asked of Debian's Prometheus, since Grafana does not run here.

It scrapes the host under load, with the rules of role monitoring. Its answers are compared with others count.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dashboard.answers import DASHBOARD, PANELS, filled, variables
from deployments import Service, load
from prometheus import NODE, Prometheus, running, targets
from testinfra.host import Host
from waiting import until

# It is not installed: a test host has no use for its daemon.
EXPORTER = "/var/tmp/postgres-exporter"
EXPORTER_UNIT = "molecule-postgres-exporter"
POSTGRESQL = "127.0.0.1:9287"
# Another scenario may have left another one beside it.
SERVICE = "workbot"
# What Grafana would take by itself, and how long the load lasts at least.
WINDOW, SECONDS = "30s", 35
# A value outside of it is a mistake in an expression, or in its unit.
PLAUSIBLE = {
    "binBps": (0, 1e9),
    "bytes": (1e3, 1e11),
    "ops": (0, 1e6),
    "percentunit": (0, 2),
    "reqps": (0, 1e4),
    "s": (0, 60),
    "short": (0, 1e4),
    # of this panel, whatever its unit
    "Age": (0, 1e8),
}
# What is there only while nothing may be recovered, for a warning, or five minutes after the watchdog's start.
SELDOM = (
    "nodejs_service_inhibition",
    'nodejs_service_problem{severity="warning"}',
    "nodejs_service_diagnosis_timestamp_seconds",
)
# Metrics are written every five seconds, and Prometheus takes them every two.
TOLERANCE = 0.25
LOAD = ("--path=/", "--methods=GET", "--connections=8")
LIMITED = ("--path=/api/conversations", "--methods=GET", "--connections=4")

Series = dict[str, float]
"""Values by what the legend says."""


class Shown(Prometheus):
    """What Grafana would show of it."""

    def variables(self) -> dict[str, str]:
        return variables(lambda path: self.get(path)[0], WINDOW, "10m", SERVICE)

    def panels(self, *titles: str) -> dict[str, Series]:
        """What those show now, without titles all of them. A query without a series is an error."""
        values = self.variables()
        panels = [panel for panel in PANELS if not titles or panel["title"] in titles]
        targets = [(panel["title"], target) for panel in panels for target in panel["targets"]]
        expressions = [filled(target["expr"], values) for _title, target in targets]
        found: dict[str, Series] = {panel["title"]: {} for panel in panels}
        answers = self.query(*expressions)
        for (title, target), expression, answer in zip(targets, expressions, answers, strict=True):
            assert isinstance(answer, list), f"{title}: {expression}: {answer}"
            assert answer, f"{title} is empty: {expression}"
            found[title].update({shown(target["legendFormat"], one): float(one["value"][1]) for one in answer})
        return found


def shown(legend: str, series: dict[str, Any]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: series["metric"].get(match[1], ""), legend)


def mark(name: str, prometheus: Shown) -> str:
    (expression,) = (one["expr"] for one in DASHBOARD["annotations"]["list"] if one["name"] == name)
    return filled(expression, prometheus.variables())


@pytest.fixture(scope="module")
def prometheus(host: Host) -> Iterator[Shown]:
    host.check_output("rm -rf %s && mkdir -p %s && apt-get update -qq", EXPORTER, EXPORTER)
    host.check_output(
        "cd %s && apt-get download -qq prometheus-postgres-exporter && dpkg -x prometheus-postgres-exporter_*.deb .",
        EXPORTER,
    )
    host.check_output(
        f"systemd-run --quiet --collect --unit={EXPORTER_UNIT} --uid=postgres"
        " --setenv=DATA_SOURCE_NAME='postgresql:///postgres?host=/run/postgresql'"
        f" {EXPORTER}/usr/bin/prometheus-postgres-exporter --web.listen-address={POSTGRESQL}"
    )
    try:
        with running(host, {"node": targets(NODE), "postgresql": targets(POSTGRESQL)}):
            yield Shown(host)
    finally:
        host.run(f"systemctl stop {EXPORTER_UNIT}; rm -r {EXPORTER}")


@dataclass(frozen=True)
class Seen:
    """What each panel shows under load, and what was counted then, by the load driver and of each worker."""

    panels: dict[str, Series]
    pages: dict[str, Any]
    limited: dict[str, Any]
    files: dict[str, int]
    memory: dict[str, int]
    pids: dict[str, int]


@pytest.fixture(scope="module")
def seen(host: Host, address: str, prometheus: Shown, pm2_processes: Callable[[], list[dict[str, Any]]]) -> Seen:
    with load(address, *LOAD) as pages, load(address, *LIMITED) as limited:
        time.sleep(SECONDS)
        panels = prometheus.panels()
        pids = {str(process["pm_id"]): process["pid"] for process in pm2_processes()}
        files = {worker: int(host.check_output(f"ls /proc/{pid}/fd | wc -l")) for worker, pid in pids.items()}
        memory = {
            worker: 1024 * int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status"))
            for worker, pid in pids.items()
        }
    return Seen(panels, pages, limited, files, memory, pids)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_each_panel_shows_something_plausible(seen: Seen, panel: dict[str, Any]) -> None:
    low, high = PLAUSIBLE.get(panel["title"]) or PLAUSIBLE[panel["fieldConfig"]["defaults"]["unit"]]
    for legend, value in seen.panels[panel["title"]].items():
        assert low <= value <= high, (legend, value)


def test_the_requests_are_those_that_the_clients_count(seen: Seen) -> None:
    seconds = seen.pages["ended"] - seen.pages["began"]
    pages = seen.pages["statuses"]["200"] / seconds
    answered, refused = (seen.limited["statuses"][status] / seconds for status in ("200", "429"))
    assert pages > 10
    by_status, by_route = seen.panels["Requests by status"], seen.panels["Requests by route"]
    assert by_status["2xx"] == pytest.approx(pages + answered, rel=TOLERANCE)
    assert by_status["4xx"] == pytest.approx(refused, rel=TOLERANCE)
    assert by_status["5xx"] == by_status["3xx"] == 0
    assert by_route["/"] == pytest.approx(pages, rel=TOLERANCE)
    assert by_route["/api/conversations"] == pytest.approx(refused + answered, rel=TOLERANCE)
    assert seen.panels["Requests"]["requests"] == pytest.approx(sum(by_status.values()))
    assert seen.panels["Requests by host"] == {f"{NODE} true": pytest.approx(sum(by_status.values()))}
    assert 0 < seen.panels["Refused by a limit"]["rate"] <= by_status["4xx"]
    assert seen.panels["Availability"] == {"answered": 1, "objective": 0.999}
    assert seen.panels["In time"]["objective"] == 0.99


def test_their_duration_is_one_that_the_clients_met(seen: Seen) -> None:
    duration, parts = seen.panels["Duration over time"], seen.panels["Duration and the service's part"]
    # no bucket's end is more than two and a half times its beginning, and the first ends at 5 ms
    assert 0 < duration["p50"] <= duration["p95"] <= duration["p99"] <= max(0.005, 2.5 * seen.pages["slowest"])
    # Nginx rounds each to a millisecond
    assert 0 < parts["service"] <= parts["whole"] + 0.001 < seen.pages["slowest"]


def test_the_workers_take_what_the_host_says(seen: Seen) -> None:
    memory, heap = dict(seen.panels["Resident memory"]), dict(seen.panels["Heap in use"])
    limit, heap_limit = memory.pop("limit"), heap.pop("limit")
    assert memory.keys() == heap.keys() == {f"{NODE} {worker}" for worker in seen.memory}
    for worker, taken in seen.memory.items():
        name = f"{NODE} {worker}"
        assert memory[name] == pytest.approx(taken, rel=0.2)
        assert seen.panels["Open files"][name] == pytest.approx(seen.files[worker], abs=15)
        assert heap[name] < heap_limit < limit
        assert seen.panels["Event loop"][f"{name} p50"] <= seen.panels["Event loop"][f"{name} p95"] < 1
        assert 0 < seen.panels["CPU of the workers"][name] < 1.5
    share = max(memory.values()) / limit
    assert seen.panels["Memory of the largest worker"]["of limit"] == pytest.approx(share)
    assert seen.panels["Workers down"]["down"] == 0
    assert seen.panels["Last probe"]["ago"] < 30


def test_all_is_well(host: Host, seen: Seen) -> None:
    assert seen.panels["Release"] == {host.check_output("basename $(readlink /srv/workbot/current)"): 1}
    assert seen.panels["State"] == {"healthy": 1}
    assert seen.panels["Open problems"] == {"none": 0}
    assert seen.panels["State over time"] == {NODE: 0}
    assert seen.panels["Service and proxy"] == {f"{NODE} service": 0, f"{NODE} proxy": 0}


def test_postgresql_and_the_host_are_as_they_say(host: Host, seen: Seen) -> None:
    counted = "runuser -u postgres -- psql -qtAX --command %s"
    connections = dict(seen.panels["Connections"])
    limit = connections.pop("limit")
    assert limit == int(host.check_output(counted, "SHOW max_connections"))
    there = int(host.check_output(counted, "SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL"))
    assert sum(connections.values()) == pytest.approx(there, abs=5)
    pools = seen.panels["Pools of the workers"]
    assert sum(pools.values()) - pools["limit"] == pytest.approx(there, abs=5)
    size = int(host.check_output(counted, "SELECT pg_database_size('workbot')"))
    assert seen.panels["Size"]["workbot"] == pytest.approx(size, rel=0.1)
    for name, used in seen.panels["Disk"].items():
        path = name.split(" ")[1]
        free, blocks = map(int, host.check_output("stat --file-system --format='%%a %%b' %s", path).split())
        assert used == pytest.approx(1 - free / blocks, abs=0.02)
    meminfo = dict(re.findall(r"(\w+): +(\d+) kB", host.file("/proc/meminfo").content_string))
    in_use = 1 - int(meminfo["MemAvailable"]) / int(meminfo["MemTotal"])
    assert seen.panels["Memory"][NODE] == pytest.approx(in_use, abs=0.15)


def test_the_last_deployment_is_marked(host: Host, prometheus: Shown) -> None:
    (last,) = (
        series
        for series in prometheus.query(mark("Deployment", prometheus))[0]
        if series["metric"]["result"] == "succeeded"
    )
    assert last["metric"]["release"] == host.check_output("basename $(readlink /srv/workbot/current)")
    link = int(host.check_output("stat --format=%Y /srv/workbot/active"))
    assert float(last["value"][1]) / 1000 == pytest.approx(link, abs=120)


def test_a_problem_is_shown_and_the_step_against_it_is_marked(host: Host, prometheus: Shown) -> None:
    steps = mark("Recovery step", prometheus)
    assert prometheus.query(steps) == [[]]
    try:
        # longer than of a worker: for nine seconds, until the daemon or the whole activation has been replaced
        host.check_output("kill -STOP $(cat /srv/workbot/active/pm2/pm2.pid)")
        until("a problem is shown", lambda: prometheus.panels("Problems") == {"Problems": {"critical": 1}})
        assert prometheus.panels("Open problems") == {"Open problems": {"service": 1}}
        until("a step is shown", lambda: prometheus.query(steps)[0])
        taken = prometheus.panels("Recovery steps")["Recovery steps"]
        assert taken["renew_activation"] + taken["restart_daemon"] > 0
        until("it is healthy again", lambda: prometheus.panels("State") == {"State": {"healthy": 1}})
    finally:
        # it has its whole budget again, and what was replaced has a minute to end its connections
        host.check_output("workbot-watchdog resume")
        Service("workbot", host).until(lambda found: not found["locked"] and len(found["activations"]) == 1, limit=180)


def test_each_rule_finds_its_metrics(prometheus: Shown) -> None:
    (found,) = prometheus.get("rules")
    rules = [rule for group in found["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    answers = prometheus.query(*(f'{name}{{service="{SERVICE}"}}' for name in recorded))
    for name, answer in zip(recorded, answers, strict=True):
        assert [0 <= float(series["value"][1]) < 1000 for series in answer] == [True], name
    # an alert's expression returns nothing while all is well: what it is made of
    text = " ".join(rule["query"] for rule in rules)
    selectors = {one for one in re.findall(r"nodejs_service[\w:]+(?:{[^}]*})?", text) if not one.startswith(SELDOM)}
    assert len(selectors) > 20
    answers = prometheus.query(*(f"last_over_time({selector}[10m])" for selector in selectors))
    assert [selector for selector, answer in zip(selectors, answers, strict=True) if not answer] == []
