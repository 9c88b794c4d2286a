# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database host's backups on another host, of which the app hosts know, and its way back in time."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup import REPOSITORY, backup, drop_a_table, fails, findings, is_there
from databases import sql
from fleet import ALL, APPS, DATABASE, address_of, answers, apply, drift, running, site
from fleet import SPARE as KEEPER
from hosts import ROOT, host_of, power_off, power_on, reached
from waiting import until

# In it a host that is nothing else is the repository host.
BACKUP_INVENTORY = f"--inventory={ROOT / 'molecule/fleet/inventory'}"
REPOSITORY_UNITS = ("pgbackrest.service", "backup-repository.path", "file-backup-repository.service")
DISCARD = "file-backup-repository-discard.service"
PORT, FILES_PORT = 8432, 8433
# As the inventory has it.
PASSPHRASE = "a-passphrase-for-tests-alone"
FAILS = "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver"


def option(**variables: str | bool) -> tuple[str, str]:
    return BACKUP_INVENTORY, f"--extra-vars={json.dumps(variables)}"


@pytest.fixture(scope="module", autouse=True)
def backups() -> Iterator[None]:
    site(*option())
    backup(host_of(DATABASE), "run", "--first")
    yield
    # the last test has removed what makes them
    host_of(KEEPER).check_output("rm -rf /srv/backup")


def pgbackrest(*arguments: str, stanza: str = DATABASE, stdin: str = "") -> str:
    """What it says on the database host, of errors as well."""
    command = f"runuser -u postgres -- pgbackrest --stanza={stanza} {shlex.join(arguments)}"
    return str(host_of(DATABASE).run(f"cd / && printf %s {shlex.quote(stdin)} | {command} 2>&1").stdout)


@pytest.fixture
def kept() -> Iterator[str]:
    """A time at which there was a table that there is no more, and a server as of then beside the running one."""
    server = host_of(DATABASE)
    moment = drop_a_table(server)
    backup(server, "restore", "--time", moment)
    yield moment
    server.check_output("postgresql-backup forget && postgresql-backup forget --replaced")
    sql(server, "DROP TABLE IF EXISTS kept")


def begun(*names: str) -> list[str]:
    """When the service was started on each of these, on all app hosts if none is named."""
    ask = "systemctl show workbot --property=ActiveEnterTimestampMonotonic"
    return [host_of(name).check_output(ask) for name in names or APPS]


def test_a_second_run_changes_nothing() -> None:
    before = running()
    assert site(*option()) == dict.fromkeys((*ALL, KEEPER), 0)
    assert running() == before


def test_the_repository_is_on_the_other_host_which_is_let_in_for_a_backup_alone() -> None:
    keeper = host_of(KEEPER)
    assert keeper.run(f"ls {REPOSITORY}/backup/{DATABASE}/latest").rc == 0
    assert [name for name in (DATABASE, *APPS) if host_of(name).file("/srv/backup").exists] == []
    assert [name for name in (DATABASE, KEEPER) if f":{PORT} " in host_of(name).check_output("ss -Htln")] == [KEEPER]
    assert {process.user for process in keeper.process.filter(comm="pgbackrest")} == {"pgbackrest"}


def test_nobody_else_is_let_in() -> None:
    server, own = host_of(DATABASE), ("--repo1-host-cert-file=/tmp/own.pem", "--repo1-host-key-file=/tmp/own.key")
    server.check_output(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout /tmp/own.key"
        f" -out /tmp/own.pem -subj /CN={DATABASE} && chown postgres /tmp/own.key && chmod 600 /tmp/own.key"
    )
    listing = ("repo-ls", f"backup/{DATABASE}")
    for options, stanza, expected in (
        ((), DATABASE, "backup.info"),
        ((), "fleet-other", "access denied"),
        (own, DATABASE, "unknown ca"),
    ):
        said = pgbackrest(*options, *listing, stanza=stanza)
        assert expected in said, said


