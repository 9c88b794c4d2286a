# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role backup sets up, and that a run keeps it so: who may read what, when what is made, what is archived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from backup import COMMAND, REPOSITORY, STATE, another_repository, backup, backups, fails, findings, state
from databases import sql
from drift_kinds import UNITS, Drift, disabled, is_mode, says
from hosts import playbook, put
from prediction import differences, play, touched
from prediction import state as state_of
from repairs import assert_predicted_and_repaired
from testinfra.host import Host

INVENTORY = "--inventory=molecule/backup/inventory"
OPTIONS = (INVENTORY, "--tags=backup")
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"
SETTINGS = "/etc/postgresql/*/main/conf.d/postgresql-backup.conf"
INSTALL, ARCHIVE = "Install the backup command", "Have the server archive"
PASSPHRASE = "a-passphrase-for-tests-alone"

DRIFTS = {
    "pgBackRest's settings edited": Drift(
        f"sed -i /start-fast/d {CONFIGURATION}", INSTALL, CONFIGURATION, f"grep start-fast=y {CONFIGURATION}"
    ),
    "the passphrase for everybody": Drift(
        f"chmod 0644 {CONFIGURATION}", INSTALL, CONFIGURATION, is_mode(CONFIGURATION, "root:640")
    ),
    "the command gone": Drift(
        f"rm /usr/local/bin/{COMMAND}", INSTALL, f"/usr/local/bin/{COMMAND}", f"{COMMAND} status"
    ),
    "the drill unlimited": Drift(
        f"sed -i /MemoryMax/d {UNITS}/postgresql-backup-drill.service",
        INSTALL,
        "postgresql-backup-drill.service",
        f"grep MemoryMax=512M {UNITS}/postgresql-backup-drill.service",
    ),
    "the backups' timer disabled": disabled("postgresql-backup.timer", INSTALL),
    "the drill's timer stopped": Drift(
        "systemctl stop postgresql-backup-drill.timer",
        INSTALL,
        "postgresql-backup-drill.timer stopped",
        "systemctl is-active postgresql-backup-drill.timer",
    ),
    "the repository the service's": Drift(
        f"chown workbot {REPOSITORY}", INSTALL, REPOSITORY, is_mode(REPOSITORY, "postgres:750")
    ),
    "nothing archived": Drift(
        f"sed -i s/postgresql-backup.pgbackrest_archive/true/ {SETTINGS} && systemctl reload postgresql",
        ARCHIVE,
        "postgresql-backup.conf",
        says("SELECT current_setting('archive_command') ~ 'pgbackrest_archive'", "t"),
    ),
}


def test_the_passphrase_is_the_servers_alone(host: Host) -> None:
    assert host.file(CONFIGURATION).contains(PASSPHRASE)
    assert (host.file(CONFIGURATION).mode, host.file(CONFIGURATION).group) == (0o640, "postgres")
    for user in ("workbot", "nobody"):
        assert host.run("runuser -u %s -- cat %s", user, CONFIGURATION).rc != 0
        assert host.run("runuser -u %s -- ls %s", user, REPOSITORY).rc != 0


def test_a_backup_is_made_and_kept_from_others(host: Host, numbers: str) -> None:
    sql(host, f"ALTER TABLE {numbers} ADD secret text DEFAULT 'plainly-readable'")
    backup(host, "run", "--full")
    backup(host, "run")
    newest, before = backups(host)[-1], backups(host)[-2]
    assert (before["type"], newest["type"]) == ("full", "diff")
    assert state(host, "backup")["label"] == newest["label"]
    # changes are compressed before they are encrypted: the repository's own catalogue is text where it is not
    assert host.run("grep -r -l -a -e plainly-readable -e backup-label %s", REPOSITORY).stdout == ""
    assert findings(host)["backup.newest"]["status"] == "ok"


def test_backups_by_hand_take_no_day_from_what_can_be_restored(host: Host) -> None:
    oldest = backups(host)[0]["label"]
    for _time in range(5):
        backup(host, "run", "--full")
    assert backups(host)[0]["label"] == oldest


def test_the_timers_come_and_find_whether_one_is_due(host: Host) -> None:
    listed = host.check_output("systemctl list-timers 'postgresql-backup*' --no-legend")
    assert listed.count("postgresql-backup") == 4
    backup(host, "run", "--full")
    count = len(backups(host))
    host.check_output("systemctl start postgresql-backup.service")
    assert len(backups(host)) == count


