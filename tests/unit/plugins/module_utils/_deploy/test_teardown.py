# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes are deleted for good, also those that PM2 is just starting."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy import teardown
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process

WAITING = Pm2Process("shop-new", 4, None, "waiting restart", 9, 0)
OTHER = Pm2Process("shop-old", 3, 17, "online", 0, 0)
BOOTING = 99


class Story:
    """What PM2 says at each look: its list, and the children that it has beside it. A delete ends a look as well."""

    def __init__(self, *looks: tuple[list[Pm2Process], set[int]]) -> None:
        self.looks = list(looks)
        self.deleted = 0

    def _next(self) -> tuple[list[Pm2Process], set[int]]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def processes(self) -> list[Pm2Process]:
        return [*self.looks[0][0], OTHER]

    def unlisted(self, _processes: Iterable[Pm2Process]) -> set[int]:
        return self._next()[1]

    def run(self, *arguments: str, stops: Iterable[Pm2Process]) -> None:
        assert (arguments, list(stops)) == (("delete", "4"), [WAITING])
        self.deleted += 1
        self._next()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teardown, "_DELETE_PAUSE", 0)


def test_one_that_was_booting_is_deleted_again_when_it_is_listed_again() -> None:
    booting: tuple[list[Pm2Process], set[int]] = ([], {BOOTING})
    client = Story(([WAITING], set()), booting, booting, booting, ([WAITING], set()), ([], set()))
    teardown._delete(client, "shop-new")
    assert client.deleted == 2


def test_a_child_that_is_never_listed_holds_nothing_up_for_ever() -> None:
    client = Story(([WAITING], set()), ([], {BOOTING}))
    teardown._delete(client, "shop-new")
    assert client.deleted == 1


def test_one_that_stays_is_told() -> None:
    client = Story(([WAITING], set()))
    with pytest.raises(ActivationError, match="does not let go of the processes of shop-new"):
        teardown._delete(client, "shop-new")
