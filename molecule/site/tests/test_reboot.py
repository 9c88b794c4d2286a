# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is rebooted as its administrator does it, and all is back without help."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

Processes = Callable[[], list[dict[str, Any]]]

ACTIVE = "/srv/workbot/active"
# Seconds from the order to reboot to an answer. Debian 12's systemd, in a container on control groups version 1, does
# not see all processes of a user end, and waits for its own limit.
LIMIT = 240


def boot(host: Host) -> str:
    """When this run of systemd began. The kernel's own boot id stays: a container's kernel is its machine's."""
    try:
        return host.run("systemctl show --property=UserspaceTimestampMonotonic --value").stdout.strip()
    except RuntimeError:  # testinfra's word for a host that SSH does not reach
        return ""


def answer(address: str) -> dict[str, Any] | None:
    """The health that the service tells through Nginx, if it answers with 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/health", timeout=5) as response:
            body: dict[str, Any] = json.load(response)
            return body
    except (OSError, urllib.error.HTTPError, ValueError):
        return None


def workers(listed: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What must be the same after the boot: one entry for each worker."""
    return sorted((item["name"], item["pm2_env"]["pm_exec_path"], item["pm2_env"]["status"]) for item in listed)


def starts(listed: list[dict[str, Any]]) -> set[tuple[int, int]]:
    """Who runs. A process of the new boot may have the id of one before, but not its time of start."""
    return {(item["pid"], item["pm2_env"]["pm_uptime"]) for item in listed}


@pytest.fixture(scope="module")
def before(host: Host, pm2_processes: Processes) -> tuple[list[dict[str, Any]], str]:
    return pm2_processes(), host.check_output(f"readlink {ACTIVE}")


@pytest.fixture(scope="module")
def rebooted(host: Host, address: str, before: tuple[list[dict[str, Any]], str]) -> dict[str, Any]:
    """Reboots the host and waits for the service, touching nothing."""
    assert before[0]
    earlier = boot(host)
    with contextlib.suppress(RuntimeError):  # the connection may end before the command does
        host.run("systemctl reboot")
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        time.sleep(1)
        if boot(host) not in ("", earlier) and (health := answer(address)):
            return health
    pytest.fail(f"no health through Nginx {LIMIT} s after the order to reboot")


def test_service_answers_through_nginx(rebooted: dict[str, Any]) -> None:
    assert rebooted["status"] == "ok"
    assert rebooted["database"]["status"] == "ok"


@pytest.mark.usefixtures("rebooted")
def test_nothing_failed_at_boot(host: Host) -> None:
    # first: it waits until the boot is over
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


@pytest.mark.usefixtures("rebooted")
@pytest.mark.parametrize(
    "unit",
    [
        "workbot.service",
        "workbot@*.service",
        "nginx.service",
        "postgresql@*",
        "cron.service",
        "logrotate-workbot.timer",
    ],
)
def test_all_of_the_service_is_active(host: Host, unit: str) -> None:
    assert host.check_output("systemctl list-units --state=active --plain --no-legend %s", unit)


@pytest.mark.usefixtures("rebooted")
def test_the_same_workers_of_the_same_release_run_anew(
    host: Host, pm2_processes: Processes, before: tuple[list[dict[str, Any]], str]
) -> None:
    listed, active = before
    deadline = time.monotonic() + LIMIT  # the first worker that was ready has answered; wait for the others
    while workers(after := pm2_processes()) != workers(listed):
        assert time.monotonic() < deadline, f"{workers(after)}, before the reboot: {workers(listed)}"
        time.sleep(1)
    assert not starts(after) & starts(listed)
    assert host.check_output(f"readlink {ACTIVE}") == active
    assert host.service("workbot.service").is_enabled
