# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole server back in time, in its own place, and back again: each time stays within reach."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from backup import (
    RESTORED,
    STATE,
    another_repository,
    backup,
    backups,
    drop_a_table,
    fails,
    is_there,
    now,
    restored_sql,
    state,
    writing,
)
from databases import sql
from hosts import HOST, container_of, playbook, podman, put
from testinfra.host import Host
from waiting import until

UNIT = "postgresql-replacement.service"
PLACES = "/var/lib/postgresql/*"
LEASE = "/srv/workbot/.deploy.lease"
INVENTORY = "--inventory=molecule/backup/inventory"


def restore_playbook(*options: str, **variables: Any) -> tuple[int, str]:
    run = playbook("workbot.stability.restore", variables, INVENTORY, *options)
    output = run.communicate()[0]
    return run.returncode, output


def server(host: Host) -> str:
    """Which one it is: the time at which its process began."""
    return sql(host, "SELECT pg_postmaster_start_time()")


def backed_up(host: Host) -> None:
    """The backup is made that a replacement asks for."""
    until("no backup runs", lambda: host.run("systemctl is-active postgresql-backup").stdout.strip() != "activating")


def timeline_of(file: str) -> int:
    return int(file[:8], 16)


def timeline(host: Host) -> int:
    """Of the newest backup."""
    return timeline_of(backups(host)[-1]["archive"]["start"])


@contextlib.contextmanager
def renamed(host: Host, roles: list[str]) -> Iterator[None]:
    """As after a restore to a time before they were made."""
    for role in roles:
        sql(host, f"ALTER ROLE {role} RENAME TO away_{role}")
    try:
        yield
    finally:
        for role in roles:
            sql(host, f"ALTER ROLE away_{role} RENAME TO {role}")


@pytest.fixture
def calm(host: Host) -> Iterator[None]:
    """No backup runs, and nothing is kept from an earlier test."""
    forget = "postgresql-backup forget && postgresql-backup forget --replaced"
    backed_up(host)
    host.check_output(forget)
    yield
    host.check_output(forget)


@pytest.fixture
def kept(request: pytest.FixtureRequest, host: Host) -> Iterator[str]:
    """A time at which there was a table that there is no more."""
    request.getfixturevalue("made")
    request.getfixturevalue("calm")
    yield drop_a_table(host)
    sql(host, "DROP TABLE IF EXISTS kept")


@pytest.mark.usefixtures("made", "calm")
def test_every_commit_until_then_is_there_and_none_after(host: Host) -> None:
    """By the playbook, which stops the service for it, says before what is lost, and has the service healthy again."""
    with writing(host):
        time.sleep(3)
        moment = sql(host, "SELECT date_trunc('second', clock_timestamp())")
        time.sleep(2)
        last = int(sql(host, "SELECT max(n) FROM commits"))
        sql(host, "DROP TABLE commits")
    earlier = timeline(host)
    began = host.check_output("systemctl show workbot --property=ActiveEnterTimestampMonotonic")
    code, output = restore_playbook(restore_time=moment, restore_in_place="workbot")
    assert code == 0, output
    assert re.search(r"All changes since [\d: -]+ \(\d+ \w+, \d+ MB\) are lost, in: workbot", output)
    assert int(re.search(r"it was away for (\d+) s", output)[1]) < 60  # type: ignore[index]
    whole = f"count(*) > 20 AND count(*) = max(n) AND max(n) < {last}"
    assert sql(host, f"SELECT {whole} AND max(at) < '{moment}' FROM commits") == "t"
    assert sql(host, f"SELECT '{moment}' - max(at) < interval '1 s' FROM commits") == "t"
    assert host.check_output("systemctl show workbot --property=ActiveEnterTimestampMonotonic") != began
    assert not host.file(RESTORED).exists
    # the next restore begins with a backup of this server
    until("a backup of the restored server", lambda: timeline(host) > earlier)
    assert "The server is the one as of" in host.run("postgresql-backup status").stdout
    assert (
        sql(host, "SELECT count(*) FROM pg_settings WHERE name LIKE 'recovery_target%' AND source <> 'default'") == "0"
    )


