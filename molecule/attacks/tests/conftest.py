# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hostile service and its neighbour. What the tests installed is removed at the end: other scenarios go on here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attacks import HOSTILE, Attacker
from deployments import Service, wait
from hosts import HOST, host_of
from neighbours import LIMIT, SECOND, TWICE, VARIABLES, run, traces
from testinfra.host import Host


@pytest.fixture(scope="module")
def hostile(host: Host) -> Service:
    return Service(HOSTILE, host)


@pytest.fixture(scope="module")
def attacker(host: Host) -> Attacker:
    return Attacker(host)


@pytest.fixture(scope="session")
def neighbour() -> Iterator[Service]:
    """The other service of the host, installed unless it is there already."""
    host = host_of(HOST)
    service = Service(SECOND, host, (VARIABLES,))
    installed = bool(traces(host)["units"])
    if not installed:
        run(service, "site")
    yield service
    if not installed:
        wait(service.start("remove", **TWICE), LIMIT)
