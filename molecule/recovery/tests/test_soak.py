# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy service under load: nothing is restarted or reported, and the watchdog itself costs next to nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from deployments import load
from faults import WATCHDOG, main_pid, pids
from prometheus import Prometheus
from recovery import Watch
from recovery_table import keep_soak
from testinfra.host import Host

LOAD = ("--path=/faults/health/ok", "--methods=POST", "--connections=16", "--pause=0.05", "--websockets=20")
MOST_RSS_MB = 40.0
TICKS = 100  # a second's, on every Linux that Debian builds
FIELDS = "awk '{print $14 + $15, $16 + $17}' /proc/%s/stat; awk '/VmHWM/ {print $2}' /proc/%s/status"


def spent(host: Host, pid: int) -> tuple[float, float, float]:
    """Processor time of the watchdog and of the commands that it ran, in seconds; its largest resident size in MB."""
    own, children, size = (float(word) for word in host.check_output(FIELDS, str(pid), str(pid)).split())
    return own / TICKS, children / TICKS, size / 1024


# Percent of a core for the watchdog and for its commands, of which one diagnosis weighs much in 90 seconds: it was 0.35
# and 1.04, and 0.49 and 0.73, where twenty processes and more wanted two cores.
@pytest.mark.parametrize(
    ("seconds", "most", "most_of_commands"), [(90, 0.8, 2.0), pytest.param(3600, 0.4, 0.5, marks=pytest.mark.soak)]
)
def test_nothing_is_done_to_a_healthy_service(
    host: Host,
    watch: Watch,
    prometheus: Prometheus,
    address: str,
    began: float,
    *,
    seconds: int,
    most: float,
    most_of_commands: float,
) -> None:
    before, watchdog = pids(host), main_pid(host, WATCHDOG)
    own, children, _size = spent(host, watchdog)
    with load(address, *LOAD) as tally:
        time.sleep(seconds)
    alerts = prometheus.alerts(began, time.time())
    own_after, children_after, size = spent(host, watchdog)
    took = time.time() - began
    cost: dict[str, Any] = {
        "seconds": round(took),
        "requests": sum(tally["requests"].values()),
        "failed": tally["failed"],
        "websockets_closed": len(tally["closed"]),
        "actions": len(watch.actions(began)),
        "cpu_percent": 100 * (own_after - own) / took,
        "diagnoses_cpu_percent": 100 * (children_after - children) / took,
        "rss_mb": size,
        # what was over before it fired paged nobody
        "alerts": [f"{alert} {'firing' if alert.fired else 'pending'}" for alert in sorted(alerts)],
    }
    keep_soak(cost)
    assert main_pid(host, WATCHDOG) == watchdog
    assert (cost["actions"], cost["failed"], cost["websockets_closed"]) == (0, 0, 0), cost
    assert pids(host) == before
    assert [str(alert) for alert in alerts if alert.fired] == []
    assert cost["cpu_percent"] < most, cost
    assert cost["diagnoses_cpu_percent"] < most_of_commands, cost
    assert size < MOST_RSS_MB
