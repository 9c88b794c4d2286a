# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is gone, and a new, empty one has its name and the disk of its backups; the last tests on the old one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from backup import REPOSITORY, STATE, backup, backups, findings, now, restored_sql
from databases import sql
from hosts import HOST, container_of, host_of, playbook, podman, power_off
from prediction import play, touched
from prediction import state as state_of
from testinfra.host import Host
from waiting import until

INVENTORY = "--inventory=molecule/backup/inventory"
UPLOAD = "/srv/workbot/shared/uploads/a.txt"
ARCHIVED = "SELECT coalesce(max(last_archived_wal), '') >= '{file}' FROM pg_stat_archiver"
# That there is nothing to restore any more is known by these.
KNOWN = f"{STATE}/backup.json /var/lib/postgresql/*/past.json"


@dataclasses.dataclass(frozen=True)
class Said:
    """What the one command says, time after time, and whether it had changed the empty host before it refused."""

    without_backups: str
    is_bare: bool
    predicted: str
    with_another_passphrase: str
    restored: str
    moment: str
    """On the old host, before the last commit."""


def restore_host(status: int, *options: str, **variables: str) -> str:
    run = playbook("workbot.stability.restore_host", variables, INVENTORY, *options)
    output = run.communicate()[0]
    assert run.returncode == status, output
    return " ".join(output.split())


def is_bare(host: Host) -> bool:
    return bool(host.run("ls -d /srv/workbot /etc/postgresql /etc/pgbackrest").stdout == "")


@pytest.fixture(scope="module", autouse=True)
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    disk: Path = tmp_path_factory.mktemp("disk")
    old = host_of(HOST)
    sql(old, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n")
    old.check_output(f"runuser -u workbot -- sh -c 'echo uploaded >{UPLOAD}'")
    old.check_output("postgresql-backup run && workbot-file-backup run")
    moment = now(old)
    # what no backup has, but the archive
    sql(old, "INSERT INTO kept VALUES (1001)")
    file = sql(old, "SELECT pg_walfile_name(pg_switch_wal())")
    until("it is archived", lambda: sql(old, ARCHIVED.format(file=file)) == "t")
    power_off(HOST)
    container = container_of(HOST)
    podman("cp", f"{container}:/srv/backup", str(disk))
    made = playbook("molecule/default/cleanup.yml", {})
    assert (made.communicate()[0], made.returncode)[1] == 0
    host = host_of(HOST)
    without_backups = restore_host(2)
    podman("cp", str(disk / "backup"), f"{container}:/srv/")
    # as the user's number of another host may be
    host.check_output(f"chown -R 4242:4242 {REPOSITORY}")
    predicted = restore_host(0, "--check")
    untouched = is_bare(host)
    another = restore_host(2, backup_passphrase="another-passphrase-for-tests")
    return Said(without_backups, untouched, predicted, another, restore_host(0), moment)


def test_without_backups_nothing_is_changed(said: Said) -> None:
    assert "the repository has no backup of the database server" in said.without_backups
    assert said.is_bare


def test_another_passphrase_is_said_to_be_one(said: Said) -> None:
    assert "its passphrase is another one" in said.with_another_passphrase


def test_the_database_is_there_with_its_last_commit_and_the_files(said: Said) -> None:
    host = host_of(HOST)
    assert sql(host, "SELECT count(*) || ' ' || max(n) FROM kept") == "1001 1001"
    assert (host.file(UPLOAD).content_string, host.file(UPLOAD).user) == ("uploaded\n", "workbot")
    assert "The server is the one of the repository, as it was at" in said.restored
    assert "/srv/workbot/shared has the files as they were at" in said.restored


def test_the_service_had_them_before_it_started(said: Said) -> None:
    assert said.restored.index("Restore the service's files") < said.restored.index("PLAY [Provision the service]")


def test_its_backups_go_on_in_the_same_repository() -> None:
    host = host_of(HOST)
    count = len(backups(host))
    backup(host, "run")
    assert len(backups(host)) == count + 1
    assert "found good" in backup(host, "drill")
    assert {name: found["status"] for name, found in findings(host).items()} == {
        "backup.newest": "ok",
        "backup.restore": "ok",
        "backup.archive": "ok",
    }
    assert host.run("workbot-file-backup drill").rc == 0
    assert host.run("ls -d /var/lib/postgresql/*/replaced /srv/workbot/restored").rc != 0
    assert host.run("systemctl list-units --failed --no-legend").stdout == ""


def test_a_time_of_the_lost_host_is_within_reach(said: Said) -> None:
    host = host_of(HOST)
    backup(host, "restore", "--time", said.moment)
    assert restored_sql(host, "SELECT count(*) FROM kept") == "1000"
    backup(host, "forget")


def test_a_host_that_has_backups_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    assert play(tmp_path, INVENTORY, name="restore_host").changed == []


def test_a_host_that_is_not_empty_is_refused_before_anything_changes() -> None:
    host = host_of(HOST)
    host.check_output(f"mkdir /root/known && cp --preserve --parents {KNOWN} /root/known && rm {KNOWN}")
    before = state_of(host)
    try:
        assert "the running server is not empty: database workbot has rows in public." in restore_host(2)
        assert touched(before, state_of(host)) == []
    finally:
        host.check_output("cp --preserve --recursive /root/known/. / && rm -r /root/known")


# The server of a new host, and a command that is killed while it restores.
EMPTY = f"""
data=$(ls -d /var/lib/postgresql/*/main); version=$(basename $(dirname $data))
systemctl stop postgresql-backup.timer postgresql-backup.service postgresql-backup-drill.timer postgresql@$version-main
rm -r $data {KNOWN}
runuser -u postgres -- /usr/lib/postgresql/$version/bin/initdb -D $data --auth=peer
systemctl start postgresql@$version-main
"""
KILLED = """
systemd-run --quiet --collect --unit=rebuilds postgresql-backup rebuild
for look in $(seq 3000); do ls -d /var/lib/postgresql/*/restored/data/base && break; sleep 0.01; done
systemctl kill --signal=KILL rebuilds postgresql-restored
"""


def test_one_that_was_killed_is_repeated() -> None:
    host = host_of(HOST)
    host.check_output(EMPTY)
    host.check_output(KILLED)
    until("it has ended", lambda: host.run("systemctl is-active rebuilds postgresql-restored").rc != 0)
    assert sql(host, "SELECT count(*) FROM pg_database WHERE datname = 'workbot'", "postgres") == "0"
    backup(host, "rebuild")
    assert sql(host, "SELECT count(*) FROM kept") == "1001"
    assert "nothing to do" in backup(host, "rebuild")
    host.check_output("systemctl start postgresql-backup.timer postgresql-backup-drill.timer")
    sql(host, "DROP TABLE kept")
