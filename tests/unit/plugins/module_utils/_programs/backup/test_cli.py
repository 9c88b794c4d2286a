# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of the backups takes, and when it finds that something is due."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.backup import LastBackup, LastDrill
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import Backup
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.settings import Settings

DAY = 86400


@pytest.fixture
def commands(tmp_path: Path) -> cli.Commands:
    settings = Settings("web1", "17", 5432, str(tmp_path), full_days=7, drill_days=7, wal_limit=0)
    return cli.Commands(settings, cli.parse(["run", "--if-due"], "/etc/x.json"))


@pytest.mark.parametrize(("days", "due"), [(0.1, False), (6.4, False), (6.6, True), (30, True)])
def test_a_full_backup_is_due_by_its_age_whatever_came_since(commands: cli.Commands, days: float, due: bool) -> None:
    full = Backup("20270101F", True, time.time() - days * DAY, 1, 1, False)
    diff = Backup("20270101F_20270102D", False, time.time(), 1, 1, False)
    assert commands.is_full_due([full, diff]) is due
    assert commands.is_full_due([]) is True


@pytest.mark.parametrize(
    ("backup", "drill", "due"),
    [
        (LastBackup(), LastDrill(), False),
        (LastBackup(1.0, "20270101F"), LastDrill(), True),
        (LastBackup(1.0, "20270101F"), LastDrill(time.time() - DAY, "20270101F"), False),
        (LastBackup(1.0, "20270101F"), LastDrill(time.time() - 7 * DAY, "20270101F"), True),
        (LastBackup(1.0, "20270101F"), LastDrill(time.time(), "20270101F", 1.0, ("A file is missing.",)), True),
    ],
)
def test_a_drill_is_due_by_its_age_or_its_failure_once_there_is_a_backup(
    commands: cli.Commands, backup: LastBackup, drill: LastDrill, due: bool
) -> None:
    assert commands.is_drill_due(backup, drill) is due


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25:00", "2026-11-29 14:00:00 --type=immediate"])
def test_what_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse(["restore", "--time", text], "/etc/x.json")
    assert "is no date and time, such as 2026-11-29 14:00:00" in capsys.readouterr().err


def test_a_time_without_a_zone_is_the_hosts() -> None:
    wanted = cli.parse(["restore", "--time", "2026-11-29 14:00:00"], "/etc/x.json").time
    assert time.localtime(wanted.timestamp())[:6] == (2026, 11, 29, 14, 0, 0)
    assert wanted.utcoffset() is not None
