# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill finds wrong, by what the repository, the running and the restored server say; molecule has real ones."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastBackup
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import Backup
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import drill as drill_module
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.drill import Drill
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.server import Restored
from backup_repository import settings_below

BACKUPS = [Backup(f"2027011{day}F", True, float(day), 1, 1, False, True, "17") for day in (4, 5)]
KNOWN = LastBackup(5.0, BACKUPS[-1].label)
INDEX = "public.orders_pkey"


@dataclasses.dataclass
class Server:
    """One with a database; its indexes may be others at each question, the last ones stay."""

    id: str = "7713"
    valid: list[set[str]] = dataclasses.field(default_factory=lambda: [{INDEX}])
    invalid: set[str] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def __call__(self, _database: str = "") -> Iterator[Server]:
        yield self

    def execute(self, _statement: str) -> None:
        pass

    def one(self, statement: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self.query(statement, parameters)[0]

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if "pg_database" in statement:
            return [{"name": "shop"}]
        if "pg_control_system" in statement:
            return [{"id": self.id}]
        if "pg_index" in statement:
            assert parameters
            return [{"name": name} for name in (self._valid() if parameters["valid"] else self.invalid)]
        return [{"whole": True, "until": None}] if "pg_last_wal_replay_lsn" in statement else []

    def _valid(self) -> set[str]:
        return self.valid.pop(0) if len(self.valid) > 1 else self.valid[0]


@dataclasses.dataclass
class Repository:
    there: list[Backup]
    options: Sequence[str] = ()

    def backups(self) -> list[Backup]:
        return self.there

    def restore(self, _directory: str, options: Sequence[str], *, fleeting: bool) -> None:
        assert fleeting
        self.options = options


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository([*BACKUPS])
    monkeypatch.setattr(drill_module, "pgbackrest_of", lambda _settings: found)
    return found


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(drill_module, "to_running", lambda _settings, database="": found(database))
    monkeypatch.setattr(drill_module, "archive_now", lambda _client: ("0/1", True))
    monkeypatch.setattr(drill_module, "run", lambda *_argv, **_options: None)
    return found


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(Restored, "prepare", lambda _self, _size: None)
    monkeypatch.setattr(Restored, "running", lambda _self: contextlib.nullcontext())
    monkeypatch.setattr(Restored, "session", lambda _self, database="": found(database))
    return found


def problems(home: Path, known: LastBackup = KNOWN) -> list[str]:
    """What a drill finds."""
    drill = Drill(settings_below(home), known)
    drill.run()
    return drill.problems


@pytest.mark.usefixtures("running", "restored")
def test_all_is_well(tmp_path: Path, repository: Repository) -> None:
    assert problems(tmp_path) == []
    assert repository.options == [f"--set={BACKUPS[-1].label}"]


@pytest.mark.usefixtures("running", "restored", "repository")
@pytest.mark.parametrize("known", [LastBackup(6.0, "20270116F"), LastBackup(5.0, "20270115F", lost="20270116F")])
def test_a_backup_that_was_lost_is_critical_also_when_there_is_another_one(tmp_path: Path, known: LastBackup) -> None:
    found = problems(tmp_path, known)
    assert [problem.partition(";")[0] for problem in found] == ["The repository has lost the newest backup, 20270116F"]


@pytest.mark.usefixtures("running", "restored")
def test_a_backup_of_the_server_before_an_upgrade_proves_nothing(tmp_path: Path, repository: Repository) -> None:
    repository.there[-1] = dataclasses.replace(BACKUPS[-1], current=False)
    assert problems(tmp_path) == []
    assert repository.options == [f"--set={BACKUPS[0].label}"]
    del repository.there[0]
    assert problems(tmp_path) == ["The repository holds no backup of the server since it was replaced or upgraded."]


@pytest.mark.usefixtures("running", "repository")
def test_another_server_that_was_restored_is_none_of_this_one(tmp_path: Path, restored: Server) -> None:
    restored.id = "4711"
    assert "its system identifier is 4711; expected 7713" in problems(tmp_path)[0]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("valid", "is_problem"),
    [([{INDEX}], True), ([set(), {INDEX}], False), ([{INDEX}, set()], False), ([set()], False)],
    ids=["all the time", "made meanwhile", "dropped meanwhile", "never"],
)
def test_an_index_has_to_be_valid_that_is_so_in_the_running_server_all_the_time(
    tmp_path: Path, running: Server, restored: Server, valid: list[set[str]], is_problem: bool
) -> None:
    running.valid, restored.invalid = [*valid], {INDEX}
    expected = [f"Indexes are invalid in what was restored: shop.{INDEX}."]
    assert problems(tmp_path) == (expected if is_problem else [])
