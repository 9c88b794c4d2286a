# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of the tests' own beside those of the two services, and clients who ask all three all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nginx_sites import STATE, WORKERS, Clients, applied, clients, files, site
from testinfra.host import Host

# Stops nginx: no clients then.
LAST = "test_stopped"
SERVICES = {("shop.test", "/health"): "", ("workbot.test", "/health"): ""}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem == LAST)


@pytest.fixture(scope="module")
def trial(host: Host) -> Iterator[str]:
    """The host name of the site `trial`, and the proof that in the end the host is as it was found."""
    applied(name="trial", state="absent")  # of a run of the tests that was stopped
    before = files(host)
    applied(**site())
    yield "trial.test"
    applied(name="trial", state="absent")
    assert files(host) == before
    assert not host.file(f"{STATE}/trial.json").exists


@pytest.fixture(scope="module")
def asking(address: str, trial: str) -> Iterator[Clients]:
    with clients(address, {(trial, "/"): "old", **SERVICES}) as found:
        yield found


@pytest.fixture
def answered(asking: Clients) -> Iterator[None]:
    """Every request of every client is answered by the old site during the test."""
    before = asking.answers
    yield
    asking.assert_answered(before)


@pytest.fixture
def restored(host: Host) -> Iterator[None]:
    """Every file is afterwards as it was."""
    before = files(host)
    yield
    assert files(host) == before


@pytest.fixture
def untouched(host: Host) -> Iterator[None]:
    """The same, and no worker was replaced."""
    before = files(host), host.check_output(WORKERS)
    yield
    assert (files(host), host.check_output(WORKERS)) == before
