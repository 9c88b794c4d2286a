# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of an nginx that is stopped: it starts with a good one, and stays stopped after a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from nginx_sites import applied, refused, site
from testinfra.host import Host

pytestmark = pytest.mark.usefixtures("trial", "restored")

STOPPED = "The previous files are back, and nginx is stopped, as it was."


@pytest.fixture(autouse=True)
def stopped(host: Host) -> Iterator[None]:
    host.check_output("systemctl stop nginx")
    yield
    applied(**site())
    assert host.service("nginx").is_running


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (site("oops;"), 'unknown directive "oops"'),
        (site("location = /new { return 200; }", limit_zones=["molecule"]), "named molecule"),
        (site("# new", probes=[{"host": "trial.test", "expect_status": [418], "timeout": 0.5}]), STOPPED),
        (site("listen 22;"), STOPPED),
    ],
)
def test_a_bad_change_leaves_it_stopped(host: Host, options: dict[str, Any], expected: str) -> None:
    assert expected in refused(**options)
    assert not host.service("nginx").is_running


def test_a_run_that_changes_nothing_starts_it(host: Host) -> None:
    assert applied("--check", **site())["started"]
    assert not host.service("nginx").is_running
    result = applied(**site())
    assert (result["changed"], result["started"], result["changed_files"]) == (True, True, [])


def test_a_probe_of_what_is_down_does_not_hold_a_start_up() -> None:
    probes = [{"url": "http://trial.test/down", "address": "127.0.0.1", "if_healthy": True, "timeout": 0.5}]
    assert applied(**site("# new", probes=probes))["started"]
    applied(**site())
