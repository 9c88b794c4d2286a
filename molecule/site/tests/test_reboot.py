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

import pytest
from testinfra.host import Host

# From the order to reboot to an answer; the machine that runs the tests may be busy with others.
LIMIT = 90


def boot(host: Host) -> str:
    """When this run of systemd began. The kernel's own boot id stays: a container's kernel is its machine's."""
    try:
        return host.run("systemctl show --property=UserspaceTimestampMonotonic --value").stdout.strip()
    except RuntimeError:  # testinfra's word for a host that SSH does not reach
        return ""


def answer(address: str) -> dict[str, object] | None:
    """The health that the service tells through Nginx, if it answers with 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/health", timeout=5) as response:
            body: dict[str, object] = json.load(response)
            return body
    except (OSError, urllib.error.HTTPError, ValueError):
        return None


@pytest.fixture(scope="module")
def rebooted(host: Host, address: str) -> dict[str, object]:
    """Reboots the host and waits for the service, touching nothing."""
    earlier = boot(host)
    with contextlib.suppress(RuntimeError):  # the connection may end before the command does
        host.run("systemctl reboot")
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        time.sleep(1)
        if boot(host) not in ("", earlier) and (health := answer(address)):
            return health
    pytest.fail(f"no health through Nginx {LIMIT} s after the order to reboot")


def test_service_answers_through_nginx(rebooted: dict[str, object]) -> None:
    assert rebooted["status"] == "ok"
    assert rebooted["database"]


@pytest.mark.usefixtures("rebooted")
def test_nothing_failed_at_boot(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


@pytest.mark.usefixtures("rebooted")
def test_unit_is_the_one_that_started_it(host: Host) -> None:
    unit = host.service("pm2-workbot.service")
    assert unit.is_enabled
    assert unit.is_running
