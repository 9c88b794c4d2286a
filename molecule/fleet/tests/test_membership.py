# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app host leaves the fleet, and one joins it: a change of the inventory and one run each, under load."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from deployments import load
from fleet import APPS, DATABASE, PROXIES, address_of, inventory_of, running, served_by, site
from hosts import Processes, host_of

STAYING, CHANGING = APPS[:2], APPS[2]
GETS = ("--methods=GET", "--path=/api/health", "--connections=8", "--websockets=6")
MASTER = "nginx: master process"


@pytest.fixture(scope="module")
def without() -> Iterator[None]:
    """The inventory does not have the host any more, and was applied."""
    before = running()
    with inventory_of(*STAYING) as inventory:
        site(inventory=inventory)
        assert_nobody_was_restarted(before)
        yield


def assert_nobody_was_restarted(before: dict[str, Processes]) -> None:
    """Except Nginx's workers at the proxies, which a reload replaces."""
    after = running()
    for name in (*STAYING, DATABASE):
        assert after[name] == before[name], name
    for proxy in PROXIES:
        masters = [{row for row in found[proxy]["nginx.service"] if MASTER in row[2]} for found in (before, after)]
        assert masters[0] == masters[1]


def allowed(address: str) -> bool:
    """Whether the database server lets this address in."""
    rules = host_of(DATABASE).check_output(
        "runuser -u postgres -- psql -Atc 'SELECT address FROM pg_hba_file_rules WHERE address IS NOT NULL'"
    )
    return address in rules.split()


@pytest.mark.usefixtures("without")
def test_a_host_that_left_gets_no_request() -> None:
    for proxy in PROXIES:
        assert served_by(proxy, uuid.uuid4().hex) == set(STAYING)
    assert not allowed(address_of(CHANGING))


@pytest.mark.usefixtures("without")
def test_a_host_that_joins_serves_and_nobody_else_is_restarted() -> None:
    before = running()
    with load(f"http://{address_of(PROXIES[0])}", *GETS) as tally:
        site()
    assert (tally["failed"], tally["closed"]) == (0, [])
    for proxy in PROXIES:
        assert served_by(proxy, uuid.uuid4().hex) == set(APPS)
    assert allowed(address_of(CHANGING))
    assert_nobody_was_restarted(before)
