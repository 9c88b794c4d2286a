# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault meets a service that is well, and a watchdog with its whole budget; none is left for the next one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from fault_alerts import expected
from faults import forgotten
from hosts import HOST, host_of
from prometheus import NODE, Prometheus, running, targets
from recovery import CALM, STATUS, Watch
from recovery_table import keep_alerts, kept_since, tables
from testinfra.host import Host
from waiting import until

METRICS = "/var/lib/prometheus/node-exporter/workbot.prom"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What CI shows of each fault: its last course on this checkout."""
    terminalreporter.section("faults and how they ended")
    terminalreporter.write_line("\n".join(tables()))


@pytest.fixture
def began(watch: Watch) -> float:
    """When the fault begins; by then all is well."""
    watch.until_well(time.time() - CALM - 1)
    return time.time()


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """It scrapes what the service's own metrics are, as often as they are written."""
    with running(host_of(HOST), {"node": {**targets(NODE), "params": {"collect[]": ["textfile"]}}}) as found:
        yield found


def tells(host: Host, prometheus: Prometheus) -> bool:
    """Of a critical problem: the watchdog, its metrics, which are some seconds old, or what was last read of these."""
    shown = host.run(f"cat {STATUS}")
    if shown.rc != 0:
        # it is being restarted
        return True
    known = json.loads(shown.stdout)["problems"]
    problem = 'nodejs_service_problem{service="workbot", severity="critical"}'
    written = host.run("grep -q %s %s", 'nodejs_service_problem{.*severity="critical"', METRICS).rc == 0
    return any(each["severity"] == "critical" for each in known) or written or prometheus.query(problem) != [[]]


def await_alerts(prometheus: Prometheus, fault: str, began: float) -> None:
    """What is told at once is written, read and judged some seconds later."""
    known = expected(fault)
    until(f"alerts: {fault}", lambda: "missing" not in known.wrong(prometheus.alerts(began, time.time())), 30)


@pytest.fixture(autouse=True)
def judged(host: Host, prometheus: Prometheus) -> Iterator[None]:
    """Each fault whose course a test keeps has its alerts, and no other one that is critical."""
    if json.loads(host.check_output(f"cat {STATUS}"))["problems"]:
        # some stay open for minutes
        forgotten(host)
    until("Prometheus has been told that nothing is critical", lambda: not tells(host, prometheus), 30)
    prometheus.forget()
    until("nothing is critical", lambda: prometheus.query('ALERTS{service="workbot", severity="critical"}') == [[]], 30)
    prometheus.forget()
    start = time.time()
    yield
    for fault, began in kept_since(start).items():
        await_alerts(prometheus, fault, began)
        alerts = prometheus.alerts(began, time.time())
        keep_alerts(fault, alerts)
        assert expected(fault).wrong(alerts) == {}, (fault, sorted(map(str, alerts)))
