# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that the tests of all scenarios look at, as its administrator: over SSH, with sudo.

`molecule verify -s site` runs the tests of one scenario, and so does `pytest molecule/site/tests` while the host is
there. A test that fails shows what the host said last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faults import healed
from hosts import HOST, HOSTS, Processes, processes, way_in
from recovery import Samples, Watch, probing
from testinfra.host import Host

# What the host and the watchdog said last; that the tests come and go is left out.
LAST_WORDS = r"""
journalctl --no-pager --quiet --priority=info --lines=400 |
  grep -Ev ' (sshd(-session)?|sudo|systemd-logind)\[| session-' | tail --lines=30
tail --quiet --lines=8 /var/log/workbot/monitor.log /var/log/workbot/recovery.log 2>/dev/null
"""


def pytest_configure(config: pytest.Config) -> None:
    """Without options of their own, the tests go to the host of molecule/default.

    Molecule asks Ansible for colours, which would stand in the middle of what a test looks for in its output.
    """
    vars(config.option).update(way_in(), hosts=f"ssh://{HOST}")
    config.option.connection = None
    os.environ.pop("ANSIBLE_FORCE_COLOR", None)
    os.environ["ANSIBLE_NOCOLOR"] = "1"


@pytest.fixture(scope="session")
def address() -> str:
    """Where this machine reaches the Nginx of the host."""
    return (HOSTS / f"{HOST}.address").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def service_processes(host: Host) -> Callable[[], Processes]:
    """Looks at what runs for the service at that moment."""
    return lambda: processes(host)


@pytest.fixture(scope="module")
def pm2_processes(host: Host) -> Callable[[], list[dict[str, Any]]]:
    """What PM2 runs at that moment. The command never starts a PM2 daemon: without one it fails."""

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(host.check_output("workbot-pm2 jlist").splitlines()[-1])
        return found

    return listed


@pytest.fixture(scope="session")
def samples() -> Iterator[Samples]:
    """What users meet while the watchdog is tried."""
    with probing() as found:
        yield found


@pytest.fixture
def watch(host: Host, samples: Samples) -> Iterator[Watch]:
    """The host's watchdog; what a test did to it is healed before the next."""
    found = Watch(host, samples)
    yield found
    healed(found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed and "host" in item.fixturenames:
        report.sections.append((f"{HOST} said last", item.funcargs["host"].run(LAST_WORDS).stdout))
    return report
