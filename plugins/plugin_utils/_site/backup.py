# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role backup: what it keeps, where, and who makes it.

No secret is read here, since what is found is kept among the host's variables.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.common.text.formatters import human_to_bytes

from .._fleet.clients import clients_of
from .._fleet.inventory import Groups, Variables, address_of
from .._fleet.stanzas import stanzas_of
from .base import Site

_USER = "postgres"
_REPOSITORY_USER = "pgbackrest"
_KEEPER_USER = "restic"
_STATE = "/var/lib/postgresql-backup"
_REPOSITORY_STATE = "/var/lib/backup-repository"
_STANZAS = "/etc/pgbackrest/conf.d"
_CLIENTS = "/etc/file-backup-repository"
_ROLE = "workbot.stability.release"
# How many repositories of a client there are: one is in use, the one before is kept, and one is to come.
_TURNS = 3

# What all units have in common: the running server and the service come first.
_UNIT = """\
UMask=0027
Environment=LANG=C.UTF-8
CPUWeight=20
IOWeight=20
Nice=10
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
"""
_IDLE = (
    "# only while nobody else wants the processor: the weight counts among units, "
    "the policy where they have no control groups of their own\n"
    "CPUWeight=idle\nCPUSchedulingPolicy=idle"
)


class Backup(Site):
    ansible_play_role_names: Sequence[str]
    backup_directory: str
    backup_drill_days: int
    backup_drill_hour: int
    backup_files: bool
    backup_files_days: int
    backup_files_port: int
    backup_full_days: int
    backup_has_files: bool
    backup_hour: int
    backup_keep_full: int
    backup_mount: str
    backup_removed: bool
    backup_s3_bucket: str
    backup_s3_ca_file: str
    backup_s3_endpoint: str
    backup_s3_path: str
    backup_s3_path_style: bool
    backup_s3_region: str
    backup_wal_limit: str
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str
    service_database_port: int
    service_database_server: str
    service_debian: Mapping[str, str]
    service_directory: str
    service_is_external: bool
    service_name: str
    service_paths: Mapping[str, str]
    service_runs_database: bool
    service_runs_here: bool
    service_unit_hardening: str
    service_user: str

    @cached_property
    def is_wanted(self) -> bool:
        return bool(self.backup_directory or self.backup_s3_bucket) and not self.backup_removed

    @cached_property
    def is_made(self) -> bool:
        """Return whether this host's server has backups."""
        return self.is_wanted and self.service_runs_database

    @cached_property
    def is_made_somewhere(self) -> bool:
        """Return whether the server that the service uses has them, on this host or the database host."""
        return self.is_made or (self.is_wanted and self.service_database_server != "")

    @cached_property
    def files_are_kept(self) -> bool:
        """Return whether the service's files are kept, of which each app host has its own."""
        return self.is_wanted and self.backup_files and self.backup_has_files and self.is_app_host

    @cached_property
    def is_app_host(self) -> bool:
        """Return whether the service runs here; not in the play for another part that the host has in a fleet."""
        return self.service_runs_here and not self.service_is_external and _ROLE in self.ansible_play_role_names

    @cached_property
    def repository_host(self) -> str:
        """Return the host of the group backup, which has the directory and makes the servers' backups; "" for none."""
        return next(iter(self.groups.get("backup", ())), "")

    @cached_property
    def is_repository_host(self) -> bool:
        return self.inventory_hostname == self.repository_host

    @cached_property
    def repository_address(self) -> str:
        return address_of(self.repository_host, self.hostvars[self.repository_host]) if self.repository_host else ""

    @cached_property
    def asks(self) -> bool:
        """Return whether this host has backups there."""
        return self.repository_host != "" and (self.is_made or self.files_are_kept)

    @cached_property
    def keeps(self) -> bool:
        """Return whether other hosts have backups on this one."""
        return self.is_repository_host and self.is_wanted

    @cached_property
    def local_directory(self) -> str:
        return "" if self.repository_host else self.backup_directory

    @cached_property
    def mounted_directory(self) -> str:
        """Return the directory that has to be on a file system of its own; "" if none has."""
        below = re.match(r"/(mnt|media)(/|$)", self.backup_directory)
        is_mount = self.backup_mount == "required" or (self.backup_mount == "auto" and bool(below))
        return self.backup_directory if is_mount and (self.local_directory or self.keeps) else ""

    @cached_property
    def own_directory(self) -> str:
        """Return the part of the directory that is pgBackRest's: the rest may be others'."""
        return f"{self.backup_directory}/pgbackrest"

    @cached_property
    def repository(self) -> str:
        return self.own_directory if self.backup_directory else self.backup_s3_path

    @cached_property
    def place(self) -> str:
        """Return the name that people call it by: what a host knows of backups is of the repository of that name."""
        if self.backup_s3_bucket:
            return self._bucket
        return f"{self.repository_host}:{self.backup_directory}" if self.repository_host else self.backup_directory

    @cached_property
    def server_packages(self) -> list[str]:
        if not self.is_made:
            return []
        return ["pgbackrest", "libeatmydata1", "python3-psycopg", *self._bucket_packages, *self._tls_packages]

    @cached_property
    def files_packages(self) -> list[str]:
        return ["restic", *self._bucket_packages] if self.files_are_kept else []

    @cached_property
    def repository_packages(self) -> list[str]:
        return ["pgbackrest", *self._tls_packages] if self.keeps else []

    @cached_property
    def keeper_packages(self) -> list[str]:
        return ["rclone"] if self.clients else []

    @cached_property
    def packages(self) -> list[str]:
        return [*self.server_packages, *self.files_packages, *self.repository_packages, *self.keeper_packages]

    @cached_property
    def _bucket_packages(self) -> list[str]:
        return ["ca-certificates"] if self.backup_s3_bucket else []

    @cached_property
    def _tls_packages(self) -> list[str]:
        return ["python3-cryptography"] if self.repository_host else []

    @cached_property
    def stanza(self) -> str:
        """Return pgBackRest's word for a server and all its backups, of which several may have one repository.

        What the host calls itself: inventories may have several names for it. A repository host knows it by its name
        in the inventory alone.
        """
        return self.inventory_hostname if self.repository_host else str(self.fact("hostname"))

    @cached_property
    def data_directory(self) -> str:
        return f"/var/lib/postgresql/{self.service_debian['postgresql']}/main"

    @cached_property
    def restored_directory(self) -> str:
        """Return where a server is restored: on the disk of the running one, which it may replace."""
        return f"/var/lib/postgresql/{self.service_debian['postgresql']}/restored"

    @cached_property
    def minute(self) -> int:
        return _minute(self.fact("hostname"))

    @cached_property
    def files_minute(self) -> int:
        return _minute(self.fact("hostname") + self.service_name)

    @cached_property
    def window_days(self) -> int:
        """Return for how many days a server can be restored to any time.

        By time, not by count: full backups that somebody makes by hand would take days from it. The full one that is
        as old stays as well, so of those that are made by themselves there are as many as backup_keep_full.
        """
        return max((self.backup_keep_full - 1) * self.backup_full_days, 1)

    @cached_property
    def wal_bytes(self) -> int:
        return int(human_to_bytes(self.backup_wal_limit))

    @cached_property
    def archiving(self) -> dict[str, str]:
        """Return the server's settings. Leaving them out does not end archiving: a server that archives keeps what
        it has no command for, until its disk is full.
        """
        if not self.is_made:
            return {"archive_mode": "off"}
        return {
            "archive_mode": "on",
            "archive_command": "/usr/local/bin/postgresql-backup pgbackrest_archive %p",
            # seconds that may be lost with the host
            "archive_timeout": "120s",
        }

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the command on the host reads: plugins/module_utils/_programs/backup/settings.py."""
        return {
            "stanza": self.stanza,
            "version": self.service_debian["postgresql"],
            "port": self.service_database_port,
            "data_directory": self.data_directory,
            "restored_directory": self.restored_directory,
            "directory": _STATE,
            "hour": self.backup_hour,
            "drill_hour": self.backup_drill_hour,
            "full_days": self.backup_full_days,
            "drill_days": self.backup_drill_days,
            "wal_limit": self.wal_bytes,
            "repository": self.place,
            "repository_host": self.repository_host,
        }

    @cached_property
    def unit(self) -> str:
        """Return the lines of the backup and the drill."""
        written = f"{_STATE} -{self.own_directory if self.local_directory else _STATE}"
        return f"{self._unit(_USER, written, self.local_directory)}\n{_IDLE}"

    @cached_property
    def repository_unit(self) -> str:
        return self._unit(_REPOSITORY_USER, f"{_REPOSITORY_STATE} {self.own_directory}", self.backup_directory)

    @cached_property
    def keeper_unit(self) -> str:
        return self._unit(_KEEPER_USER, f"{self.backup_directory}/restic", self.backup_directory)

    def _unit(self, user: str, written: str, directory: str) -> str:
        home = "no" if directory.startswith("/home/") else "yes"
        own = f"User={user}\nGroup={user}\nReadWritePaths={written}\nProtectHome={home}\n"
        return f"{own}{_UNIT}{self.service_unit_hardening}"

    @cached_property
    def files_record(self) -> str:
        """Return where the backups of the service's files are recorded; "" where there are none."""
        return f"{self._files_state}/record.json" if self.files_are_kept else ""

    @cached_property
    def files_repository(self) -> str:
        """Return restic's repository. Each host and service has its own, so that none has to wait for another."""
        return f"{self.backup_directory or self._bucket}/{self._files_place}"

    @cached_property
    def files_places(self) -> list[str]:
        """Return the paths at which a host's files may be, as the repository host or the bucket has them."""
        if self.repository_host:
            return [f"{self.backup_directory}/restic/{self.client}/{turn}" for turn in range(_TURNS)]
        return [f"{self.backup_directory or self.backup_s3_path.rstrip('/')}/{self._files_place}"]

    @cached_property
    def files_server(self) -> str:
        address = self.repository_address
        return f"{f'[{address}]' if ':' in address else address}:{self.backup_files_port}"

    @cached_property
    def files_settings(self) -> dict[str, Any]:
        """Return what that command reads: plugins/module_utils/_programs/file_backup/settings.py."""
        config = self.service_paths["config"]
        return {
            "service": self.service_name,
            "user": self.service_user,
            "shared": self.service_paths["shared"],
            "restored": f"{self.service_directory}/restored",
            "repository": self.place,
            "options": self._files_options,
            "secrets": f"{config}/file-backup-secrets.json",
            "directory": self._files_state,
            "hour": self.backup_hour,
            "drill_days": self.backup_drill_days,
            "files_days": self.backup_files_days,
            # a repository host removes what is old, as a whole
            "turns": _TURNS if self.repository_host else 1,
        }

    @cached_property
    def client(self) -> str:
        """Return its name there: two inventories may have a service on the same host, or one of the same name."""
        return f"{self.service_name}.{self.inventory_hostname}"

    @cached_property
    def stanzas(self) -> list[dict[str, Any]]:
        """Return a file for each server, which inventories of other services on its host write alike."""
        if not self.is_repository_host:
            return []
        return _as_files(
            stanzas_of(self.hostvars, self.groups, _STANZAS), template="stanza.conf.j2", group=_REPOSITORY_USER
        )

    @cached_property
    def clients(self) -> list[dict[str, Any]]:
        """Return a file for each app host whose service's files are kept here, by a user that nobody becomes over the
        network. A host can add to its own, and read it.
        """
        if not self.keeps:
            return []
        found = clients_of(self.hostvars, self.groups, self.service_name, _CLIENTS, self.backup_files_days)
        return _as_files(found, template="file-client.json.j2", group=_KEEPER_USER)

    @cached_property
    def stanza_paths(self) -> list[str]:
        return [file["path"] for file in self.stanzas]

    @cached_property
    def client_paths(self) -> list[str]:
        return [file["path"] for file in self.clients]

    @cached_property
    def _bucket(self) -> str:
        return f"s3:https://{self.backup_s3_endpoint}/{self.backup_s3_bucket}{self.backup_s3_path.rstrip('/')}"

    @cached_property
    def _files_place(self) -> str:
        return f"restic/{self.fact('hostname')}/{self.service_name}"

    @cached_property
    def _files_state(self) -> str:
        return f"/var/lib/{self.service_name}-file-backup"

    @cached_property
    def _files_options(self) -> list[str]:
        if self.backup_s3_bucket:
            lookup = "path" if self.backup_s3_path_style else "dns"
            own = [f"--cacert={self.backup_s3_ca_file}"] if self.backup_s3_ca_file else []
            return [f"--option=s3.region={self.backup_s3_region}", f"--option=s3.bucket-lookup={lookup}", *own]
        return [f"--cacert={self.service_paths['config']}/file-backup-authority.pem"] if self.repository_host else []


def _minute(seed: str) -> int:
    """Return a minute of the hour that is the host's own, so that not all begin at once."""
    return random.Random(seed).randrange(60)


def _as_files(found: Sequence[dict[str, Any]], *, template: str, group: str) -> list[dict[str, Any]]:
    return [{**file, "template": template, "secret": True, "group": group, "mode": "0640"} for file in found]
