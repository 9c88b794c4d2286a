# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that die in the middle of the load: what clients notice, and that each comes back by itself."""

from __future__ import annotations

import time
import uuid

import pytest
from deployments import load
from fleet import APPS, PROXIES, address_of, answers, served_by
from hosts import power_off, power_on
from waiting import until

GETS = ("--methods=GET", "--path=/api/health", "--connections=16", "--pause=0.05")
# Two connection attempts that time out one after the other, and a busy machine.
LONGEST = 8


def comes_back(proxy: str, app: str) -> None:
    until(f"{proxy} sends requests to {app} again", lambda: app in served_by(proxy, uuid.uuid4().hex))


@pytest.mark.parametrize("app", APPS[:1])
def test_an_app_host_dies_and_no_get_fails(app: str) -> None:
    first, second = (f"http://{address_of(proxy)}" for proxy in PROXIES)
    with load(first, *GETS) as one, load(second, *GETS) as two:
        time.sleep(2)
        power_off(app)
        time.sleep(15)  # beyond the 10 s after which the proxies try it again
        power_on(app)
        for proxy in PROXIES:
            comes_back(proxy, app)
    for tally in (one, two):
        assert tally["failed"] == 0, tally["failures"]
        assert tally["requests"]["GET"] > 200
        assert tally["slowest"] < LONGEST


def test_a_proxy_dies_and_the_other_one_serves_all() -> None:
    dead, left = PROXIES
    with load(f"http://{address_of(left)}", *GETS, "--websockets=9") as tally:
        power_off(dead)
        time.sleep(5)
        assert served_by(left, uuid.uuid4().hex) == set(APPS)
        power_on(dead)
        until(f"{dead} serves again", lambda: answers(dead))
    assert (tally["failed"], tally["closed"]) == (0, [])
    assert served_by(dead, uuid.uuid4().hex) == set(APPS)