def test_check_and_drift_know_the_repository_host(tmp_path: Path) -> None:
    assert drift(tmp_path, BACKUP_INVENTORY)[KEEPER]["state"] == "as declared"
    keeper = host_of(KEEPER)
    assert re.search(rf"{KEEPER} +ok", apply("check", BACKUP_INVENTORY).stdout)
    keeper.check_output(
        f"systemctl stop {' '.join(REPOSITORY_UNITS)} && echo >/etc/file-backup-repository/workbot.{APPS[0]}.json"
    )
    assert keeper.run(f"systemctl start {DISCARD}").rc != 0
    said = " ".join(apply("check", BACKUP_INVENTORY).stdout.split())
    assert f"pgBackRest at port {PORT} does not answer" in said
    assert f"rclone at port {FILES_PORT} does not answer" in said
    assert "old backups could not be removed" in said
    assert drift(tmp_path, BACKUP_INVENTORY)[KEEPER]["state"] == "differs"
    changed = site(*option())
    assert {name for name, number in changed.items() if number} == {KEEPER}
    assert [unit for unit in REPOSITORY_UNITS if not keeper.service(unit).is_running] == []
    keeper.check_output(f"systemctl start {DISCARD}")


def test_a_proof_needs_no_more_than_the_repository() -> None:
    assert "found good" in backup(host_of(DATABASE), "drill")


def test_a_request_that_nobody_waits_for_is_over_and_the_next_one_is_made() -> None:
    """As of a host that was switched off: where it was let in nobody answers."""
    server = host_of(DATABASE)
    show = "systemctl show --property=InvocationID --value backup-repository.service"
    before = host_of(KEEPER).check_output(show)
    pgbackrest("repo-put", "--raw", f"requests/{DATABASE}.json", stdin='{"id": "gone"}')
    until("it tries to make that backup", lambda: host_of(KEEPER).check_output(show) not in ("", before))
    assert "is made" in backup(server, "run")


def test_where_the_repository_host_is_gone_the_service_goes_on_and_all_is_caught_up_with() -> None:
    server = host_of(DATABASE)
    power_off(KEEPER)
    try:
        sql(server, "SELECT pg_switch_wal()")
        assert re.search(f"does {KEEPER} answer|{address_of(KEEPER)}", fails(server, "run"))
        until("the server is not rid of its changes", lambda: sql(server, FAILS) == "t", limit=180)
        assert [name for name in APPS if not answers(name)] == []
        found = findings(host_of(APPS[0]))
        assert {name: found[name]["status"] for name in ("backup.newest", "backup.archive")} == {
            "backup.newest": "warning",
            "backup.archive": "warning",
        }, found
    finally:
        power_on(KEEPER)
        until("the host is back", lambda: reached(host_of(KEEPER)))
    until("all is in the archive", lambda: sql(server, FAILS) == "f", limit=240)
    assert "is made" in backup(server, "run")
    assert findings(host_of(APPS[0]))["backup.newest"]["status"] == "ok"


def test_the_app_hosts_know_of_them() -> None:
    for name in APPS:
        found = json.loads(host_of(name).run("workbot-diagnose --check backup --json").stdout)["findings"]
        assert [(one["check"], one["status"]) for one in found] == [
            (f"backup.{check}", "ok") for check in ("newest", "restore", "archive")
        ], found


def file_backups(name: str) -> list[str]:
    """Of that app host's files, as the repository host has them; the oldest first."""
    return host_of(KEEPER).check_output(f"ls -tr {PLACE}/workbot.{name}/*/snapshots/*").split()


def file_backup(*arguments: str) -> str:
    """What the command says on an app host."""
    return str(host_of(APPS[0]).check_output(f"workbot-file-backup {shlex.join(arguments)}"))


PLACE = "/srv/backup/restic"
UPLOADS = "/srv/workbot/shared/uploads"
# By all that an app host knows.
INTRUDER = """
import base64, http.client, json, ssl, urllib.parse
config = "/srv/workbot/config/file-backup"
place = urllib.parse.urlsplit(json.load(open(f"{config}-secrets.json"))["RESTIC_REPOSITORY"].removeprefix("rest:"))
login = base64.b64encode(f"{place.username}:{place.password}".encode()).decode()
kept = "KEPT"
for method, path in (
    ("GET", f"/{kept}"),
    ("DELETE", f"/{kept}"),
    ("POST", f"/{kept}"),
    ("GET", "/OTHER"),
    ("GET", f"{place.path}../OTHER"),
    ("GET", f"{place.path}%2e%2e/OTHER"),
):
    context = ssl.create_default_context(cafile=f"{config}-authority.pem")
    connection = http.client.HTTPSConnection(place.hostname, place.port, context=context)
    connection.request(method, path, b"", {"Authorization": f"Basic {login}"})
    print(connection.getresponse().status)
"""


