# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's monitor knows every host by its name in the inventory, and that one of them is gone.

The exporters, and whom they answer, are in test_monitoring.py; Prometheus by itself is in the scenario monitor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fleet import APPS, DATABASE, MONITOR, PROXIES, site
from hosts import host_of, power_off, power_on
from monitor import Monitor
from waiting import until

LOST = APPS[-1]
WELL = {
    **{("node", name): "up" for name in (*APPS, *PROXIES, DATABASE, MONITOR)},
    ("postgresql", DATABASE): "up",
    ("prometheus", MONITOR): "up",
    ("alertmanager", MONITOR): "up",
}


@pytest.fixture(scope="module")
def monitor() -> Monitor:
    return Monitor(host_of(MONITOR))


@pytest.fixture
def reporting() -> Iterator[None]:
    """The monitor, which has no service of its own, has a channel; nothing listens there, so messages wait."""
    of_monitor = ("--limit=monitor", "--tags=alerting")
    site(*of_monitor, f"--extra-vars={json.dumps({'alerting_urls': ['json://127.0.0.1:8191/']})}")
    yield
    site(*of_monitor)


def reported() -> set[str]:
    """The alerts that people hear of from the monitor."""
    said = json.loads(host_of(MONITOR).run("workbot-alert status --json").stdout)
    return {problem["key"] for problem in said["problems"]}


def test_every_exporter_of_the_fleet_answers(monitor: Monitor) -> None:
    until("all targets are up", lambda: monitor.targets() == WELL)


def test_each_app_host_says_how_the_service_is_there(monitor: Monitor) -> None:
    def healthy() -> set[str]:
        found = monitor.query('nodejs_service_state{service="workbot", state="healthy"} == 1')
        return {series["metric"]["instance"] for series in found}

    until("all are healthy", lambda: healthy() == {*APPS})


@pytest.mark.usefixtures("reporting")
def test_a_host_that_is_gone_is_one_alert_until_it_is_back(monitor: Monitor) -> None:
    def active(instance: str) -> list[str]:
        return [name for (name, of), state in monitor.alerts().items() if of == instance and state == "active"]

    power_off(LOST)
    try:
        until("the alert that the host is down", lambda: active(LOST) == ["NodejsServiceHostDown"], 240)
        assert ("NodejsServiceWatchdogSilent", LOST) not in monitor.alerts()
        until("the monitor reports it", lambda: any(LOST in key for key in reported()))
    finally:
        power_on(LOST)
    until("the host is back", lambda: monitor.targets() == WELL, 180)
    until("the alert is over", lambda: "NodejsServiceHostDown" not in active(LOST), 120)
    until("the monitor reports it no longer", lambda: not any(LOST in key for key in reported()), 180)
