# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference service, beside the small one: it is deployed as unnoticed, and both at the same time."""

from __future__ import annotations

from pathlib import Path

from deployments import FROM_ENVIRONMENT, FROM_RELEASE, Service, load, release, wait

DRAIN_TIME = 8
GOING_AWAY = 1001


def test_the_reference_service_goes_the_same_way(neighbour: Service, address: str) -> None:
    """TypeScript under tsx, with a database. Its health alone is beyond its limit of requests."""
    neighbour.deploy(FROM_ENVIRONMENT, pm2_drain_time=1)
    before = neighbour.settled()
    with load(address, "--path=/health", "--methods=GET", "--connections=8", "--websockets=20") as tally:
        neighbour.deploy(FROM_ENVIRONMENT, service_log_level="warn", pm2_drain_time=DRAIN_TIME)
    assert tally["failed"] == 0, tally["failures"]
    assert {entry["code"] for entry in tally["closed"]} == {GOING_AWAY}
    after = neighbour.settled()
    assert after["active"] != before["active"]
    assert after["current"] == before["current"]


def test_two_services_are_deployed_at_once(shop: Service, neighbour: Service, tmp_path: Path) -> None:
    """The neighbour gets back what its inventory says, and the other one a new release."""
    both = [
        shop.start("deploy", FROM_RELEASE, release_directory=release(tmp_path, "second")),
        neighbour.start(pm2_drain_time=1),
    ]
    for run in [wait(one) for one in both]:
        assert run.code == 0, run.output
    shop.settled()
    neighbour.settled()