def test_files_of_an_app_host_are_there_and_come_back() -> None:
    app = host_of(APPS[0])
    app.check_output(f"runuser -u workbot -- sh -c 'echo first >{UPLOADS}/a.txt'")
    before = file_backups(APPS[0])
    file_backup("run")
    assert len(file_backups(APPS[0])) == len(before) + 1
    assert "read and compared with the files" in file_backup("drill")
    file_backup("restore")
    assert app.file("/srv/workbot/restored/uploads/a.txt").content_string == "first\n"
    file_backup("forget")
    found = json.loads(app.run("workbot-diagnose --check files --json").stdout)["findings"]
    assert {finding["status"] for finding in found} == {"ok"}, found


def test_an_app_host_removes_and_changes_nothing_and_reads_nothing_of_others() -> None:
    app, kept = host_of(APPS[0]), file_backups(APPS[0])
    own, other = (file_backups(name)[-1].removeprefix(f"{PLACE}/") for name in APPS[:2])
    script = INTRUDER.replace("KEPT", own).replace("OTHER", other)
    assert app.check_output("python3 -c %s", script).split() == ["200", "403", "403", "403", "301", "301"]
    assert file_backups(APPS[0]) == kept
    assert PASSPHRASE not in app.check_output("cat /srv/workbot/config/*")


def test_what_is_old_goes_by_the_clock_of_the_repository_host() -> None:
    keeper, place = host_of(KEEPER), f"{PLACE}/workbot.{APPS[0]}"
    file_backup("run")
    before = file_backups(APPS[0])
    # as it is when the turns of two others have come
    keeper.check_output(f"cp -a {place} {place}.kept && cp -a {place}/? {place}/before && touch {place}/?/config")
    keeper.check_output(f"find {place}/before -type f -exec touch --date='29 days ago' {{}} +")
    keeper.check_output(f"systemctl start {DISCARD}")
    assert file_backups(APPS[0]) == before
    keeper.check_output(f"rm -r {place} && mv {place}.kept {place}")
    file_backup("run")
    assert file_backups(APPS[0])[:-1] == before


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("limit", [f"{APPS[0]},{DATABASE}", ",".join(APPS)])
def test_a_part_of_the_hosts_is_refused(limit: str) -> None:
    before = begun()
    run = apply("restore", f"--limit={limit}", *option(restore_in_place="workbot"))
    assert run.returncode == 2, run.stdout
    expected = f"--limit leaves out {', '.join(APPS[1:])}" if DATABASE in limit else "No host of this run has a server"
    assert expected in " ".join((run.stdout + run.stderr).split())
    assert (begun(), is_there(host_of(DATABASE))) == (before, False)


@pytest.mark.usefixtures("kept")
def test_where_a_host_is_away_nothing_is_stopped() -> None:
    """Its service would go on with what it knows of the other server."""
    power_off(APPS[2])
    try:
        before = begun(*APPS[:2])
        run = apply("restore", *option(restore_in_place="workbot"))
        assert run.returncode not in (0, 1), run.stdout
        assert "Stop the service" not in run.stdout
        assert (begun(*APPS[:2]), is_there(host_of(DATABASE))) == (before, False)
    finally:
        power_on(APPS[2])
        until("the host is back", lambda: answers(APPS[2]))


@pytest.mark.usefixtures("kept")
def test_the_service_is_stopped_on_all_hosts_and_healthy_on_all_afterwards() -> None:
    before = begun()
    run = apply("restore", *option(restore_in_place="workbot"))
    assert run.returncode == 0, run.stdout
    assert is_there(host_of(DATABASE))
    assert [name for name in APPS if not answers(name)] == []
    assert [name for name, then, now in zip(APPS, before, begun(), strict=True) if then == now] == []


def test_where_they_are_removed_the_repository_stays() -> None:
    site(*option(backup_removed=True))
    keeper = host_of(KEEPER)
    assert file_backups(APPS[0])
    assert [unit for unit in REPOSITORY_UNITS if keeper.service(unit).is_running] == []
    assert keeper.run(f"ls {REPOSITORY}/backup/{DATABASE}/latest").rc == 0
    for path in ("/etc/pgbackrest/pgbackrest.conf", "/etc/file-backup-repository"):
        assert not keeper.file(path).exists
