# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app host is taken out of the proxies' rotation and back, and nobody notices."""

from __future__ import annotations

import time

import pytest
from deployments import assert_unnoticed
from fleet import APPS, PROXIES
from fleet_deployments import loaded, play, requests, set_up, succeed
from hosts import host_of

UPSTREAM = "/etc/nginx/services/shop/upstream.conf"
DRAINED = APPS[0]


@pytest.fixture(autouse=True, scope="module")
def shop() -> None:
    set_up()


def upstreams() -> list[str]:
    return [host_of(proxy).file(UPSTREAM).content_string for proxy in PROXIES]


def test_out_of_rotation_and_back_under_load() -> None:
    before = upstreams()
    with loaded() as tallies:
        predicted = succeed("drain", "--check", "--diff", drain_host=DRAINED)
        assert upstreams() == before
        assert " down;" in predicted.output
        succeed("drain", drain_host=DRAINED, drain_wait=2, drain_reason="kernel")
        seen = requests(DRAINED)
        time.sleep(3)
        assert requests(DRAINED) == seen
        again = succeed("drain", drain_host=DRAINED, drain_wait=0, drain_reason="another one")
        assert not again.changed
        succeed("drain", drain_host=DRAINED, drain_state="restored")
        time.sleep(3)
        assert requests(DRAINED) > seen
    for tally in tallies:
        assert_unnoticed(tally)
        # WebSockets that were open went on all the time
        assert tally["closed"] == []
    assert upstreams() == before


def test_a_drained_host_stays_out_until_it_is_put_back() -> None:
    succeed("drain", drain_host=DRAINED, drain_wait=0, drain_announce=0, drain_reason="kernel")
    out = upstreams()
    try:
        site = succeed("site", f"--limit={PROXIES[0]}", "--tags=long_term")
        assert upstreams() == out
        assert f"Out of rotation here: {DRAINED} (since" in site.output
        check = play("check", f"--limit={','.join(PROXIES)}")
        assert f"{DRAINED} is out of rotation (since" in check.output
        assert ", kernel)" in check.output
        last = play("drain", drain_host=list(APPS[1:]), drain_force=True)
        assert last.code == 2
        assert "would be the last in rotation" in last.output
        assert upstreams() == out
    finally:
        succeed("drain", drain_host=DRAINED, drain_state="restored", drain_announce=0)


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        ((), {}, "drain_host: is not set"),
        ((), {"drain_host": "nobody"}, "drain_host: nobody is no host of the group app, which has fleet-app1"),
        ((), {"drain_host": PROXIES[0]}, f"drain_host: {PROXIES[0]} is no host of the group app"),
        ((), {"drain_host": DRAINED, "drain_state": "gone"}, "drain_state = gone: expected one of drained, restored"),
        ((), {"drain_host": DRAINED, "drain_wait": "long"}, "drain_wait = long: expected a number"),
        ((f"--limit={DRAINED}",), {"drain_host": DRAINED}, "--limit leaves out fleet-proxy1, fleet-proxy2"),
    ],
)
def test_bad_input_is_refused(options: tuple[str, ...], variables: dict[str, str], said: str) -> None:
    run = play("drain", *options, **variables)
    assert run.code == 2
    assert said in run.output