def test_every_time_stays_within_reach_there_and_back(host: Host, kept: str) -> None:
    sql(host, "CREATE TABLE given_up AS SELECT 1 AS n")
    before = now(host)
    backup(host, "restore", "--time", kept)
    backup(host, "replace", "workbot")
    assert (is_there(host), is_there(host, "given_up")) == (True, False)
    sql(host, "CREATE TABLE later AS SELECT 1 AS n")
    after = now(host)
    backed_up(host)
    older = timeline(host)
    assert "The server is now the original one" in backup(host, "undo")
    assert (is_there(host), is_there(host, "given_up"), is_there(host, "later")) == (False, True, False)
    # what is old the archive knows by the numbers of timelines
    assert timeline_of(sql(host, "SELECT pg_walfile_name(pg_current_wal_lsn())")) > older
    for moment, table in ((before, "given_up"), (after, "later"), (kept, "kept")):
        backup(host, "restore", "--time", moment)
        assert restored_sql(host, f"SELECT count(*) FROM {table}") == "1", moment
        backup(host, "forget")
    backed_up(host)
    assert "restored and found good" in backup(host, "drill")
    sql(host, "CREATE TABLE latest AS SELECT 1 AS n")
    backup(host, "restore")
    assert restored_sql(host, "SELECT count(*) FROM latest, given_up") == "1"
    assert "first `postgresql-backup forget`" in fails(host, "undo")
    backup(host, "forget")
    assert "The server is now the one as of" in backup(host, "undo")
    assert (is_there(host), is_there(host, "later"), is_there(host, "latest")) == (True, True, False)
    sql(host, "DROP TABLE later")


def test_what_is_not_meant_changes_nothing(host: Host, kept: str) -> None:
    before = server(host)
    assert "there is no restored server" in fails(host, "replace", "workbot")
    assert "no replaced server is kept" in fails(host, "undo")
    backup(host, "restore", "--time", kept)
    for names in ((), ("shop",), ("workbot", "shop")):
        assert "name them all: postgresql-backup replace workbot" in fails(host, "replace", *names)
    sql(host, "CREATE DATABASE closed ALLOW_CONNECTIONS false IS_TEMPLATE true")
    try:
        assert "name them all: postgresql-backup replace closed workbot" in fails(host, "replace", "workbot")
    finally:
        sql(host, "ALTER DATABASE closed IS_TEMPLATE false")
        sql(host, "DROP DATABASE closed")
    code, output = restore_playbook(restore_in_place="shop")
    assert code == 2
    assert "name them all: postgresql-backup replace workbot" in output
    assert "Stop the service" not in output
    assert "All changes since" in backup(host, "replace", "--check", "workbot")
    assert (server(host), is_there(host)) == (before, False)
    backup(host, "replace", "workbot")
    backed_up(host)
    backup(host, "restore", "--time", kept)
    assert "First: postgresql-backup forget --replaced" in fails(host, "replace", "workbot")
    backup(host, "forget", "--replaced")
    assert host.run(f"ls -d {PLACES}/replaced").rc != 0


@pytest.fixture
def youngest(host: Host) -> Iterator[str]:
    """A database that did not exist when the table did."""
    sql(host, "CREATE DATABASE youngest")
    yield "youngest"
    sql(host, "DROP DATABASE IF EXISTS youngest")


def test_a_database_that_did_not_exist_then_is_named_before_it_goes(host: Host, kept: str, youngest: str) -> None:
    backup(host, "restore", "--time", kept)
    gone = f"Of these {youngest} did not exist then, and would be gone altogether."
    assert gone in fails(host, "replace", "workbot")
    assert gone in backup(host, "replace", "--check", "workbot", youngest)
    backup(host, "replace", "workbot", youngest)
    assert sql(host, f"SELECT count(*) FROM pg_database WHERE datname = '{youngest}'") == "0"
    backed_up(host)


