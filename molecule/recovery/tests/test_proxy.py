# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nginx is dead, hung or misconfigured by hand: it alone is restarted, and only where that helps."""

from __future__ import annotations

from faults import BROKEN_SITE, main_pid, pids, signal, unit_pids, unnoticed_end
from recovery import SOON, Watch
from recovery_table import keep
from testinfra.host import Host


def test_a_killed_nginx_is_started(host: Host, watch: Watch, began: float) -> None:
    before = pids(host)
    signal(host, "KILL", *unit_pids(host, "nginx.service"))
    watch.until_told(began, "proxy_dead")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("Nginx killed", course)
    assert course.cured < SOON
    assert course.actions == ("restart_proxy",)
    assert pids(host) == before


def test_a_hung_nginx_is_restarted(host: Host, watch: Watch, began: float) -> None:
    before, master = pids(host), main_pid(host, "nginx.service")
    signal(host, "STOP", *unit_pids(host, "nginx.service"))
    watch.until_told(began, "proxy_hung")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("Nginx hung (SIGSTOP of all its processes)", course)
    # after its SIGTERM and after its SIGKILL
    assert course.cured < SOON + 2 * unnoticed_end(host, "nginx.service")
    assert course.actions == ("restart_proxy",)
    assert main_pid(host, "nginx.service") != master
    assert pids(host) == before


def test_a_configuration_broken_by_hand_is_left_to_people(host: Host, watch: Watch, began: float) -> None:
    """As long as the running Nginx serves nothing is done; when it is dead, a restart would only hide the cause."""
    host.check_output(f"echo 'oops;' > {BROKEN_SITE}")
    signal(host, "KILL", *unit_pids(host, "nginx.service"))
    told = watch.until_told(began, "proxy_config_broken")
    assert watch.actions(began) == ()
    host.check_output(f"rm {BROKEN_SITE}")
    healthy = watch.until_well(began)
    course = watch.course(began, healthy)
    keep("Nginx dead and its configuration broken by hand, repaired when told", course)
    assert BROKEN_SITE in told["message"]
    assert course.actions == ("restart_proxy",)
