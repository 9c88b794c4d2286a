# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to the release before, or to a named one, the same way as forward."""

from __future__ import annotations

import pytest
from deployments import ACTIVATE, Service, assert_unnoticed, load, release, wait

LOAD = ("--host=shop.test", "--connections=8")


@pytest.fixture(scope="module")
def three(shop: Service, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Ids of three releases; the last one is active."""
    directory = tmp_path_factory.mktemp("releases")
    return shop.bring(*(release(directory, version) for version in ("first", "second", "third")))


def roll_back(shop: Service, address: str, *options: str, **variables: str) -> str:
    """Rolls back under load; returns what the playbook said."""
    with load(address, *LOAD) as tally:
        run = wait(shop.start("rollback", *options, **variables))
    assert run.code == 0, run.output
    assert_unnoticed(tally)
    return run.output


def test_to_the_release_before_and_forward_again(shop: Service, three: list[str], address: str) -> None:
    """The first time by the whole playbook."""
    for expected, left, options in ((three[1], three[2], ()), (three[2], three[1], (ACTIVATE,))):
        output = roll_back(shop, address, *options)
        found = shop.settled()
        assert (found["current"], found["previous"]) == (expected, left)
        assert f"release {expected} active" in output


def test_to_a_named_release(shop: Service, three: list[str], address: str) -> None:
    before = shop.settled()["current"]
    roll_back(shop, address, ACTIVATE, rollback_release=three[0])
    found = shop.settled()
    assert (found["current"], found["previous"]) == (three[0], before)


def test_a_release_that_is_not_there_is_refused_with_those_that_are(shop: Service, three: list[str]) -> None:
    before = shop.settled()
    run = wait(shop.start("rollback", ACTIVATE, rollback_release="nowhere"))
    assert run.code == 2
    assert "nowhere" in run.output
    assert [name for name in three if name not in run.output] == []
    assert shop.settled() == before
