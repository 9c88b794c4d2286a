# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two services of the host: the one that is deployed, and its neighbour, which must not notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deployments import AT_ONCE, FROM_ENVIRONMENT, VARIABLES, Service, release
from testinfra.host import Host

# What cuts the host's power comes last. The neighbour notices that, and where it is deployed itself, nothing else.
LAST = "test_interrupted"
NOTICED = (LAST, "test_neighbour")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem == LAST)


@pytest.fixture(scope="module")
def neighbour(host: Host) -> Service:
    return Service("workbot", host)


@pytest.fixture(scope="module")
def shop(host: Host, neighbour: Service, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service, and the proof that no deployment of it touched the other one."""
    before = neighbour.look()
    yield Service("shop", host, (VARIABLES,))
    if request.path.stem not in NOTICED:
        assert neighbour.look() == before


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, shop: Service) -> str:
    """A sound release, and the active one."""
    source = release(tmp_path_factory.mktemp("good"), "good")
    shop.deploy(FROM_ENVIRONMENT, release_directory=source, **AT_ONCE)
    return source
