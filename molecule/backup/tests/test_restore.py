# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backups are for: the server as it was, and the proof that it can be had, or that it can't."""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Iterator

import pytest
from backup import (
    DRILL,
    LOAD,
    REPOSITORY,
    RESTORED,
    STATE,
    backup,
    backups,
    fails,
    findings,
    restored_sql,
    state,
    writing,
)
from databases import sql
from deployments import assert_unnoticed, load
from testinfra.host import Host
from waiting import until

ARCHIVE = f"$(ls -d {REPOSITORY}/archive/*/*-1/*/)"
CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"


@pytest.mark.usefixtures("numbers")
def test_a_drill_proves_and_leaves_nothing(host: Host, made: str) -> None:
    assert made
    assert "restored and found good" in backup(host, "drill")
    proven = state(host, "drill")
    assert (proven["label"], proven["problems"]) == (backups(host)[-1]["label"], [])
    assert abs(proven["proven"] - float(host.check_output("date +%s"))) < 30
    assert findings(host)["backup.restore"]["status"] == "ok"
    assert not host.file(f"{STATE}/drill").exists


def test_no_client_notices_a_backup_and_a_drill(host: Host, address: str) -> None:
    with load(address, *LOAD) as tally:
        backup(host, "run", "--full")
        backup(host, "drill")
    assert_unnoticed(tally, methods=("GET",))


def test_the_server_is_had_back_as_it_was_a_second_before(host: Host, made: str) -> None:
    with writing(host):
        time.sleep(5)
        before = sql(host, "SELECT clock_timestamp()")
        time.sleep(2)
        last = sql(host, "WITH gone AS (SELECT max(n) AS n FROM commits) SELECT n FROM gone")
        sql(host, "DROP TABLE commits")
    assert made
    assert sql(host, "SELECT to_regclass('commits')") == ""
    said = backup(host, "restore", "--time", before)
    try:
        assert f"psql -h {RESTORED}" in said
        assert restored_sql(host, f"SELECT count(*) FROM commits WHERE at >= '{before}'") == "0"
        kept = int(restored_sql(host, "SELECT count(*) FROM commits"))
        assert restored_sql(host, "SELECT max(n) FROM commits") == str(kept)
        # every commit until then: the next number is of a commit after it, and there were more
        assert 50 < kept < int(last)
        until = restored_sql(host, f"SELECT '{before}'::timestamptz - max(at) < interval '1 s' FROM commits")
        assert until == "t"
        assert sql(host, "SELECT to_regclass('commits')") == ""
        assert restored_sql(host, "SHOW archive_command") == ""
        assert restored_sql(host, "SHOW max_wal_size") == "128MB"
        as_service = f"cd / && sudo -u postgres psql -h {RESTORED} -U workbot -tAc 'SELECT current_user' workbot"
        assert host.check_output(as_service) == "workbot"
        # the repository may be below one
        homes = "systemctl show --property=ProtectHome --value postgresql-restored"
        assert host.check_output(homes) == "read-only"
    finally:
        backup(host, "forget")
    assert host.run("ls -d /var/lib/postgresql/*/restored*").rc != 0
    assert host.run("systemctl is-active postgresql-restored").rc != 0


def test_a_restore_without_a_time_has_the_last_commit(host: Host, made: str, numbers: str) -> None:
    sql(host, f"INSERT INTO {numbers} VALUES (4711)")
    backup(host, "restore")
    try:
        assert restored_sql(host, f"SELECT count(*) FROM {numbers} WHERE n = 4711") == "1"
        assert "already" in fails(host, "restore")
    finally:
        backup(host, "forget")
    assert made


def test_a_table_is_taken_from_it_without_the_superuser(host: Host, made: str, numbers: str) -> None:
    """By the commands of docs/backup.md: what the service has put into its tables runs as its own role."""
    assert made
    sql(host, f"ALTER TABLE {numbers} OWNER TO workbot")
    before = sql(host, "SELECT clock_timestamp()")
    time.sleep(1)
    sql(host, f"DROP TABLE {numbers}")
    backup(host, "restore", "--time", before)
    try:
        host.check_output(
            f"cd / && sudo -u postgres pg_dump -h {RESTORED} --no-owner --no-privileges -t {numbers} workbot |"
            " sudo -u workbot sh -c %s",
            'psql -q -v ON_ERROR_STOP=1 "$(sed -n s/^DATABASE_URL=//p /srv/workbot/config/environment)"',
        )
    finally:
        backup(host, "forget")
    assert sql(host, f"SELECT count(*) FROM {numbers}") == "1000"


