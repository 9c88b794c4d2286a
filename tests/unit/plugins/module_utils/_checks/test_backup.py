# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a server's backups, by when they were made and proven and how much waits."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import (
    Archiving,
    LastBackup,
    LastDrill,
    Record,
    judge_backups,
    judge_files,
    of_repository,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING

NOW = 1_800_000_000.0
HOUR, DAY, MIB = 3600.0, 86400.0, 1024 * 1024
WELL = Archiving(enabled=True, started=NOW - 30 * DAY, archived=NOW - 60, failed=0, waiting=0)
NEW = Archiving(enabled=True, started=NOW - HOUR, archived=0, failed=0, waiting=0)
BACKUP = LastBackup(NOW - 5 * HOUR, "20270115F")
DRILL = LastDrill(NOW - 2 * DAY, "20270115F", 12.0)
NOTHING = Record(LastBackup(), LastDrill())


def judged(record: Record, archiving: Archiving = WELL) -> dict[str, tuple[str, str]]:
    return {
        each.check.removeprefix("backup."): (each.status, each.message)
        for each in judge_backups(record, archiving, NOW)
    }


@pytest.mark.parametrize(
    ("hours", "error", "status"),
    [
        (5, "", OK),
        (29, "", OK),
        (31, "", WARNING),
        (55, "", CRITICAL),
        (5, "no route.", WARNING),
        (55, "no route.", CRITICAL),
    ],
)
def test_a_backup_is_of_the_last_night(hours: float, error: str, status: str) -> None:
    found = judged(Record(LastBackup(NOW - hours * HOUR, "20270115F", error), DRILL))["newest"]
    assert found[0] == status
    assert ("20270115F" in found[1], error in found[1]) == (True, True)
    assert ("postgresql-backup run" in found[1]) == (status != OK)


def test_a_new_server_need_not_have_a_backup_yet_but_an_old_one() -> None:
    assert [status for status, _message in judged(NOTHING, NEW).values()] == [OK, OK, OK]
    found = judged(NOTHING)
    assert (found["newest"][0], found["restore"][0]) == (CRITICAL, WARNING)
    failed = judged(Record(LastBackup(error="no route."), LastDrill()), NEW)["newest"]
    assert failed[0] == CRITICAL
    assert "no route." in failed[1]


@pytest.mark.parametrize(("days", "status"), [(2, OK), (9.9, OK), (10.1, WARNING), (21.1, CRITICAL)])
def test_a_proof_grows_old(days: float, status: str) -> None:
    assert judged(Record(BACKUP, LastDrill(NOW - days * DAY, "20270115F", 12.0)))["restore"][0] == status


def test_what_a_drill_has_found_is_critical_however_young_the_last_proof_is() -> None:
    found = judged(Record(BACKUP, LastDrill(NOW - HOUR, "20270115F", 12.0, ("A file is missing.",))))["restore"]
    assert found[0] == CRITICAL
    assert "A file is missing." in found[1]


@pytest.mark.parametrize(
    ("waiting", "limit", "status"),
    [
        (0, 0, OK),
        (100, 0, OK),
        (300, 0, WARNING),
        (600, 0, CRITICAL),
        (300, 2048, OK),
        (500, 2048, WARNING),
        (1100, 2048, CRITICAL),
    ],
)
def test_what_waits_is_told_long_before_the_limit(waiting: int, limit: int, status: str) -> None:
    archiving = Archiving(True, WELL.started, NOW - 60, 0, waiting * MIB)
    found = judged(Record(BACKUP, DRILL, 7, limit * MIB), archiving)["archive"]
    assert found[0] == status
    assert ("given up" in found[1]) == (bool(limit) and status != OK)


@pytest.mark.parametrize(("minutes", "status"), [(10, WARNING), (59, WARNING), (61, CRITICAL)])
def test_archiving_that_fails_is_told_before_anything_waits(minutes: float, status: str) -> None:
    found = judged(Record(BACKUP, DRILL), Archiving(True, WELL.started, NOW - 60 * minutes, NOW - 10, 0))["archive"]
    assert found[0] == status
    assert "archiving fails" in found[1]
    # one that knows nothing of before
    assert judged(Record(BACKUP, DRILL), Archiving(True, NOW - 60 * minutes, 0, NOW - 10, 0))["archive"][0] == status
    assert judged(Record(BACKUP, DRILL), Archiving(True, WELL.started, NOW - 10, NOW - 3 * HOUR, 0))["archive"][0] == OK


def test_a_server_that_was_replaced_is_to_have_a_backup_of_its_own() -> None:
    found = judged(dataclasses.replace(Record(BACKUP, DRILL), replaced=BACKUP.made + HOUR))["newest"]
    assert (found[0], "the server was replaced" in found[1]) == (WARNING, True)
    assert judged(dataclasses.replace(Record(BACKUP, DRILL), replaced=BACKUP.made - HOUR))["newest"][0] == OK


