# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nginx is dead, hung, misconfigured by hand or without its port: it alone is restarted, only where that helps."""

from __future__ import annotations

import json
import time

from faults import BROKEN_SITE, main_pid, pids, port_taken, signal, unit_pids, unnoticed_end
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


def test_another_program_on_its_port_is_named_and_nginx_started_when_that_has_ended(
    host: Host, watch: Watch, began: float
) -> None:
    with port_taken(host) as taker:
        told = watch.until_told(began, "proxy_port_taken")
        named = f"another program (python3, pid {taker}) listens on port 80"
        assert told["message"] == f"{named}, which Nginx needs: stop it, then systemctl start nginx"
        diagnosed = json.loads(host.run("workbot-diagnose --json").stdout)["findings"]
        known = "port 80 is answered by another program (of the user root), Nginx is not running"
        advice = "See it with `ss -tlnp`, stop it, then: systemctl start nginx"
        said = {found["check"]: found for found in diagnosed}
        for check in ("proxy", "nginx"):
            assert (said[check]["status"], said[check]["message"]) == ("critical", f"{known}. {advice}.")
        assert watch.actions(began) == ()
        assert watch.told(began, "proxy_wrong") is None
        freed = time.time()
    healthy = watch.until_well(freed)
    keep("Nginx dead, and its port taken by another program that ends when told", watch.course(freed, healthy))
    assert healthy < SOON
    assert watch.actions(began) == ("restart_proxy",)
