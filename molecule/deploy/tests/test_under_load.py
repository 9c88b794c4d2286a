# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody notices a deployment: under steady load no request fails, and WebSockets live until the drain time is over."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from deployments import FROM_ENVIRONMENT, FROM_RELEASE, Service, assert_unnoticed, load, release, wait

CONNECTIONS, WEBSOCKETS = 32, 50
DRAIN_TIME = 8  # pm2_drain_time of vars/shop.yml
LOAD = ("--host=shop.test", f"--connections={CONNECTIONS}", f"--websockets={WEBSOCKETS}")
GOING_AWAY = 1001
# What else a service may run under, and with.
OTHER: dict[str, Any] = {
    "nodejs_version": "24.20.0",
    "nodejs_pm2_version": "7.0.3",
    "service_instances": 4,
    "service_heap_limit": "96M",
    "service_environment": {"GREETING": "good evening"},
}
ONE_BY_ONE = [{name: OTHER[name]} for name in ("nodejs_version", "nodejs_pm2_version", "service_environment")]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    directory = tmp_path_factory.mktemp("releases")
    return [release(directory, version) for version in ("one", "two")]


def assert_drained(tally: dict[str, Any], switches: list[float]) -> None:
    """Each switch cost every WebSocket once, with the right code, and none before the drain time was over."""
    closed = sorted(entry["time"] for entry in tally["closed"])
    assert len(closed) == WEBSOCKETS * len(switches), (switches, sorted({round(moment) for moment in closed}))
    for number, switch in enumerate(switches):
        assert closed[number * WEBSOCKETS] >= switch + DRAIN_TIME, (number, switch)


def health(address: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{address}/health", headers={"Host": "shop.test"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=5) as response:
        found: dict[str, Any] = json.load(response)
    return found


@pytest.mark.parametrize("deployments", [4, pytest.param(10, marks=pytest.mark.soak)])
def test_deployments_back_and_forth(shop: Service, releases: list[str], address: str, deployments: int) -> None:
    """The first one is a whole run of the playbook; the others find the release on the host."""
    ids = shop.bring(*releases)
    switches = []
    with load(address, *LOAD) as tally:
        for number in range(deployments):
            began = time.time()
            if number == 0:
                shop.deploy(release_directory=releases[0])
            else:
                shop.activate(ids[number % 2])
            found = shop.settled()
            assert found["switched"] > began
            switches.append(found["switched"])
    assert_unnoticed(tally, closed=(GOING_AWAY,))
    assert tally["releases"].keys() == {"one", "two"}
    assert_drained(tally, switches)


def test_check_mode_predicts_and_touches_nothing(shop: Service, releases: list[str], good: str) -> None:
    # what is kept of its options is that of the last run
    shop.deploy(release_directory=good)
    before = shop.settled()
    run = shop.deploy("--check", "--diff", FROM_RELEASE, release_directory=releases[0])
    assert "would be activated" in run.output
    assert "[WARNING]" not in run.output
    assert run.changed
    assert not shop.deploy("--check", "--diff", release_directory=good).changed
    assert shop.settled() == before


def test_a_change_of_configuration_goes_the_same_way(shop: Service, good: str, address: str) -> None:
    before = shop.settled()
    greeting = {"service_environment": {"GREETING": "good morning"}}
    sizes = {"service_instances": 3, "service_heap_limit": "112M"}
    with load(address, *LOAD) as tally:
        shop.deploy(FROM_ENVIRONMENT, release_directory=good, **greeting)
        greeted, answer = shop.settled(), health(address)
        shop.deploy(FROM_RELEASE, release_directory=good, **greeting, **sizes)
        sized = shop.settled()
        unchanged = shop.deploy(FROM_RELEASE, release_directory=good, **greeting, **sizes)
        after = shop.settled()
    assert_unnoticed(tally, closed=(GOING_AWAY,))
    assert_drained(tally, [greeted["switched"], sized["switched"]])
    assert answer["greeting"] == "good morning"
    assert len(sized["pm2"]) == 3
    assert not unchanged.changed
    assert after == sized
    assert len({found["active"] for found in (before, greeted, sized)}) == 3
    for kept in ("current", "previous"):
        assert before[kept] == greeted[kept] == sized[kept]


def runs_under(shop: Service) -> str:
    """The Node.js and the PM2 of the daemon that runs."""
    daemon = "$(cat /srv/shop/active/pm2/pm2.pid)"
    node = shop.host.check_output(f"/proc/{daemon}/exe --version 2>/dev/null || /srv/shop/active/bin/node --version")
    title = shop.host.check_output(f"tr '\\0' ' ' < /proc/{daemon}/cmdline")
    return f"{node} {title.split()[1]}"


def site(shop: Service, **variables: Any) -> float:
    """A run of the whole playbook; when it switched."""
    run = wait(shop.start("site", watchdog_enabled=False, **variables))
    assert run.code == 0, run.output
    return float(shop.settled()["switched"])


@pytest.mark.parametrize(
    "changes", [pytest.param([OTHER], id="all"), pytest.param(ONE_BY_ONE, marks=pytest.mark.soak, id="one by one")]
)
def test_another_nodejs_and_pm2_come_and_go(
    shop: Service, good: str, address: str, changes: list[dict[str, Any]]
) -> None:
    assert good
    before, switches = runs_under(shop), []
    site(shop)
    with load(address, *LOAD, "--methods=POST") as tally:
        for change in changes:
            predicted = wait(shop.start("site", "--check", watchdog_enabled=False, **change))
            assert "would be activated" in predicted.output, predicted.output
            switches.append(site(shop, **change))
            assert len(shop.settled()["pm2"]) == change.get("service_instances", 2)
            if "nodejs_version" in change:
                assert runs_under(shop).startswith(f"v{change['nodejs_version']} ")
            switches.append(site(shop))
            assert runs_under(shop) == before
    assert_unnoticed(tally, closed=(GOING_AWAY,), methods=("POST",))
    assert_drained(tally, switches)
