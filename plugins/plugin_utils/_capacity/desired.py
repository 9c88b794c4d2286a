# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host and what a service desires of it, and what there is for it besides the system and the other services."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .claims import Claim, claims_of, connections_before, shown

OVERLAP = 2  # old and new instances during a release
LEAST_DATABASE_MB = 128
SUPERUSER_CONNECTIONS = 3  # PostgreSQL's superuser_reserved_connections
DIAGNOSIS_CONNECTIONS = 3
SERVICE_CONNECTIONS = 2  # beside the pools, as the service's role: a migration or a job, and what probes the database
OTHER_CONNECTIONS = DIAGNOSIS_CONNECTIONS + SERVICE_CONNECTIONS
_UNITS = {"K": 1, "M": 1024, "G": 1024 * 1024}


@dataclass(frozen=True)
class Desired:
    """A host and what is desired of it; None stands for "choose"."""

    cores: int
    memory_mb: int
    hosts: int = 1
    runs_here: bool = True
    mode: str = "production"
    instances: int | None = None
    heap_limit_mb: int | None = None
    memory_restart_mb: int | None = None
    database: bool = True
    database_is_local: bool = True
    max_connections: int = 100
    pool_max: int | None = None
    pool_min: int | None = None
    reserved_mb: int = 0
    database_mb: int | None = None
    overlap: bool = True
    """Whether the old and the new instances run side by side during a release; there is only one instance otherwise."""
    service: str = ""
    """Its name, where it takes part of the host; a plan that is advice alone counts nobody."""
    others: tuple[Claim, ...] = ()
    """What the other services of the host have planned."""
    connections_before: int = 0
    """What the service itself planned in its last run, whose processes go on until they are replaced."""

    @classmethod
    def of(cls, values: t.Mapping[str, t.Any]) -> Desired:
        """Return what a role's variables say, where numbers may be text and "auto" and "max" mean to choose."""
        service, facts = str(values.get("service") or ""), values.get("local_facts") or {}
        return cls(
            cores=max(1, int(values["cores"])),
            memory_mb=int(values["memory_mb"]),
            hosts=max(1, int(values["hosts"])),
            runs_here=bool(values.get("runs_here", True)),
            mode=str(values["mode"]),
            instances=_number(values["instances"]),
            heap_limit_mb=_size(values["heap_limit"]),
            memory_restart_mb=_size(values["memory_restart_limit"]),
            database=bool(values["database"]),
            database_is_local=bool(values["database_is_local"]),
            max_connections=int(values["max_connections"]),
            pool_max=_number(values["pool_max"]),
            pool_min=_number(values["pool_min"]),
            reserved_mb=size_mb(values.get("reserved_memory", "0")),
            database_mb=_size(values.get("database_memory", "auto")),
            overlap=bool(values.get("overlap", True)),
            service=service,
            others=claims_of(facts, service) if service else (),
            connections_before=connections_before(facts, service),
        )

    @property
    def generations(self) -> int:
        """How many generations of instances there are at the same time."""
        return OVERLAP if self.overlap else 1

    @property
    def released(self) -> str:
        """That factor in an arithmetic."""
        return f" x {self.generations} during a release" if self.overlap else ""

    @property
    def connections_available(self) -> int:
        """The database's connections for the service on all hosts."""
        return max(0, self.max_connections - SUPERUSER_CONNECTIONS - OTHER_CONNECTIONS - self.others_connections)

    @property
    def others_connections(self) -> int:
        """Those of the host's own server that its other services have planned."""
        return sum(claim.connections for claim in self.others) if self.database_is_local else 0

    @property
    def connections_arithmetic(self) -> str:
        """How many the service may have, but for the sum."""
        others = shown({claim.service: claim.connections for claim in self.others}) if self.others_connections else ""
        return (
            f"max_connections {self.max_connections} - {SUPERUSER_CONNECTIONS} superuser - {OTHER_CONNECTIONS} other"
            + (f" - {self.others_connections} of other services ({others})" if others else "")
        )

    @property
    def memory_available_mb(self) -> int:
        """The memory that is left for the service."""
        return max(0, self.memory_mb - self.system_memory_mb - self.database_memory_mb - self.kept_mb)

    @property
    def kept_mb(self) -> int:
        """What others get. Whoever leaves room for another service reserves it, and goes on as he is when it comes."""
        return max(self.reserved_mb, self.others_mb)

    @property
    def others_mb(self) -> int:
        """What the other services have planned."""
        return sum(self.others_memory.values())

    @property
    def others_memory(self) -> dict[str, int]:
        """By service; PostgreSQL's part of the host is in it where this service's own plan has less."""
        planned = {claim.service: claim.memory_mb for claim in self.others}
        if self.runs_here:
            planned["PostgreSQL"] = max(0, self.others_database_mb - self.database_memory_mb)
        return planned

    @property
    def others_database_mb(self) -> int:
        return max((claim.database_memory_mb for claim in self.others), default=0)

    @property
    def memory_arithmetic(self) -> str:
        """What is taken off the host's memory before the service gets the rest."""
        database = f" - {self.database_memory_mb} PostgreSQL" if self.database_memory_mb else ""
        kept = f" - {self.kept_mb} reserved" if self.kept_mb else ""
        if self.others_mb and self.others_mb == self.kept_mb:
            kept = f" - {self.kept_mb} of other services ({shown(self.others_memory)})"
        return f" - {self.system_memory_mb} system{database}{kept}"

    @property
    def system_memory_mb(self) -> int:
        """What the system, Nginx and PM2's daemon keep: an eighth of the host, 128 MB to 1 GB."""
        return min(1024, max(128, self.memory_mb // 8))

    @property
    def database_memory_mb(self) -> int:
        """What PostgreSQL keeps where it is on the same host: what is desired, or a quarter of the host, as its
        documentation says for shared_buffers, and at least 128 MB; three quarters where the service is elsewhere."""
        if not (self.database and self.database_is_local):
            return 0
        if self.runs_here:
            return self.database_mb or max(LEAST_DATABASE_MB, self.memory_mb // 4)
        most = min(self.memory_mb * 3 // 4, self.memory_mb - self.system_memory_mb)
        return self.database_mb or max(LEAST_DATABASE_MB, most - self.kept_mb)


def _number(value: t.Any) -> int | None:
    return None if value in ("auto", "max") else int(value)


def _size(value: t.Any) -> int | None:
    return None if value == "auto" else size_mb(value)


def size_mb(value: t.Any) -> int:
    """Return a size like 512M in whole MB, at least 1, or 0 for nothing; raise ValueError for what is no size."""
    size = str(value)
    if size == "0":
        return 0
    if size[-1:] not in _UNITS:
        raise ValueError(f"{size!r} is no size like 512M")
    return max(1, int(size[:-1]) * _UNITS[size[-1]] // 1024)