def test_an_empty_repository_is_not_taken_for_a_new_one(host: Host) -> None:
    """As below a mount point whose disk is missing: backups would fill the server's own disk, and be lost with it."""
    backup(host, "run")
    with another_repository(host):
        assert "is its disk mounted?" in fails(host, "run")
        assert host.check_output("ls %s", REPOSITORY) == ""
        assert findings(host)["backup.newest"]["status"] == "warning"
        backup(host, "run", "--first")
        assert len(backups(host)) == 1
    backup(host, "run")
    assert findings(host)["backup.newest"]["status"] == "ok"


@pytest.mark.usefixtures("made")
def test_one_that_is_ended_is_not_said_to_be_made(host: Host) -> None:
    """By systemd, an administrator or the kernel: it can leave no word of that."""
    before, limit = backups(host), "/run/systemd/system/postgresql-backup.service.d/limit.conf"
    put(host, limit, "[Service]\nTimeoutStartSec=1\n")
    try:
        host.check_output("systemctl daemon-reload")
        assert "timeout was exceeded" in fails(host, "run", "--full")
    finally:
        host.check_output(f"rm {limit} && systemctl daemon-reload && systemctl reset-failed postgresql-backup")
    assert backups(host) == before


def test_the_service_can_stop_no_backup(host: Host) -> None:
    """pgBackRest does nothing while a file of that name lies in its directory, which usually is one of /tmp."""
    host.check_output(
        "runuser -u workbot -- mkdir -p /tmp/pgbackrest && runuser -u workbot -- touch /tmp/pgbackrest/all.stop"
    )
    try:
        backup(host, "run")
    finally:
        host.check_output("rm -rf /tmp/pgbackrest")


def test_every_change_is_archived_within_two_minutes(host: Host, numbers: str) -> None:
    sql(host, f"INSERT INTO {numbers} VALUES (0)")
    file = sql(host, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    host.check_output(
        "for n in $(seq 180); do ls %s/archive/*/*/*/%s-* && exit; sleep 1; done; exit 1", REPOSITORY, file
    )


def started(host: Host) -> str:
    return sql(host, "SELECT pg_postmaster_start_time()")


def test_a_second_run_changes_nothing_and_restarts_nothing(host: Host, tmp_path: Path) -> None:
    before, since = state_of(host), started(host)
    assert play(tmp_path, *OPTIONS).changed == []
    assert touched(before, state_of(host)) == []
    assert started(host) == since


def test_what_has_drifted_is_predicted_and_repaired(host: Host, tmp_path: Path) -> None:
    assert_predicted_and_repaired(host, DRIFTS, tmp_path, *OPTIONS)


@pytest.fixture
def back(tmp_path: Path) -> Iterator[None]:
    yield
    play(tmp_path / "back", *OPTIONS)


def test_a_service_that_asks_for_none_leaves_those_of_the_host_alone(host: Host, tmp_path: Path) -> None:
    before = state_of(host)
    assert play(tmp_path, *OPTIONS, variables={"backup_directory": ""}).changed == []
    assert touched(before, state_of(host)) == []


@pytest.mark.usefixtures("back")
def test_what_is_removed_archives_nothing_and_loses_no_backup(host: Host, made: str, tmp_path: Path) -> None:
    """A server that archives without a command for it keeps every change, until its disk is full."""
    gone = {"backup_removed": True}
    check = play(tmp_path, "--check", *OPTIONS, variables=gone)
    assert differences(check, play(tmp_path, *OPTIONS, variables=gone)) == []
    assert sql(host, "SHOW archive_mode") == "off"
    assert not host.file(f"/usr/local/bin/{COMMAND}").exists
    assert not host.file(STATE).exists
    assert host.check_output("systemctl list-units --all --no-legend 'postgresql-backup*'") == ""
    assert play(tmp_path / "again", *OPTIONS, variables=gone).changed == []
    play(tmp_path / "back", *OPTIONS)
    assert sql(host, "SHOW archive_mode") == "on"
    assert made in [each["label"] for each in backups(host)]


def test_a_foreign_archive_is_not_ended(host: Host) -> None:
    file = "/etc/postgresql/$(ls /etc/postgresql)/main/conf.d/another.conf"
    host.check_output(f"""echo "archive_command = 'true'" >{file}""")
    try:
        before = state_of(host)
        run = playbook("workbot.stability.site", {}, *OPTIONS)
        output = " ".join(run.communicate()[0].split())
        assert run.returncode == 2, output
        assert "conf.d/another.conf would be overridden: remove it there" in output
        assert touched(before, state_of(host)) == []
    finally:
        host.check_output(f"rm {file}")