def test_of_a_database_that_is_gone_the_diagnosis_says_that_it_does_not_exist(host: Host) -> None:
    """Not that a password is wrong, which the server says of an account that it does not know."""
    names = ["workbot", *sql(host, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'workbot\\_%'").split()]
    with renamed(host, names):
        done = host.run("workbot-diagnose --check database --json")
        [found] = json.loads(done.stdout)["findings"]
        assert (found["status"], "does not exist" in found["message"]) == ("critical", True), found


def test_hosts_that_another_run_has_keep_their_server_and_their_service(host: Host, kept: str) -> None:
    backup(host, "restore", "--time", kept)
    before, until_then = server(host), time.time() + 600
    other = {"run": "other", "what": "a deployment", "who": "bob@ci", "began": time.time(), "until": until_then}
    put(host, LEASE, json.dumps(other))
    stopped = host.check_output("systemctl show workbot --property=InactiveEnterTimestampMonotonic")
    try:
        code, output = restore_playbook(restore_in_place="workbot")
    finally:
        assert "bob@ci" in host.file(LEASE).content_string
        host.check_output(f"rm {LEASE}")
    assert code == 2
    assert "Another run has this host: a deployment by bob@ci" in " ".join(output.split())
    assert server(host) == before
    assert host.check_output("systemctl show workbot --property=InactiveEnterTimestampMonotonic") == stopped
    # and none can have them while the server is replaced
    running = playbook("workbot.stability.restore", {"restore_in_place": "workbot"}, INVENTORY)
    until("it has the host", lambda: "a replacement of the database server" in host.run(f"cat {LEASE}").stdout, 120)
    assert running.wait(300) == 0
    assert not host.file(LEASE).exists
    assert is_there(host)


def test_a_connection_that_is_lost_meanwhile_leaves_no_service_stopped(host: Host, kept: str) -> None:
    backup(host, "restore", "--time", kept)
    running = playbook("workbot.stability.restore", {"restore_in_place": "workbot"}, INVENTORY)
    # not the shell that asks
    replaces = "pgrep -f '^/usr/bin/python3.*postgresql-backup replace workbot'"
    until("it replaces", lambda: host.run(replaces).rc == 0, 120)
    # the tests' own connection is one of them
    podman("exec", container_of(HOST), "pkill", "--signal=KILL", "--full", "^sshd(-session)?: .*@notty")
    output = " ".join(running.communicate(timeout=300)[0].split())
    assert running.returncode == 2, output
    assert "The connection was lost while the server was replaced" in output
    assert host.check_output("systemctl is-active workbot") == "active"
    assert not host.file(LEASE).exists
    until("it has come to its end", lambda: host.run(replaces).rc != 0)
    assert is_there(host)


def test_what_a_timer_begins_meanwhile_gives_way(host: Host, kept: str) -> None:
    """Not what was restored, which may have taken hours."""
    backup(host, "restore", "--time", kept)
    drill = "postgresql-backup-drill.service"
    begin = f"[Service]\nExecStopPost=+/usr/bin/systemctl start --no-block {drill}\n"
    put(host, "/run/systemd/system/postgresql-restored.service.d/molecule.conf", begin)
    put(host, f"/run/systemd/system/{drill}.d/molecule.conf", "[Service]\nExecStart=\nExecStart=/bin/sleep 600\n")
    host.check_output("systemctl daemon-reload")
    put(host, f"{STATE}/drill.json", json.dumps({**state(host, "drill"), "begun": time.time()}))
    try:
        assert "The server is now the one as of" in backup(host, "replace", "workbot")
    finally:
        host.check_output(f"rm -r /run/systemd/system/postgresql-restored.service.d /run/systemd/system/{drill}.d")
        host.check_output("systemctl daemon-reload")
    assert is_there(host)
    assert host.run(f"systemctl is-active {drill}").stdout.strip() != "activating"
    # it comes again at its next hour, and has found nothing wrong
    assert "was ended before it had found out" not in host.run("postgresql-backup status").stdout


def test_where_the_restored_one_does_not_start_the_other_one_and_the_service_do(host: Host, kept: str) -> None:
    backup(host, "restore", "--time", kept)
    # which is looked at by a start alone
    host.check_output(f"chmod 0777 {PLACES}/restored/data")
    code, output = restore_playbook(restore_in_place="workbot")
    said = " ".join(output.split())
    assert code == 2
    assert re.search("the one before is put back: .* data directory .* has invalid permissions", said), output
    assert host.check_output("systemctl is-active workbot") == "active"
    assert not is_there(host)
    assert "no replaced server is kept" in fails(host, "undo")
    assert "leftovers of an interrupted replacement" in host.run("postgresql-backup status").stdout
    backup(host, "forget", "--replaced")
    backup(host, "restore", "--time", kept)
    backup(host, "replace", "workbot")
    assert is_there(host)


# The shell's condition for the moment at which it is killed.
STOPPED = "! systemctl is-active --quiet 'postgresql@*-main.service'"
EXCHANGED = f"[ $(stat -c %i {PLACES}/main) != $was ]"


def killed(host: Host, moment: str, *arguments: str) -> None:
    """The command's unit is killed as soon as that holds; afterwards there is a server, and nothing of the command."""
    command = f"postgresql-backup {' '.join(arguments)}"
    host.check_output(
        f"was=$(stat -c %i {PLACES}/main);"
        f" systemd-run --quiet --collect --unit=replaces-{time.monotonic_ns()} {command};"
        f" for i in $(seq 3000); do if {moment}; then break; fi; sleep 0.01; done;"
        f" systemctl kill --signal=KILL {UNIT}"
    )
    until("the server is back", lambda: host.run("cd / && runuser -u postgres -- psql -c 'SELECT 1'").rc == 0)
    until("the command has ended", lambda: host.run("pgrep -f %s", f"^/usr/bin/python3.*{command}").rc != 0)


@pytest.mark.parametrize("moment", [STOPPED, EXCHANGED], ids=["while the server is stopped", "after the exchange"])
def test_whatever_ends_it_there_is_a_server(host: Host, kept: str, moment: str) -> None:
    backup(host, "restore", "--time", kept)
    killed(host, moment, "replace", "workbot")
    # it is the one or the other, and the other one can be had again
    said = host.run("postgresql-backup status").stdout
    if moment == EXCHANGED or is_there(host):
        assert "The server is the one as of" in said
        backup(host, "undo")
    assert not is_there(host)
    backup(host, "forget", "--replaced")
    backup(host, "restore", "--time", kept)
    backup(host, "replace", "workbot")
    assert is_there(host)


def test_a_return_that_is_killed_leaves_restores_as_they_were(host: Host, kept: str) -> None:
    backup(host, "restore", "--time", kept)
    backup(host, "replace", "workbot")
    backed_up(host)
    killed(host, STOPPED, "undo")
    assert is_there(host)
    moment = now(host)
    sql(host, "DROP TABLE kept")
    assert "restored and found good" in backup(host, "drill")
    backup(host, "restore", "--time", moment)
    assert restored_sql(host, "SELECT count(*) FROM kept") == "1"
    backup(host, "forget")
    assert "The server is now the original one" in backup(host, "undo")


@pytest.mark.usefixtures("made")
def test_the_playbook_proves_the_newest_backup() -> None:
    code, output = restore_playbook(restore_drill=True)
    assert code == 0, output
    assert "restored and found good" in " ".join(output.split())
    assert re.search(rf"^{HOST} .*changed=0 ", output, re.MULTILINE), output


def test_without_a_variable_it_says_which_backups_there_are(host: Host, made: str) -> None:
    before = server(host)
    code, output = restore_playbook()
    assert code == 0, output
    assert made in output
    assert "postgresql-backup restore --time" in output
    assert server(host) == before
    assert HOST in output


def test_what_it_has_become_another_repository_restores_as_well(host: Host) -> None:
    """The server has put the history of its timelines into the one before."""
    assert timeline(host) > 1
    with another_repository(host):
        backup(host, "run", "--first")
        assert "found good" in backup(host, "drill")
    backup(host, "run", "--full")
    backup(host, "drill")
