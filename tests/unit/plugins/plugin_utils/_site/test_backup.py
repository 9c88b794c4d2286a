# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role backup, on tables of inventories."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._site.backup import Backup

# The roles' defaults, on an app host with a server and files of its own.
PLAIN: dict[str, Any] = {
    "ansible_facts": {"hostname": "shop1"},
    "ansible_play_role_names": ["workbot.stability.service", "workbot.stability.release"],
    "backup_directory": "",
    "backup_drill_days": 7,
    "backup_drill_hour": 4,
    "backup_files": True,
    "backup_files_days": 30,
    "backup_files_port": 8433,
    "backup_full_days": 7,
    "backup_has_files": True,
    "backup_hour": 2,
    "backup_keep_full": 4,
    "backup_mount": "auto",
    "backup_removed": False,
    "backup_s3_bucket": "",
    "backup_s3_ca_file": "",
    "backup_s3_endpoint": "",
    "backup_s3_path": "/pgbackrest",
    "backup_s3_path_style": True,
    "backup_s3_region": "us-east-1",
    "backup_wal_limit": "4G",
    "groups": {},
    "hostvars": {},
    "inventory_hostname": "shop1.example.com",
    "service_database_port": 5432,
    "service_database_server": "",
    "service_debian": {"postgresql": "17"},
    "service_directory": "/srv/shop",
    "service_is_external": False,
    "service_name": "shop",
    "service_paths": {"config": "/srv/shop/config", "shared": "/srv/shop/shared"},
    "service_runs_database": True,
    "service_runs_here": True,
    "service_unit_hardening": "PrivateTmp=yes",
    "service_user": "shop",
}
BUCKET = {"backup_s3_bucket": "backups", "backup_s3_endpoint": "s3.test"}
STORE = {
    "backup_directory": "/backup",
    "groups": {"app": ["shop1.example.com", "shop2"], "backup": ["store"]},
    "hostvars": {
        "shop1.example.com": {"release_shared_directories": ["uploads"], "service_database_enabled": True},
        "shop2": {"ansible_host": "192.0.2.2", "service_database_enabled": True, "service_database_port": "5433"},
        "store": {"ansible_host": "2001:db8::1"},
    },
}
AT_HOME = {"inventory_hostname": "store", "service_runs_here": False, "service_runs_database": False}


def backup(**variables: Any) -> Backup:
    return Backup({**PLAIN, **variables}.__getitem__)


def test_without_a_place_nothing_is_kept_and_no_package_asked_for() -> None:
    site = backup()
    assert (site.is_wanted, site.is_made, site.files_are_kept, site.asks, site.keeps) == (False,) * 5
    assert site.packages == []
    assert site.archiving == {"archive_mode": "off"}
    assert site.files_record == ""


@pytest.mark.parametrize(
    ("variables", "packages"),
    [
        ({"backup_directory": "/backup"}, ["pgbackrest", "libeatmydata1", "python3-psycopg", "restic"]),
        (
            {"backup_directory": "/backup", "backup_has_files": False},
            ["pgbackrest", "libeatmydata1", "python3-psycopg"],
        ),
        ({"backup_directory": "/backup", "service_runs_database": False}, ["restic"]),
        ({"backup_directory": "/backup", "backup_removed": "yes"}, []),
        (BUCKET, ["pgbackrest", "libeatmydata1", "python3-psycopg", "ca-certificates", "restic", "ca-certificates"]),
        (STORE, ["pgbackrest", "libeatmydata1", "python3-psycopg", "python3-cryptography", "restic"]),
        ({**STORE, **AT_HOME}, ["pgbackrest", "python3-cryptography", "rclone"]),
    ],
    ids=["directory", "no files", "no server", "removed", "bucket", "group backup", "repository host"],
)
def test_packages_are_those_of_what_is_kept_here(variables: dict[str, Any], packages: list[str]) -> None:
    assert backup(**variables).packages == packages


