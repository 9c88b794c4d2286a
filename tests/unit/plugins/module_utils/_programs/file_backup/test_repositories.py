# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories that take turns."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.repositories import Repositories
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restic import (
    Restic,
    ResticError,
    Snapshot,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.settings import Settings

DAY = 24 * 3600
REPOSITORY = "rest:https://keeper:8433/shop.app1/"


def repositories(turns: int) -> Repositories:
    given = dict.fromkeys(("service", "user", "shared", "restored", "secrets", "directory"), "/x")
    settings = Settings(**given, repository="/mnt/one", options=(), hour=2, drill_days=7, files_days=28, turns=turns)
    return Repositories(settings, {"RESTIC_REPOSITORY": REPOSITORY})


def place(restic: Restic) -> str:
    return restic._environment["RESTIC_REPOSITORY"]


def test_each_is_in_use_for_as_long_as_backups_are_kept() -> None:
    three = repositories(3)
    used = [place(three.current(day * DAY)) for day in (0, 27, 28, 56, 83, 84)]
    assert used == [f"{REPOSITORY}{turn}/" for turn in (0, 0, 1, 2, 2, 0)]


def test_one_of_its_own_is_always_the_same() -> None:
    assert {place(repositories(1).current(day * DAY)) for day in (0, 28, 56)} == {REPOSITORY}


def test_the_backups_of_all_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, list[float] | None] = {"0": [3.0, 4.0], "1": None, "2": [1.0]}

    def snapshots(restic: Restic) -> list[Snapshot] | None:
        begun = kept[place(restic)[-2]]
        return None if begun is None else [Snapshot(f"at {each}", each, restic) for each in begun]

    monkeypatch.setattr(Restic, "snapshots", snapshots)
    found, problems = repositories(3).snapshots()
    assert [(each.begun, place(each.repository)[-2]) for each in found] == [(1.0, "2"), (3.0, "0"), (4.0, "0")]
    assert problems == []
    kept.update(dict.fromkeys(kept))
    assert repositories(3).snapshots() == ([], [])


def test_one_that_can_not_be_read_keeps_nobody_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshots(restic: Restic) -> list[Snapshot]:
        if place(restic).endswith(("/1/", "app1/")):
            raise ResticError("it is damaged.")
        return [Snapshot("32ec5651", 1.0, restic)]

    monkeypatch.setattr(Restic, "snapshots", snapshots)
    found, problems = repositories(3).snapshots()
    assert ([place(each.repository)[-2] for each in found], problems) == (
        ["0", "2"],
        ["repository 1 can't be read: it is damaged."],
    )
    assert repositories(1).snapshots() == ([], ["it is damaged."])


def test_what_is_old_is_removed_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[int] = []
    monkeypatch.setattr(Restic, "forget", lambda _restic, days: removed.append(days))
    repositories(3).forget()
    repositories(1).forget()
    assert removed == [28]
