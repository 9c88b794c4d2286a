# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup and a drill do where not all repositories can be read, and what the record says of it."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastBackup
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.pipe import Ended
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_record import load_record
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup import jobs
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.jobs import Jobs
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.repositories import Repositories
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restic import (
    Restic,
    ResticError,
    Snapshot,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.settings import Settings

DAMAGED = "it is damaged."


class Host:
    """Three repositories that take turns, with the labels in each; None where there is no repository."""

    def __init__(self, directory: Path) -> None:
        me = pwd.getpwuid(os.getuid()).pw_name
        given = dict.fromkeys(("shared", "restored", "secrets", "directory"), str(directory))
        settings = Settings(
            "shop", me, **given, repository="/mnt/one", options=(), hour=2, drill_days=7, files_days=28, turns=3
        )
        repositories = Repositories(settings, {"RESTIC_REPOSITORY": "rest:https://keeper/"})
        self.jobs, self.record = Jobs(settings, repositories), settings.record
        self.current = repositories._all.index(repositories.current(time.time()))
        self.labels: dict[int, list[str] | None] = {}
        self.damaged: set[int] = set()

    def number(self, turn: int) -> int:
        """Of the repository, so many turns from now."""
        return (self.current + turn) % 3


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)

    def number(restic: Restic) -> int:
        return int(restic._environment["RESTIC_REPOSITORY"][-2])

    def snapshots(restic: Restic) -> list[Snapshot] | None:
        if number(restic) in made.damaged:
            raise ResticError(DAMAGED)
        labels = made.labels.get(number(restic))
        return None if labels is None else [Snapshot(label, 1.0, restic) for label in labels]

    def store(restic: Restic, *_given: object) -> tuple[str, Ended]:
        made.labels[number(restic)] = [*(made.labels[number(restic)] or []), "new"]
        return "new", Ended(0, "")

    monkeypatch.setattr(Restic, "snapshots", snapshots)
    monkeypatch.setattr(Restic, "store", store)
    monkeypatch.setattr(Restic, "create", lambda restic: made.labels.update({number(restic): []}))
    monkeypatch.setattr(Restic, "unlock", lambda _restic: None)
    monkeypatch.setattr(Restic, "check", lambda _restic: None)
    monkeypatch.setattr(Restic, "fetch", lambda *_given: Ended(0, ""))
    return made


def last(host: Host) -> LastBackup:
    return load_record(host.record).backup


def test_one_that_is_damaged_and_whose_turn_is_over_keeps_no_backup_away(host: Host) -> None:
    host.labels[host.number(0)] = []
    host.jobs.first()
    host.damaged.add(host.number(-1))
    with pytest.raises(StabilityError, match=f"Backup new is made, but repository {host.number(-1)} .*: {DAMAGED}"):
        host.jobs.backup()
    assert host.labels[host.number(0)] == ["new", "new"]
    assert (last(host).label, DAMAGED in last(host).error) == ("new", True)
    assert "Backup new was read" in host.jobs.drill()
    host.damaged.clear()
    host.jobs.backup()
    assert last(host).error == ""


def test_a_turn_begins_where_the_one_before_is_damaged(host: Host) -> None:
    host.jobs.first()
    host.labels.clear()
    host.damaged.add(host.number(-1))
    with pytest.raises(StabilityError, match="is made, but"):
        host.jobs.backup()
    assert host.labels[host.number(0)] == ["new"]


def test_the_one_whose_turn_it_is_has_to_be_whole(host: Host) -> None:
    host.jobs.first()
    host.damaged.add(host.number(0))
    with pytest.raises(ResticError, match=f"^{DAMAGED}"):
        host.jobs.backup()
    with pytest.raises(StabilityError, match="can't be read"):
        host.jobs.drill()
    assert host.labels[host.number(0)] == ["new"]


def test_without_a_record_what_can_not_be_read_may_hold_backups(host: Host) -> None:
    host.damaged.add(host.number(-1))
    with pytest.raises(ResticError, match=f"no record of.* run --first`.*{DAMAGED}"):
        host.jobs.backup()
    assert host.labels == {}


def test_a_lost_backup_is_reported_until_a_person_demands_another_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "is_backup_due", lambda *_given: True)
    host.jobs.first()
    host.labels[host.number(0)] = ["older"]
    for _day in range(2):
        with pytest.raises(StabilityError, match="lost the newest backup, new: find out"):
            host.jobs.due()
        assert last(host).lost == "new"
    host.jobs.backup()
    assert last(host).lost == ""
    assert "Backup new was read" in host.jobs.drill()


def test_all_that_is_empty_is_not_taken_for_a_new_one(host: Host) -> None:
    host.jobs.first()
    host.labels.clear()
    with pytest.raises(ResticError, match="is its disk mounted"):
        host.jobs.backup()
    with pytest.raises(StabilityError, match="holds no backup"):
        host.jobs.drill()
