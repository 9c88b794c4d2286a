# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of the service's files: made, proven and restored, without a right to anything that is not the service's."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backup import LOAD
from deployments import load
from drift_kinds import UNITS, Drift, disabled, is_mode
from prediction import differences, play, touched
from prediction import state as state_of
from repairs import assert_predicted_and_repaired
from testinfra.host import Host
from waiting import until

OPTIONS = ("--inventory=molecule/backup/inventory", "--tags=backup")
COMMAND = "workbot-file-backup"
STATE, SECRETS = f"/var/lib/{COMMAND}", "/srv/workbot/config/file-backup-secrets.json"
REPOSITORY = "/srv/backup/restic/workbot-test/workbot"
SHARED, RESTORED = "/srv/workbot/shared", "/srv/workbot/restored"
UPLOADS = f"{SHARED}/uploads"
TEXT = "what somebody has uploaded"
INSTALL = "Install the command for the service's files"

DRIFTS = {
    "the passphrase for everybody": Drift(f"chmod 0644 {SECRETS}", INSTALL, SECRETS, is_mode(SECRETS, "root:600")),
    "the command gone": Drift(
        f"rm /usr/local/bin/{COMMAND}", INSTALL, f"/usr/local/bin/{COMMAND}", f"test -x /usr/local/bin/{COMMAND}"
    ),
    "the unit with more rights": Drift(
        f"sed -i /CapabilityBoundingSet/d {UNITS}/{COMMAND}@.service",
        INSTALL,
        f"{COMMAND}@.service",
        f"grep CapabilityBoundingSet {UNITS}/{COMMAND}@.service",
    ),
    "the timer disabled": disabled(f"{COMMAND}.timer", INSTALL),
}


def command(host: Host, *arguments: str) -> str:
    """What it says."""
    return str(host.check_output(f"{COMMAND} {shlex.join(arguments)}"))


def fails(host: Host, *arguments: str) -> str:
    """What it complains of."""
    done = host.run(f"{COMMAND} {shlex.join(arguments)}")
    assert done.rc == 1, done.stdout + done.stderr
    return str(done.stderr)