def test_what_would_fill_the_disk_is_not_restored(host: Host, made: str) -> None:
    assert made
    free = int(host.check_output(f"df --output=avail -B1M {STATE} | tail -1"))
    host.check_output(f"fallocate -l {free - 300}M {STATE}/ballast")
    try:
        assert "MB free, and a restore takes" in fails(host, "drill")
        assert host.run("postgresql-backup restore").rc == 1
    finally:
        host.check_output(f"rm {STATE}/ballast")
    backup(host, "drill")


def test_a_time_to_come_is_refused(host: Host) -> None:
    assert "is still to come" in fails(host, "restore", "--time", "2999-01-01 00:00:00")


@pytest.mark.usefixtures("made")
def test_a_time_before_the_first_backup_is_named_as_one(host: Host) -> None:
    said = fails(host, "restore", "--time", "2001-01-01 00:00:00")
    assert said.startswith("2001-01-01 00:00:00 is before the first backup; the server can be had as it was"), said
    backup(host, "restore", "--time", re.search(r"any time since ([\d: -]+)$", said)[1].strip())  # type: ignore[index]
    backup(host, "forget")


# Whatever the byte is, it is another one then.
FLIP = """import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(20000)
    byte = file.read(1)[0]
    file.seek(20000)
    file.write(bytes([byte ^ 1]))
"""


def byte_of_a_backup(host: Host) -> Iterator[None]:
    """One byte of the largest file of the newest backup."""
    label = backups(host)[-1]["label"]
    file = host.check_output(
        f"find {REPOSITORY}/backup/*/{label} -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2"
    )
    host.check_output(f"cp -p {file} /root/kept && python3 -c %s {file}", FLIP)
    yield
    host.check_output(f"cp -p /root/kept {file}")


def file_of_changes(host: Host) -> Iterator[None]:
    """One after the newest backup."""
    sql(host, "CREATE TABLE IF NOT EXISTS numbers (n int); INSERT INTO numbers VALUES (1)")
    name = sql(host, "SELECT pg_walfile_name(pg_switch_wal())")
    host.check_output(f"for n in $(seq 60); do ls {ARCHIVE}{name}-* && exit; sleep 1; done; exit 1")
    host.check_output(f"mv {ARCHIVE}{name}-* /root/")
    yield
    host.check_output(f"cd {ARCHIVE} && mv /root/{name}-* .")


def key(host: Host) -> Iterator[None]:
    host.check_output(f"cp -p {CONFIGURATION} /root/kept && sed -i s/cipher-pass=a/cipher-pass=b/ {CONFIGURATION}")
    yield
    host.check_output(f"cp -p /root/kept {CONFIGURATION}")


def newest_backup(host: Host) -> Iterator[None]:
    """As by a disk that was put back as it was the day before."""
    host.check_output(f"cp -a {REPOSITORY} /root/repository")
    backup(host, "run", "--full")
    host.check_output(f"mv {REPOSITORY}/backup /root/lost && cp -a /root/repository/backup {REPOSITORY}/")
    yield
    host.check_output(f"rm -r {REPOSITORY}/backup /root/repository && mv /root/lost {REPOSITORY}/backup")


def repository(host: Host) -> Iterator[None]:
    host.check_output(f"mv {REPOSITORY} {REPOSITORY}.kept")
    yield
    host.check_output(f"mv {REPOSITORY}.kept {REPOSITORY}")


LOST = {
    "a byte": (byte_of_a_backup, "pgbackrest restore"),
    "a file of changes": (file_of_changes, "A file of changes (WAL) is missing"),
    "the key": (key, "its passphrase is another one"),
    "the newest backup": (newest_backup, "The repository has lost the newest backup"),
    "the repository": (repository, "The repository holds no backup"),
}


@contextlib.contextmanager
def without(lose: Callable[[Host], Iterator[None]], host: Host) -> Iterator[None]:
    """It is put back whatever the test finds: others follow on the same repository."""
    steps = lose(host)
    next(steps, None)
    try:
        yield
    finally:
        next(steps, None)