@pytest.mark.parametrize(
    ("variables", "place", "repository", "files"),
    [
        ({"backup_directory": "/mnt/disk"}, "/mnt/disk", "/mnt/disk/pgbackrest", "/mnt/disk/restic/shop1/shop"),
        (BUCKET, "s3:https://s3.test/backups/pgbackrest", "/pgbackrest", "/pgbackrest/restic/shop1/shop"),
        (STORE, "store:/backup", "/backup/pgbackrest", "/backup/restic/shop.shop1.example.com/0"),
    ],
    ids=["directory", "bucket", "group backup"],
)
def test_the_place_is_what_people_call_it(variables: dict[str, Any], place: str, repository: str, files: str) -> None:
    site = backup(**variables)
    assert (site.place, site.repository, site.files_places[0]) == (place, repository, files)


@pytest.mark.parametrize(
    ("mount", "directory", "expected"),
    [
        ("auto", "/mnt", "/mnt"),
        ("auto", "/media/disk", "/media/disk"),
        ("auto", "/mnt2/disk", ""),
        ("required", "/srv/backup", "/srv/backup"),
        ("any", "/mnt/disk", ""),
    ],
)
def test_below_mnt_and_media_a_directory_has_to_be_mounted(mount: str, directory: str, expected: str) -> None:
    assert backup(backup_mount=mount, backup_directory=directory).mounted_directory == expected


def test_a_directory_of_another_host_has_to_be_mounted_there() -> None:
    mounted = {**STORE, "backup_mount": "required"}
    assert backup(**mounted).mounted_directory == ""
    assert backup(**mounted, **AT_HOME).mounted_directory == "/backup"


def test_a_repository_host_knows_servers_and_clients_by_their_names_in_the_inventory() -> None:
    site = backup(**STORE, **AT_HOME)
    assert site.stanza_paths == ["/etc/pgbackrest/conf.d/shop1.example.com.conf", "/etc/pgbackrest/conf.d/shop2.conf"]
    assert site.stanzas[1]["vars"]["stanza"] == {"name": "shop2", "address": "192.0.2.2", "port": 5433}
    assert site.client_paths == ["/etc/file-backup-repository/shop.shop1.example.com.json"]
    assert {file["mode"] for file in (*site.stanzas, *site.clients)} == {"0640"}
    assert all(file["secret"] for file in (*site.stanzas, *site.clients))


def test_other_hosts_know_it_by_its_address() -> None:
    site = backup(**STORE)
    assert (site.asks, site.keeps, site.stanzas, site.clients) == (True, False, [], [])
    assert site.files_server == "[2001:db8::1]:8433"
    assert site.stanza == "shop1.example.com"
    assert site.files_settings["options"] == ["--cacert=/srv/shop/config/file-backup-authority.pem"]
    assert site.files_settings["turns"] == 3


@pytest.mark.parametrize(("limit", "expected"), [("0", 0), ("512K", 524288), ("4G", 4 * 1024**3)])
def test_the_limit_of_what_waits_is_told_in_bytes(limit: str, expected: int) -> None:
    assert backup(backup_wal_limit=limit).settings["wal_limit"] == expected


@pytest.mark.parametrize(("keep", "days", "expected"), [(4, 7, 21), ("1", 7, 1), (1000, "31", 30969)])
def test_a_server_can_be_restored_to_any_time_of_the_last_full_backups(keep: Any, days: Any, expected: int) -> None:
    assert backup(backup_keep_full=keep, backup_full_days=days).window_days == expected


def test_units_may_write_what_is_theirs_alone() -> None:
    site = backup(backup_directory="/home/backup")
    assert "ReadWritePaths=/var/lib/postgresql-backup -/home/backup/pgbackrest\n" in site.unit
    assert "ProtectHome=no\n" in site.unit
    in_bucket = backup(**BUCKET)
    assert "ReadWritePaths=/var/lib/postgresql-backup -/var/lib/postgresql-backup\n" in in_bucket.unit
    assert "ProtectHome=yes\n" in in_bucket.unit


def test_an_app_host_is_none_in_the_play_for_its_other_part() -> None:
    elsewhere = {"backup_directory": "/backup", "ansible_play_role_names": ["workbot.stability.postgresql"]}
    assert not backup(**elsewhere).files_are_kept
