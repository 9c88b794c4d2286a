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

WAITING = Pm2Process("shop-new", 4, None, "waiting restart", 9, 0, settings={"prev_restart_delay": 1135})
OTHER = Pm2Process("shop-old", 3, 17, "online", 0, 0)
BOOTING = 99


class Story:
    """What PM2 lists and has beside its list, each for so long after what was before; time goes by as it is slept."""

    def __init__(self, *parts: tuple[float, list[Pm2Process], set[int]]) -> None:
        self.parts = list(parts)
        self.now = self.began = 0.0
        self.deleted = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _part(self) -> tuple[float, list[Pm2Process], set[int]]:
        while len(self.parts) > 1 and self.now - self.began >= self.parts[0][0]:
            self.began += self.parts.pop(0)[0]
        return self.parts[0]

    def processes(self) -> list[Pm2Process]:
        return [*self._part()[1], OTHER]

    def starting(self, _processes: Iterable[Pm2Process]) -> set[int]:
        return self._part()[2]

    def run(self, *arguments: str, stops: Iterable[Pm2Process]) -> None:
        assert arguments[0] == "delete"
        assert OTHER not in list(stops)
        self.deleted += 1
        if len(self.parts) > 1:
            self.parts.pop(0)
        self.began = self.now


def deletes(monkeypatch: pytest.MonkeyPatch, *parts: tuple[float, list[Pm2Process], set[int]]) -> Story:
    story = Story(*parts)
    monkeypatch.setattr(teardown, "time", story)
    teardown.delete_processes(story, "shop-new")  # type: ignore[arg-type]
    return story


def test_what_is_online_is_deleted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    story = deletes(monkeypatch, (9, [Pm2Process("shop-new", 4, 5, "online", 0, 0)], set()), (9, [], set()))
    assert (story.deleted, story.now) == (1, 0)


def test_what_is_not_there_is_looked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deletes(monkeypatch, (9, [], set())).deleted == 0


def test_one_that_comes_back_after_its_back_off_is_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PM2 7.0.4 does with one that was deleted while it was being started: nothing for 1.7 s, then it boots."""
    story = deletes(
        monkeypatch, (9, [WAITING], set()), (1.7, [], set()), (3, [], {BOOTING}), (9, [WAITING], set()), (9, [], set())
    )
    assert story.deleted == 2


def test_a_child_that_is_never_listed_holds_nothing_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deletes(monkeypatch, (9, [WAITING], set()), (9, [], {BOOTING})).deleted == 1


def test_one_that_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ActivationError, match="does not let go of the processes of shop-new"):
        deletes(monkeypatch, (9, [WAITING], set()))