def test_changes_that_were_given_up_are_critical_until_there_is_a_backup() -> None:
    lost = judged(Record(BACKUP, DRILL, given_up=BACKUP.made + HOUR))["newest"]
    assert lost[0] == CRITICAL
    assert "given up 4 hours ago" in lost[1]
    assert judged(Record(BACKUP, DRILL, given_up=BACKUP.made - HOUR))["newest"][0] == OK


@pytest.mark.parametrize(
    ("error", "given_up", "replaced", "status", "says"),
    [
        ("", 0, 0, WARNING, "Set the clock right"),
        ("", 0, NOW - HOUR, WARNING, "Set the clock right"),
        ("the label is not later.", 0, NOW - HOUR, CRITICAL, "The last attempt failed: the label is not later."),
        ("", NOW - HOUR, 0, CRITICAL, "Changes were given up 60 minutes ago"),
    ],
    ids=["alone", "replaced", "refused", "given up"],
)
def test_by_a_backup_of_a_time_to_come_nothing_is_measured(
    error: str, given_up: float, replaced: float, status: str, says: str
) -> None:
    ahead = LastBackup(NOW + DAY, "20270115F", error)
    found = judged(Record(ahead, DRILL, given_up=given_up, replaced=replaced))["newest"]
    assert (found[0], says in found[1], "docs/backup.md" in found[1]) == (status, True, True), found


def test_a_lost_backup_is_critical_however_young_the_newest_one_is() -> None:
    found = judged(Record(dataclasses.replace(BACKUP, lost="20270114F"), DRILL))["newest"]
    assert (found[0], "has lost backup 20270114F" in found[1]) == (CRITICAL, True)
    assert "`postgresql-backup run`" in found[1]


@pytest.mark.parametrize(
    ("newest", "missing"),
    [
        ("20270108-020000F_20270114-020000D", ""),
        ("20270108-020000F_20270115-020000D", ""),
        ("20270115-030000F", ""),
        ("20270108-020000F_20270113-020000D", "20270108-020000F_20270114-020000D"),
        ("20270108-020000F", "20270108-020000F_20270114-020000D"),
        ("20270101-020000F_20270107-020000D", "20270108-020000F_20270114-020000D"),
    ],
    ids=["the same", "a later one", "a later full one", "an earlier one", "its full one", "of an earlier full one"],
)
def test_labels_tell_what_a_repository_has_lost(newest: str, missing: str) -> None:
    assert LastBackup(NOW, "20270108-020000F_20270114-020000D").missing(newest) == missing


def test_a_server_that_archives_nothing_is_critical() -> None:
    assert judged(Record(BACKUP, DRILL), Archiving(False, WELL.started, 0, 0, 0))["archive"][0] == CRITICAL


@pytest.mark.parametrize(
    ("record", "begun", "statuses"),
    [
        (NOTHING, NOW - HOUR, [OK, OK]),
        (NOTHING, NOW - 5 * DAY, [CRITICAL, WARNING]),
        (Record(BACKUP, DRILL), NOW - 5 * DAY, [OK, OK]),
        (Record(dataclasses.replace(BACKUP, error="no route."), DRILL), NOW, [WARNING, OK]),
        (Record(BACKUP, dataclasses.replace(DRILL, problems=("It is damaged.",))), NOW, [OK, CRITICAL]),
    ],
    ids=["new", "never made", "all is well", "failed", "damaged"],
)
def test_backups_of_files_are_judged_alike_and_have_a_command_of_their_own(
    record: Record, begun: float, statuses: list[str]
) -> None:
    found = list(judge_files(record, begun, NOW, "shop-backup"))
    assert [(each.check, each.status) for each in found] == list(
        zip(("files.newest", "files.restore"), statuses, strict=True)
    )
    assert all(("`shop-backup " in each.message) == (each.status != OK) for each in found)


def test_what_is_known_of_a_repository_says_nothing_of_another_one() -> None:
    record = Record(
        dataclasses.replace(BACKUP, repository="/mnt/one"), dataclasses.replace(DRILL, repository="/mnt/one")
    )
    assert of_repository(record, "/mnt/one", NOW) == record
    other = of_repository(record, "/mnt/two", NOW)
    assert judged(other) == {
        "newest": (OK, "there is no backup in /mnt/two yet; the first one is made soon"),
        "restore": (OK, "no backup has been proven yet; the first drill is made soon"),
        "archive": judged(record)["archive"],
    }
    old = dataclasses.replace(other, backup=dataclasses.replace(other.backup, begun=NOW - 3 * DAY))
    assert [status for status, _message in judged(old).values()] == [CRITICAL, WARNING, OK]


def test_a_record_that_names_no_repository_is_of_the_one_in_use() -> None:
    found = of_repository(Record(BACKUP, DRILL), "/mnt/one", NOW)
    assert (found.backup.label, found.backup.repository, found.drill.repository) == (
        BACKUP.label,
        "/mnt/one",
        "/mnt/one",
    )