def record(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{STATE}/record.json").content_string)
    return found


def restic(host: Host, arguments: str, before: str = "") -> str:
    """By hand; `before` is what is piped into it."""
    return str(host.check_output(f"cd {SHARED} && {before} {COMMAND} restic {arguments}"))


def snapshots(host: Host) -> list[str]:
    """As restic itself lists them."""
    return [each["short_id"] for each in json.loads(restic(host, "snapshots --json"))]


def findings(host: Host) -> dict[str, dict[str, Any]]:
    """What the service's diagnosis says of them."""
    done = host.run("workbot-diagnose --check files --json")
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def as_service(host: Host, script: str) -> str:
    return str(host.check_output("runuser -u workbot -- sh -c %s", script))


@pytest.fixture(scope="module", autouse=True)
def begun(host: Host) -> None:
    """Whatever tests before have removed and installed again."""
    command(host, "run", "--first")


@pytest.fixture(autouse=True)
def uploads(host: Host) -> Iterator[str]:
    """Files of the service's, as it may name them."""
    as_service(host, f"mkdir -p {UPLOADS}/deep && cd {UPLOADS} && echo '{TEXT}' >a.txt && cp a.txt 'deep/b[1] *.txt'")
    yield UPLOADS
    host.check_output(f"rm -rf {UPLOADS}/* {RESTORED}")


@pytest.fixture
def large(host: Host) -> None:
    """One that takes some seconds."""
    as_service(host, f"head -c 600M /dev/urandom >{UPLOADS}/large")


def test_a_backup_is_made_and_kept_from_others(host: Host) -> None:
    command(host, "run")
    assert record(host)["backup"]["label"] == snapshots(host)[-1]
    assert host.run("grep -r -l -a -F -e %s -e uploads/deep %s", TEXT, REPOSITORY).rc == 1
    assert host.run("runuser -u nobody -- cat %s", f"{STATE}/record.json").rc != 0
    for path in (SECRETS, REPOSITORY, f"{STATE}/cache"):
        assert host.run("runuser -u workbot -- ls %s/ || runuser -u workbot -- cat %s", path, path).stdout == ""
    assert findings(host)["files.newest"]["status"] == "ok"


def test_the_timer_comes_and_finds_whether_one_is_due(host: Host) -> None:
    assert f"{COMMAND}.timer" in host.check_output("systemctl list-timers --no-legend")
    command(host, "run")
    command(host, "drill")
    made = snapshots(host)
    host.check_output(f"systemctl start {COMMAND}@due.service")
    assert snapshots(host) == made
    # a day and a week later
    host.check_output(f"sed -i -E 's/(\"(made|proven)\": )[0-9.]+/\\11000000000.0/g' {STATE}/record.json")
    host.check_output(f"systemctl start {COMMAND}@due.service")
    assert len(snapshots(host)) == len(made) + 1
    assert min(record(host)["backup"]["made"], record(host)["drill"]["proven"]) > 1_100_000_000


def test_files_come_back_as_they_were_at_a_time(host: Host) -> None:
    command(host, "run")
    moment = host.check_output("date '+%F %T'")
    time.sleep(1.1)
    as_service(host, f"cd {UPLOADS} && echo other >a.txt && rm -r deep")
    command(host, "run")
    assert RESTORED in command(host, "restore", "--time", moment)
    assert host.file(f"{RESTORED}/uploads/a.txt").content_string == f"{TEXT}\n"
    assert host.file(f"{RESTORED}/uploads/deep/b[1] *.txt").user == "workbot"
    assert host.file(f"{UPLOADS}/a.txt").content_string == "other\n"
    assert "is there already" in fails(host, "restore")
    as_service(host, f"cp -a {RESTORED}/uploads/a.txt {UPLOADS}/a.txt")
    command(host, "forget")
    assert not host.file(RESTORED).exists
    command(host, "restore", "uploads/a.txt")
    assert host.check_output(f"find {RESTORED} -type f -printf %P") == "uploads/a.txt"


def test_what_is_not_there_is_not_restored(host: Host) -> None:
    command(host, "run")
    assert "there is no backup of that time" in fails(host, "restore", "--time", "2001-01-01 00:00:00")
    assert "uploads/nothing" in fails(host, "restore", "uploads/nothing")
    assert not host.file(RESTORED).exists


def test_a_link_leads_root_nowhere(host: Host) -> None:
    """The service may lay down whatever it likes: what it can't read itself is in no backup."""
    as_service(host, f"ln -s /etc/shadow {UPLOADS}/shadow; ln -s /etc {UPLOADS}/etc; mkfifo {UPLOADS}/pipe")
    as_service(host, f"mkdir {UPLOADS}/closed && cp {UPLOADS}/a.txt {UPLOADS}/closed/ && chmod 0 {UPLOADS}/closed")
    host.check_output(f"install -m 0600 /etc/shadow {UPLOADS}/roots")
    assert "not all of the files could be read: tar: ./uploads/closed: Cannot open" in fails(host, "run")
    assert findings(host)["files.newest"]["status"] == "warning"
    command(host, "restore")
    assert host.file(f"{RESTORED}/uploads/shadow").is_symlink
    assert host.file(f"{RESTORED}/uploads/a.txt").exists
    assert not host.file(f"{RESTORED}/uploads/roots").exists
    assert host.run(f"find {RESTORED} ! -user workbot").stdout == ""
    host.check_output(f"rm -r {UPLOADS}/roots {UPLOADS}/closed")
    command(host, "run")
    assert findings(host)["files.newest"]["status"] == "ok"


def test_a_drill_proves_that_all_can_be_read_and_is_the_same(host: Host) -> None:
    command(host, "run")
    # whatever they become meanwhile
    as_service(
        host, f"cd {UPLOADS} && echo other >a.txt && rm -r deep && echo >deep && mkdir gone && ln -s a.txt b.txt"
    )
    assert "was read and compared with the files" in command(host, "drill")
    assert findings(host)["files.restore"]["status"] == "ok"


MISSING = "find data -type f -size +100k -delete"
DAMAGES = {
    "a byte changed": (
        "for f in $(find data -type f -size +100k); do echo x | dd of=$f bs=1 seek=5000 conv=notrunc status=none; done",
        "`restic dump` failed",
    ),
    "a file missing": (MISSING, "`restic check` failed"),
    "the newest lost": ("rm snapshots/$(ls -t snapshots | head -n 1)", "has lost the newest backup"),
    "the key another one": (f"sed -i s/a-passphrase/b-passphrase/ {SECRETS}", "its passphrase is another one"),
    "all of it gone": ("rm -r *", "holds no backup"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_says_what_to_do(host: Host, damage: str) -> None:
    script, message = DAMAGES[damage]
    as_service(host, f"head -c 2M /dev/urandom >{UPLOADS}/data")
    for _time in range(2):
        command(host, "run")
    host.check_output(f"cp -a {REPOSITORY} {REPOSITORY}.kept && cp -a {SECRETS} {SECRETS}.kept")
    host.check_output(f"cd {REPOSITORY} && {script}")
    try:
        assert message in fails(host, "drill")
        found = findings(host)["files.restore"]
        assert (found["status"], message in found["message"]) == ("critical", True)
        assert f"{COMMAND} drill" in found["message"]
    finally:
        host.check_output(f"rm -r {REPOSITORY} && mv {REPOSITORY}.kept {REPOSITORY} && mv {SECRETS}.kept {SECRETS}")
    command(host, "drill")


def test_a_damaged_repository_is_repaired_as_the_documentation_has_it(host: Host) -> None:
    as_service(host, f"head -c 2M /dev/urandom >{UPLOADS}/data")
    command(host, "run")
    host.check_output(f"cd {REPOSITORY} && {MISSING}")
    fails(host, "drill")
    restic(host, "rebuild-index")
    command(host, "run")
    # of other files than there are now
    for label in snapshots(host)[:-1]:
        restic(host, f"forget {label}")
    command(host, "drill")


def test_files_that_are_out_of_reach_are_no_empty_backup(host: Host) -> None:
    command(host, "run")
    made = snapshots(host)
    host.check_output(f"mv {SHARED} {SHARED}.away && install -d -m 0700 {SHARED}")
    try:
        assert "Cannot open: Permission denied" in fails(host, "run")
    finally:
        host.check_output(f"rmdir {SHARED} && mv {SHARED}.away {SHARED}")
    assert snapshots(host) == made


def test_what_was_stored_wrongly_is_found(host: Host) -> None:
    """Bytes that a disk or a memory has changed on their way."""
    command(host, "run")
    made = snapshots(host)[-1]
    # what has just been written may have been written again
    time.sleep(6)
    tampered = "tar -c --format=posix . | sed s/somebody/sOmebody/ |"
    restic(host, "backup --quiet --stdin --stdin-filename=files.tar", tampered)
    host.check_output(f"sed -i s/{made}/{snapshots(host)[-1]}/ {STATE}/record.json")
    said = fails(host, "drill")
    assert "uploads/a.txt" in said
    assert "though nobody has changed" in said
    command(host, "run")
    command(host, "drill")


def test_an_empty_repository_is_not_taken_for_a_new_one(host: Host) -> None:
    command(host, "run")
    host.check_output(f"mv {REPOSITORY} {REPOSITORY}.kept")
    try:
        assert "is its disk mounted?" in fails(host, "run")
        assert not host.file(REPOSITORY).exists
        assert findings(host)["files.newest"]["status"] == "warning"
        command(host, "run", "--first")
        assert len(snapshots(host)) == 1
    finally:
        host.check_output(f"rm -rf {REPOSITORY} && mv {REPOSITORY}.kept {REPOSITORY}")
    command(host, "run")


def test_a_repository_whose_creation_was_cut_off_is_created_again(host: Host) -> None:
    command(host, "run")
    host.check_output(f"cp -a {REPOSITORY} {REPOSITORY}.kept")
    host.check_output(f"cd {REPOSITORY} && rm -r config data/*/* index/* snapshots/*")
    try:
        command(host, "run", "--first")
        assert len(snapshots(host)) == 1
    finally:
        host.check_output(f"rm -rf {REPOSITORY} && mv {REPOSITORY}.kept {REPOSITORY}")
    command(host, "run")


def ended(host: Host, job: str) -> None:
    """Not before the unit has: where systemd is not told that nothing of it is left, it waits for that."""
    states = ("failed", "inactive")
    until(
        "it has ended", lambda: host.run(f"systemctl is-active {COMMAND}@{job}.service").stdout.strip() in states, 120
    )


@pytest.mark.parametrize("signal", ["KILL", "PIPE"])
@pytest.mark.usefixtures("large")
def test_a_backup_that_is_not_whole_is_none(host: Host, signal: str) -> None:
    """The service's user may send what the end of a reader sends as well."""
    made = snapshots(host)
    host.check_output(f"systemctl start --no-block {COMMAND}@backup.service")
    kill = f"runuser -u workbot -- pkill -{signal} -u workbot -x tar"
    host.check_output(f"for n in $(seq 300); do {kill} && exit; sleep 0.1; done; exit 1")
    ended(host, "backup")
    assert snapshots(host) == made
    assert "tar could not read the files" in findings(host)["files.newest"]["message"]
    command(host, "run")
    assert findings(host)["files.newest"]["status"] == "ok"


@pytest.mark.usefixtures("large")
def test_a_drill_that_was_killed_is_known_and_leaves_nothing(host: Host) -> None:
    command(host, "run")
    host.check_output(f"systemctl start --no-block {COMMAND}@drill.service")
    host.check_output("for n in $(seq 300); do pgrep -u workbot -x tar && exit; sleep 0.1; done; exit 1")
    host.check_output(f"systemctl kill --signal=KILL {COMMAND}@drill.service")
    ended(host, "drill")
    assert host.run("pgrep -u workbot -x tar").rc != 0
    host.check_output(f"systemctl start {COMMAND}@due.service")
    assert "ended before it had found out" in findings(host)["files.restore"]["message"]
    command(host, "drill")
    assert findings(host)["files.restore"]["status"] == "ok"


def test_of_a_damaged_backup_comes_what_is_before_the_damage(host: Host) -> None:
    as_service(host, f"mkdir {UPLOADS}/zz && head -c 300M /dev/urandom >{UPLOADS}/zz/data")
    command(host, "run")
    host.check_output(f"cp -a {REPOSITORY} {REPOSITORY}.kept")
    try:
        # restic reads some ahead of what it gives
        host.check_output(f"cd {REPOSITORY}/data && rm $(find . -type f -size +1M | xargs ls -t | head -n 1)")
        assert "What could be restored is in" in fails(host, "restore")
        assert host.file(f"{RESTORED}/uploads/a.txt").content_string == f"{TEXT}\n"
    finally:
        host.check_output(f"rm -r {REPOSITORY} && mv {REPOSITORY}.kept {REPOSITORY}")


@pytest.mark.usefixtures("large")
def test_the_service_goes_on_meanwhile(host: Host, address: str) -> None:
    with load(address, *LOAD) as tally:
        command(host, "run")
        command(host, "drill")
        command(host, "restore")
    assert (tally["failed"], tally["statuses"].keys()) == (0, {"200"})


def test_a_second_run_changes_nothing(host: Host, tmp_path: Path) -> None:
    before = state_of(host)
    assert play(tmp_path, *OPTIONS).changed == []
    assert touched(before, state_of(host)) == []


def test_what_has_drifted_is_predicted_and_repaired(host: Host, tmp_path: Path) -> None:
    assert_predicted_and_repaired(host, DRIFTS, tmp_path, *OPTIONS)


def test_what_is_not_wanted_is_removed_and_its_backups_stay(host: Host, tmp_path: Path) -> None:
    command(host, "run")
    made, without = snapshots(host), {"backup_files": False}
    check = play(tmp_path, "--check", *OPTIONS, variables=without)
    assert differences(check, play(tmp_path, *OPTIONS, variables=without)) == []
    assert host.run(f"ls /usr/local/bin/{COMMAND} {STATE} {SECRETS} {UNITS}/{COMMAND}*").stdout == ""
    assert play(tmp_path / "again", *OPTIONS, variables=without).changed == []
    play(tmp_path / "back", *OPTIONS)
    # as on a host that was made again: what is in shared/ may be nothing yet
    assert "has no record of" in fails(host, "run")
    assert snapshots(host) == made
    command(host, "run", "--first")
    assert snapshots(host)[:-1] == made
