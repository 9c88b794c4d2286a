# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer's backups do about what is in the repository, and what is not any more."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import types
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastBackup
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import Backup, BackupError
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import jobs as jobs_module
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import state as state_module
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.jobs import Jobs
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.state import Demand, State
from backup_repository import settings_below

NOON = datetime.datetime(2027, 1, 15, 12).astimezone().timestamp()
HOUR, DAY = 3600.0, 86400.0


def made(ended: float, *, full: bool = False) -> Backup:
    """Its label is as pgBackRest has them, of the day's full backup or one of that."""
    label = f"{datetime.datetime.fromtimestamp(ended):%Y%m%d-%H%M%S}"
    return Backup(f"{label}F" if full else f"20270114-020000F_{label}D", full, ended, 1, 1, False, True, "17")


FULL, OLDER, NEWEST = made(NOON - 34 * HOUR, full=True), made(NOON - 3 * HOUR), made(NOON - 2 * HOUR)


@dataclasses.dataclass
class Repository:
    """pgBackRest, as far as a backup asks it."""

    there: list[Backup]
    error: str = ""
    now: float = NOON
    kinds: list[bool] = dataclasses.field(default_factory=list)

    def backups(self) -> list[Backup]:
        return [*self.there]

    def backup(self, full: bool) -> None:
        if self.error:
            raise BackupError(self.error)
        self.kinds.append(full)
        self.there.append(made(self.now, full=full))


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository([FULL, OLDER, NEWEST])
    monkeypatch.setattr(jobs_module, "pgbackrest_of", lambda _settings: found)
    monkeypatch.setattr(jobs_module, "time", types.SimpleNamespace(time=lambda: found.now))
    return found


@pytest.fixture
def state(tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> State:
    """On record is the newest one that there is."""
    monkeypatch.setattr(state_module, "as_owner", contextlib.nullcontext)
    found = State(settings_below(tmp_path))
    found.keep(LastBackup(repository.there[-1].ended, repository.there[-1].label))
    return found


@pytest.fixture
def jobs(tmp_path: Path, state: State) -> Jobs:
    assert state
    return Jobs(settings_below(tmp_path))


def test_a_lost_backup_is_on_record_until_a_person_demands_another_one(
    jobs: Jobs, state: State, repository: Repository
) -> None:
    repository.there.remove(NEWEST)
    repository.error = "no route."
    with pytest.raises(BackupError):
        jobs.backup()
    assert state.record.backup == LastBackup(NEWEST.ended, NEWEST.label, "no route.", NEWEST.label)
    repository.error = ""
    # not due, but lost; then there is one
    for _hour in range(2):
        jobs.backup()
        assert state.record.backup == LastBackup(NOON, repository.there[-1].label, "", NEWEST.label)
        assert repository.there[:-1] == [FULL, OLDER]
    repository.now += HOUR
    state.demand("backup", Demand())
    jobs.backup()
    assert state.record.backup == LastBackup(NOON + HOUR, repository.there[-1].label)


def test_what_is_old_may_go(jobs: Jobs, state: State, repository: Repository) -> None:
    """By its age, or by hand."""
    del repository.there[:-1]
    jobs.backup()
    assert repository.there == [NEWEST]
    repository.there = [made(NOON - HOUR, full=True)]
    jobs.backup()
    assert state.record.backup == LastBackup(NOON - HOUR, repository.there[0].label)


def test_an_empty_repository_is_not_taken_for_one_that_has_lost_something(
    jobs: Jobs, state: State, repository: Repository
) -> None:
    repository.there.clear()
    with pytest.raises(BackupError, match="is its disk mounted"):
        jobs.backup()
    assert state.record.backup.lost == ""


def test_after_an_upgrade_a_full_backup_is_due_and_those_of_before_are_none_of_this_server(
    jobs: Jobs, state: State, repository: Repository
) -> None:
    repository.there = [dataclasses.replace(backup, current=False) for backup in repository.there]
    jobs.backup()
    assert repository.kinds == [True]
    assert state.record.backup == LastBackup(NOON, repository.there[-1].label)
