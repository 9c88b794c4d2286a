# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in a bucket, over TLS, by S3's protocol as Debian's moto speaks it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backup import backup, fails
from backup import backups as of_server
from certificates import issue
from hosts import playbook, put
from prediction import play, touched
from prediction import state as state_of
from testinfra.host import Host
from waiting import until

OPTIONS = ("--inventory=molecule/backup/inventory", "--tags=backup")
AUTHORITY, CERTIFICATE, KEY = "/etc/ssl/certs/bucket-authority.pem", "/run/bucket/server.pem", "/run/bucket/server.key"
# of another name moto would take the first part for a bucket
NAME, PORT, SECRET = "localhost", 9443, "a-secret-for-tests-alone"
BUCKET: dict[str, Any] = {
    "backup_directory": "",
    "backup_s3_bucket": "shop-backup",
    "backup_s3_endpoint": f"{NAME}:{PORT}",
    "backup_s3_ca_file": AUTHORITY,
    "backup_s3_key": "a-key-for-tests-alone",
    "backup_s3_secret": SECRET,
}
# moto ends TLS in a way that pgBackRest takes for a broken connection
NGINX = f"""
daemon off;
master_process off;
pid /run/bucket/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{PORT} ssl;
    ssl_certificate {CERTIFICATE};
    ssl_certificate_key {KEY};
    location / {{
      proxy_pass http://127.0.0.1:9000;
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""
CREATE = f"""
import ssl, urllib.request
request = urllib.request.Request("https://{NAME}:{PORT}/shop-backup", method="PUT")
urllib.request.urlopen(request, context=ssl._create_unverified_context())
"""


def backups(host: Host) -> list[str]:
    return [each["label"] for each in of_server(host)]


def file_backups(host: Host) -> list[str]:
    return [each["short_id"] for each in json.loads(host.check_output("workbot-file-backup restic snapshots --json"))]


@pytest.fixture(scope="module", autouse=True)
def bucket(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server of buckets on the host, and the backups in one of them."""
    if host.run("apt-cache show python3-moto").rc != 0:
        pytest.skip("Debian 12 has no moto")
    folder: Path = tmp_path_factory.mktemp("plays")
    host.check_output("apt-get install -qq --no-install-recommends python3-moto python3-flask python3-flask-cors")
    authority = issue("A bucket's authority", authority=True)
    server = issue(NAME, authority, names=[NAME])
    files = {AUTHORITY: authority.pem, CERTIFICATE: server.pem, KEY: server.key_pem(), "/run/bucket/nginx.conf": NGINX}
    for path, text in files.items():
        put(host, path, text)
    host.check_output("systemd-run --quiet --collect --unit=bucket moto_server -H 127.0.0.1 -p 9000")
    host.check_output("systemd-run --quiet --collect --unit=bucket-tls nginx -c /run/bucket/nginx.conf")
    deadline = time.monotonic() + 60
    while host.run("python3 -c %s", CREATE).rc != 0:
        assert time.monotonic() < deadline, host.run("journalctl -u bucket --lines=20").stdout
        time.sleep(1)
    # none of these is in the bucket
    host.check_output("postgresql-backup run && postgresql-backup drill")
    host.check_output("workbot-file-backup run --first && workbot-file-backup drill")
    play(folder, *OPTIONS, variables=BUCKET)
    yield folder
    play(folder / "back", *OPTIONS)
    host.check_output("systemctl stop bucket bucket-tls")
    host.check_output("rm %s", AUTHORITY)
    backup(host, "run", "--full")
    host.check_output("workbot-file-backup run --first")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"backup_s3_bucket": "shop-backup-2"}, "answers for bucket shop-backup-2 404 NoSuchBucket"),
        ({"backup_s3_bucket": "", "backup_directory": "/mnt/backup"}, "/mnt/backup is on that of /; expected a mount"),
    ],
    ids=["no such bucket", "no such disk"],
)
def test_where_no_backups_can_be_kept_nothing_is_changed(host: Host, variables: dict[str, str], expected: str) -> None:
    before = state_of(host)
    run = playbook("workbot.stability.site", {**BUCKET, **variables}, *OPTIONS)
    output = " ".join(run.communicate()[0].split())
    assert (run.returncode, expected in output) == (2, True), output
    assert touched(before, state_of(host)) == []


