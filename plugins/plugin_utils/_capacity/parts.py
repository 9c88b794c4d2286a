# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a capacity plan are made of: rows with their arithmetic, contradictions, notes.

A part is a function from the core of the plan and the play's variables to a Part. What it needs and the play's roles do
not have, it leaves out: a playbook need not have all roles.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .core import Contradiction
from .desired import size_mb

# Beginnings of the names that a plan reads.
_PLANNED = (
    "service_instances",
    "service_overlap",
    "service_mode",
    "service_heap_",
    "service_memory_",
    "service_reserved_",
    "service_database_enabled",
    "service_database_host",
    "service_database_max_connections",
    "service_database_memory",
    "service_directory",
    "service_pool_",
    "service_websocket_",
    "service_log_volume",
    "service_release_size",
    "postgresql_settings",
    "release_keep",
    "pm2_kill_timeout",
    "pm2_drain_time",
    "pm2_listen_timeout",
    "pm2_start_timeout",
    "pm2_unit_timeout",
    "pm2_wait_ready",
    "pm2_open_files",
    "nginx_port",
    "nginx_body_limit",
    "nginx_read_timeout",
    "nginx_upstream_",
    "nginx_websocket_",
    "nginx_worker_",
    "logrotate_",
    "backup_directory",
    "backup_s3_bucket",
    "backup_removed",
    "backup_wal_limit",
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Row:
    """One line of the plan. ``origin`` says who decided: set (the user), chosen (the plan), default (a role), sum."""

    name: str
    value: str
    origin: str
    arithmetic: str = ""


@dataclass(frozen=True)
class Part:
    """One concern. Notes are what works, but not as its user may think."""

    name: str
    rows: list[Row] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, name: str, value: t.Any, origin: str, arithmetic: str = "") -> None:
        self.rows.append(Row(name, str(value), origin, arithmetic))

    def refuse(self, variable: str, message: str) -> None:
        self.contradictions.append(Contradiction(variable, message))


@dataclass(frozen=True)
class Settings:
    """The values of the play's variables, and the names of those that the user set."""

    values: t.Mapping[str, t.Any]
    chosen_by_user: frozenset[str] = frozenset()
    mounts: t.Sequence[t.Mapping[str, t.Any]] = ()

    def has(self, *names: str) -> bool:
        return all(name in self.values for name in names)

    def is_set(self, *names: str) -> bool:
        return any(name in self.chosen_by_user for name in names)

    def origin(self, name: str, otherwise: str = "default") -> str:
        return "set" if self.is_set(name) else otherwise

    def number(self, name: str) -> int:
        return int(self.values[name])

    def seconds(self, name: str) -> float:
        return seconds(str(self.values[name]))

    def mb(self, name: str) -> int:
        return size_mb(self.values[name])


def mount_of(mounts: t.Sequence[t.Mapping[str, t.Any]], directory: str) -> t.Mapping[str, t.Any] | None:
    """Return the file system that has the directory, None where the host's facts do not have it."""
    holding = [
        mount
        for mount in mounts
        if mount.get("size_total") and f"{directory}/".startswith(f"{str(mount['mount']).rstrip('/')}/")
    ]
    return max(holding, key=lambda mount: len(str(mount["mount"])), default=None)


def is_planned(name: str) -> bool:
    """Return whether a plan reads the variable, or the place inside one."""
    return name.startswith(_PLANNED)


def seconds(duration: str) -> float:
    """Return a duration like 60s, 500ms or 1h in seconds; raise ValueError for what is none."""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", duration)
    if not match:
        raise ValueError(f"{duration!r} is no duration like 60s")
    return int(match[1]) * _SECONDS[match[2]]


def advise(*ways: str) -> str:
    """Return the sentence that says what would work; a way that is no way is empty."""
    return f"Set {', or '.join(way for way in ways if way)}"