def until_it_has_ended(host: Host) -> None:
    """The drill's unit."""
    states = ("activating", "deactivating")
    is_active = f"systemctl is-active {DRILL}"
    until("it has ended", lambda: host.run(is_active).stdout.strip() not in states, limit=120, pause=0.1)


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize("what", LOST)
def test_what_can_not_be_restored_the_next_drill_reports(host: Host, made: str, what: str) -> None:
    assert made
    lose, says = LOST[what]
    with without(lose, host):
        assert says in fails(host, "drill")
        found = findings(host)["backup.restore"]
        assert found["status"] == "critical"
        assert says in found["message"]
    assert "found good" in backup(host, "drill")
    assert findings(host)["backup.restore"]["status"] == "ok"


@pytest.mark.usefixtures("made")
def test_a_lost_backup_stays_critical_until_a_person_demands_another_one(host: Host) -> None:
    with without(newest_backup, host):
        count = len(backups(host))
        # as the timer does: the next one comes at once, and once
        for _hour in range(2):
            host.check_output("systemctl start postgresql-backup.service")
            assert len(backups(host)) == count + 1
        found = findings(host)["backup.newest"]
        assert (found["status"], "has lost backup" in found["message"]) == ("critical", True), found
        assert "The repository has lost the newest backup" in fails(host, "drill")
        backup(host, "run")
        assert findings(host)["backup.newest"]["status"] == "ok"
        assert "found good" in backup(host, "drill")
    backup(host, "run")


@pytest.mark.usefixtures("made")
def test_a_database_whose_drop_was_interrupted_blocks_no_drill(host: Host) -> None:
    sql(host, "CREATE DATABASE dropped")
    sql(host, "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'dropped'")
    try:
        assert "found good" in backup(host, "drill")
    finally:
        sql(host, "DROP DATABASE dropped")


def test_rows_that_did_not_come_back_are_reported(host: Host, made: str) -> None:
    """Of an unlogged table nothing is in a backup; the catalogue is made to say that this one is none."""
    assert made
    # a vacuum would write changes of it that no server can replay
    unlogged = "CREATE UNLOGGED TABLE fleeting WITH (autovacuum_enabled = false)"
    sql(host, f"{unlogged} AS SELECT generate_series(1, 10000) n")
    sql(host, "UPDATE pg_class SET relpersistence = 'p' WHERE relname = 'fleeting'")
    try:
        assert "Without their rows were restored: workbot.public.fleeting." in fails(host, "drill")
    finally:
        sql(host, "UPDATE pg_class SET relpersistence = 'u' WHERE relname = 'fleeting'; DROP TABLE fleeting")
        # what such a change has written no server can read
        backup(host, "run", "--full")
    backup(host, "drill")


def test_a_drill_waits_for_no_disk_and_has_a_part_of_a_processor(host: Host, made: str) -> None:
    """Each file would be written through, and the running server's commits would wait for that."""
    assert made
    restoring = "pgrep --full '^/usr/bin/pgbackrest .* restore'"
    is_loaded = f"for pid in $({restoring}); do grep --quiet libeatmydata /proc/$pid/maps && exit; done"
    host.check_output(f"rm -f {STATE}/drill.json && systemctl start --no-block {DRILL}")
    waiting = shlex.quote(f"while sleep 0.02; do {is_loaded}; done")
    host.check_output(f"runuser -u postgres -- timeout 120 bash -c {waiting}")
    until_it_has_ended(host)
    assert findings(host)["backup.restore"]["status"] == "ok"
    assert host.check_output(f"systemctl show --property=CPUQuotaPerSecUSec --value {DRILL}") == "200ms"


def test_one_that_is_killed_leaves_nothing(host: Host, made: str) -> None:
    assert made
    host.check_output(f"rm -f {STATE}/drill.json && systemctl start --no-block {DRILL}")
    # the drill comes after all others who want a processor
    until("it has begun", lambda: host.file(f"{STATE}/drill/data/PG_VERSION").exists, limit=120, pause=0.1)
    host.check_output(f"systemctl kill --signal=KILL {DRILL}")
    until_it_has_ended(host)
    assert not host.file(f"{STATE}/drill").exists
    assert host.run("pgrep -u postgres -f %s", f"{STATE}/drill").rc != 0
    assert "was ended before it had found out" in findings(host)["backup.restore"]["message"]
    backup(host, "drill")
