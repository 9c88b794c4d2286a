# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that can't be renewed: it serves on, and one alert has the authority's reason.

The time that it is valid for is the authority's: a quarter of six minutes stands for 21 of 90 days.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from alerts import DIRECTORY, Alarm
from authority import Authority, authority
from edge import shown
from hosts import playbook
from testinfra.host import Host
from waiting import until

NAME = "workbot.test"
PORT = "8194"
MINUTES = 6
SERVICE = "--extra-vars=@molecule/recovery/vars/faulty.yml"


def site(**variables: object) -> None:
    running = playbook("workbot.stability.site", variables, SERVICE)
    output, _none = running.communicate(timeout=300)
    assert running.returncode == 0, output


@pytest.fixture
def receiver(host: Host) -> Iterator[Alarm]:
    found = Alarm(host)
    found.receive(PORT)
    found.forget()
    yield found
    found.go_away(PORT)
    host.check_output("rm -rf %s", DIRECTORY)


@pytest.fixture
def issuer(host: Host, receiver: Alarm) -> Iterator[Authority]:
    """The service has a certificate of its, for minutes."""
    assert receiver.titles(PORT) == []
    with authority(host, {NAME: "127.0.0.1"}) as found:
        seconds = 60 * MINUTES
        # as Pebble of Debian 12 is told, and that of 13
        profiles = {"default": {"description": "for minutes", "validityPeriod": seconds}}
        found.start(certificateValidityPeriod=seconds, profiles=profiles)
        acme = {"nginx_acme_email": "ops@workbot.test", "nginx_acme_server": found.server}
        alerts = {"alerting_urls": [f"json://127.0.0.1:{PORT}/"], "watchdog_diagnosis_interval": 30}
        try:
            site(nginx_server_names=[NAME, "_"], **acme, **alerts)
            yield found
        finally:
            site()


def diagnosed(host: Host) -> dict[str, object]:
    found: dict[str, object]
    (found,) = json.loads(host.run("workbot-diagnose --check certificates --json").stdout)["findings"]
    return found


@pytest.mark.soak
def test_an_authority_that_is_down_when_the_certificate_is_due_is_told_once_at_each_level(
    host: Host, receiver: Alarm, issuer: Authority
) -> None:
    before = shown(host, 443, NAME, "-serial")
    found = diagnosed(host)
    assert found["status"] == "ok", found
    issuer.stop()
    # certbot takes what lasts for less than ten days for due when half of it is over
    time.sleep(60 * MINUTES / 2)
    assert host.run("systemctl start certbot.service").rc != 0
    until("it is critical, too", lambda: len(told(host, receiver)) >= 2, 60 * MINUTES / 2)
    messages = told(host, receiver)
    assert [str(message["title"]).split(": ")[1] for message in messages] == ["WARNING", "NOW CRITICAL"]
    for message in messages:
        assert "The last attempt (" in str(message["message"])
        assert "refused" in str(message["message"])
    assert shown(host, 443, NAME, "-serial") == before


def told(host: Host, receiver: Alarm) -> list[dict[str, object]]:
    """What people were told of the certificate, once what is due is sent."""
    host.run("systemctl start workbot-alert.service")
    return [message for message in receiver.received(PORT) if "certificate" in message["message"]]
