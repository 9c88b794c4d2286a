# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two services. Whatever a test has left of the second one is taken off at the end: other scenarios go on here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from deployments import Service, wait
from neighbours import FIRST, LIMIT, SECOND, TWICE, VARIABLES, traces
from testinfra.host import Host


@pytest.fixture(scope="module")
def first(host: Host) -> Service:
    return Service(FIRST, host)


@pytest.fixture(scope="module")
def before(host: Host) -> dict[str, Any]:
    """The host without the second service."""
    found = traces(host)
    assert found["units"] == found["accounts"] == found["databases"] == []
    return found


@pytest.fixture(scope="module")
def second(host: Host, before: dict[str, Any]) -> Iterator[Service]:
    assert before["paths"] == []
    service = Service(SECOND, host, (VARIABLES,))
    yield service
    if traces(host)["paths"]:
        wait(service.start("remove", **TWICE), LIMIT)