@pytest.mark.parametrize(
    "variables",
    [
        # the run may be what the host needs
        {"backup_s3_endpoint": f"{NAME}:{PORT + 1}"},
        {"backup_s3_bucket": "", "backup_directory": "/mnt/backup", "backup_mount": "any"},
        {"backup_s3_bucket": "", "backup_directory": "/mnt/mounted/backup"},
    ],
    ids=["a store that is away", "a disk that is meant", "a disk that is mounted"],
)
def test_where_they_can_be_kept_or_will_be_the_run_goes_on(
    host: Host, variables: dict[str, str], tmp_path: Path
) -> None:
    host.check_output("mkdir -p /mnt/mounted && mount -t tmpfs tmpfs /mnt/mounted")
    try:
        play(tmp_path, "--check", *OPTIONS, variables={**BUCKET, **variables})
    finally:
        host.check_output("umount /mnt/mounted && rmdir /mnt/mounted")


@pytest.mark.parametrize(("check", "newest"), [("backup", backups), ("files", file_backups)], ids=["database", "files"])
def test_what_is_known_of_another_repository_says_nothing_of_this_one(
    host: Host, check: str, newest: Callable[[Host], list[str]]
) -> None:
    """The timers come a minute after the change, and make the first backups here; the others were proven."""
    found: dict[str, str] = {}

    def is_made() -> bool:
        said = json.loads(host.run(f"workbot-diagnose --check {check} --json").stdout)["findings"]
        found.update({each["check"].partition(".")[2]: each["message"] for each in said})
        return "the newest backup" in found["newest"]

    until(f"the first one, of {check}", is_made, limit=240)
    label = newest(host)[-1]
    assert f"the newest backup, {label}," in found["newest"]
    # of the files the drill follows at once
    assert found["restore"].startswith(("no backup has been proven yet", f"backup {label} was"))


def test_what_a_store_refuses_is_said_without_headers(host: Host) -> None:
    configuration = "/etc/pgbackrest/pgbackrest.conf"
    host.check_output("sed -i.molecule 's/^repo1-s3-bucket=.*/repo1-s3-bucket=nowhere/' %s", configuration)
    try:
        said = fails(host, "run")
    finally:
        host.check_output("mv %s.molecule %s", configuration, configuration)
    assert "Waiting for its end: systemctl status postgresql-backup.service" in said
    assert "404 (NOT FOUND): NoSuchBucket" in said
    assert "Headers" not in said


def test_a_backup_is_made_there_and_proven(host: Host) -> None:
    backup(host, "run")
    assert "found good" in backup(host, "drill")
    assert host.run("runuser -u workbot -- grep -r %s /etc/pgbackrest", SECRET).stdout == ""


def test_the_services_files_are_kept_there_as_well(host: Host) -> None:
    host.check_output("runuser -u workbot -- touch /srv/workbot/shared/uploads/a.txt")
    host.check_output(
        "workbot-file-backup run --first && workbot-file-backup drill && workbot-file-backup restore uploads/a.txt"
    )
    assert host.file("/srv/workbot/restored/uploads/a.txt").exists
    host.check_output("workbot-file-backup forget && rm /srv/workbot/shared/uploads/a.txt")
    assert host.run("runuser -u workbot -- grep -r %s /srv/workbot/config", SECRET).stdout == ""


def test_a_second_run_changes_nothing(bucket: Path) -> None:
    assert play(bucket / "again", *OPTIONS, variables=BUCKET).changed == []
