# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a real fault through the watchdog to the messages that people get: exactly these, once each, also afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alerts import DIRECTORY, PLAYBOOK, Alarm
from faults import WATCHDOG, pids, signal
from hosts import playbook
from recovery import Watch
from testinfra.host import Host
from waiting import until

PORT = "8193"
SERVICE = "--extra-vars=@molecule/recovery/vars/faulty.yml"
# As the site's playbook has it: later tests count by it what clients get.
ACCESS_LOG = "/var/log/nginx/workbot.access.log"


def applied(**variables: object) -> None:
    running = playbook(PLAYBOOK, {"metrics_access_log": ACCESS_LOG, **variables}, SERVICE)
    output, _none = running.communicate(timeout=600)
    assert running.returncode == 0, output


def sent(host: Host) -> bool:
    """Whether alerting has looked once more for what is due."""
    return bool(host.run("systemctl start workbot-alert.service").rc == 0)


@pytest.fixture
def receiver(host: Host, watch: Watch) -> Iterator[Alarm]:
    """Alerting of the service itself, to a receiver that begins without anything received."""
    found = Alarm(host)
    found.receive(PORT)
    # it tells of a state that an earlier test damaged for ten minutes, or until it is started anew
    host.check_output(f"systemctl restart {WATCHDOG}")
    until("nothing is wrong", lambda: watch.status()["problems"] == [], 60)
    # what earlier tests broke would count, and one more illness of an hour full of them is told as flapping
    host.check_output("find /var/lib/workbot-watchdog/events -name '*.json' -delete")
    applied(alerting_urls=[f"json://127.0.0.1:{PORT}/"], alerting_messages_per_hour=1000, alerting_actions=True)
    found.forget()
    yield found
    applied()
    found.go_away(PORT)
    host.check_output("rm -rf %s", DIRECTORY)


def test_a_hung_worker_is_told_with_what_was_done_also_to_a_receiver_that_was_away(
    host: Host, receiver: Alarm, watch: Watch, began: float
) -> None:
    receiver.go_away(PORT)
    victim = min(pids(host))
    signal(host, "STOP", victim)
    watch.until_acted(began)
    watch.until_well(began)
    assert receiver.titles(PORT) == []
    receiver.receive(PORT)
    # what failed twice is tried again after a minute; the timer need not be waited for as well
    until("all is told", lambda: sent(host) and len(receiver.titles(PORT)) >= 3, 200)
    assert sent(host)
    kinds = [title.split(": ", 2)[1:] for title in receiver.titles(PORT)]
    assert kinds == [
        ["WARNING", "a worker hangs"],
        ["RECOVERY", "kill of a worker"],
        ["RESOLVED", "a worker hangs"],
    ]
    assert str(victim) in receiver.received(PORT)[0]["message"]
