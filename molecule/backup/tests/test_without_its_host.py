# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is gone, and a new, empty one has its name and the disk of its backups; the last tests on the old one."""

from __future__ import annotations

from pathlib import Path

import pytest
from backup import REPOSITORY, backup, backups, findings
from databases import sql
from hosts import HOST, container_of, host_of, playbook, podman, power_off
from prediction import play
from waiting import until

INVENTORY = "--inventory=molecule/backup/inventory"
UPLOAD = "/srv/workbot/shared/uploads/a.txt"
ARCHIVED = "SELECT coalesce(max(last_archived_wal), '') >= '{file}' FROM pg_stat_archiver"


@pytest.fixture(scope="module", autouse=True)
def restored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the one command says."""
    disk: Path = tmp_path_factory.mktemp("disk")
    old = host_of(HOST)
    sql(old, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n")
    old.check_output(f"runuser -u workbot -- sh -c 'echo uploaded >{UPLOAD}'")
    old.check_output("postgresql-backup run && workbot-file-backup run")
    # what no backup has, but the archive
    sql(old, "INSERT INTO kept VALUES (1001)")
    file = sql(old, "SELECT pg_walfile_name(pg_switch_wal())")
    until("it is archived", lambda: sql(old, ARCHIVED.format(file=file)) == "t")
    power_off(HOST)
    container = container_of(HOST)
    podman("cp", f"{container}:/srv/backup", str(disk))
    made = playbook("molecule/default/cleanup.yml", {})
    assert (made.communicate()[0], made.returncode)[1] == 0
    podman("cp", str(disk / "backup"), f"{container}:/srv/")
    # as the user's number of another host may be
    host_of(HOST).check_output(f"chown -R 4242:4242 {REPOSITORY}")
    run = playbook("workbot.stability.restore_host", {}, INVENTORY)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    return output


def test_the_database_is_there_with_its_last_commit_and_the_files(restored: str) -> None:
    host = host_of(HOST)
    assert sql(host, "SELECT count(*) || ' ' || max(n) FROM kept") == "1001 1001"
    assert (host.file(UPLOAD).content_string, host.file(UPLOAD).user) == ("uploaded\n", "workbot")
    assert "The server is the one of the repository, as it was at" in restored
    assert "/srv/workbot/shared has the files as they were at" in restored


def test_the_service_had_them_before_it_started(restored: str) -> None:
    assert restored.index("Restore the service's files") < restored.index("PLAY [Provision the service]")


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


def test_a_host_that_has_backups_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    assert play(tmp_path, INVENTORY, name="restore_host").changed == []
