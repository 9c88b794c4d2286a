# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the capacity plan that shares out PostgreSQL: its connections, and its memory where it is on the host."""

from __future__ import annotations

import math
import re
import typing as t

from .core import MIN_HEAP_MB, OVERHEAD_MB, Plan
from .desired import DIAGNOSIS_CONNECTIONS, OTHER_CONNECTIONS
from .parts import Part, Settings, advise

_KB = {"kB": 1, "MB": 1024, "GB": 1024 * 1024, "TB": 1024 * 1024 * 1024}
LEAST_WORK_MEM_KB = 64
# What a number without a unit stands for, in kB.
_BARE = {"shared_buffers": 8, "work_mem": 1}


def database_part(core: Plan, settings: Settings) -> Part:
    part = Part("database")
    if core.connections:
        most, kept = (settings.origin(name, "chosen") for name in ("service_pool_max", "service_pool_min"))
        connections = f"{core.connections} of {core.desired.connections_available}"
        part.row("pool, at most", core.pool_max, most, "connections of each instance")
        part.row("pool, kept open", core.pool_min, kept)
        part.row("connections", connections, "sum", _connections(core))
        limit = f"the service's role; {DIAGNOSIS_CONNECTIONS * core.desired.hosts} of the diagnosis are apart"
        part.row("CONNECTION LIMIT", core.service_connections, "sum", limit)
    own = {str(name).lower(): value for name, value in (settings.values.get("postgresql_settings") or {}).items()}
    for name, value in core.database_settings.items():
        part.row(name, own.get(name, value), "set" if name in own else "chosen")
    if core.desired.database_memory_mb:
        _refuse_fewer_connections(part, own, settings)
        _weigh_memory(part, core, settings, own)
    return part


def setting_mb(name: str, value: t.Any) -> float | None:
    """Return a memory setting of PostgreSQL in MB; None for what it would not understand, which it says itself."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(kB|MB|GB|TB)?\s*", str(value))
    if not match:
        return None
    return float(match[1]) * (_KB[match[2]] if match[2] else _BARE[name]) / 1024


def _connections(core: Plan) -> str:
    hosts = "1 host" if core.desired.hosts == 1 else f"{core.desired.hosts} hosts"
    used = f"{core.instances} instances x {hosts} x {core.pool_max}{core.desired.released}"
    return f"{used}, of {core.desired.connections_arithmetic}"


def _refuse_fewer_connections(part: Part, own: dict[str, t.Any], settings: Settings) -> None:
    """The server's own setting wins over what the plan shares out."""
    given = str(own.get("max_connections", ""))
    planned = int(settings.values.get("service_database_max_connections", 0))
    if given.isdigit() and int(given) < planned:
        advice = advise(f"service_database_max_connections to {given}", f"max_connections to {planned}")
        message = f"max_connections {given} is less than the {planned} that the plan shares out. {advice}"
        part.refuse("postgresql_settings", message)


def _spare(core: Plan, settings: Settings) -> int:
    """Return the memory that the service could do without: all but the least where nobody asked for it."""
    asked = settings.is_set("service_instances", "service_heap_limit", "service_memory_restart_limit")
    least = core.memory_needed_mb if asked else (MIN_HEAP_MB + OVERHEAD_MB) * core.desired.generations
    return core.desired.memory_available_mb - least


def _weigh_memory(part: Part, core: Plan, settings: Settings, own: dict[str, t.Any]) -> None:
    """What the server takes at most: its cache, and one work_mem for each session if all sort or hash at once.

    The cache is there for good and must fit the server's part. All sessions never sort at once in the life of most
    servers; what would not even fit the whole host then is refused.
    """
    buffers, work = (
        setting_mb(name, own.get(name, core.database_settings[name])) for name in ("shared_buffers", "work_mem")
    )
    if buffers is None or work is None:
        return
    # those of the services and others, or all that a server for other hosts has
    planned = core.connections or core.desired.connections_available
    sessions = planned + core.desired.others_connections + OTHER_CONNECTIONS
    its_part = core.desired.database_memory_mb
    host = core.desired.memory_mb - core.desired.system_memory_mb - core.desired.kept_mb
    needed = math.ceil(buffers + sessions * work)
    line = f"{buffers:g}M shared_buffers + {sessions} sessions x {work:g}M work_mem = {needed}M"
    part.row("all sessions sorting", f"{needed}M", "sum", f"{line}, of {its_part}M")
    if buffers > its_part:
        more = buffers - its_part <= _spare(core, settings)
        advice = advise(
            f"shared_buffers to {its_part}MB", f"service_database_memory to {math.ceil(buffers)}M" if more else ""
        )
        message = f"more than PostgreSQL's part of the host: {buffers:g}M shared_buffers, of {its_part}M. {advice}"
        part.refuse("postgresql_settings", message)
    elif needed > host and "work_mem" in own:
        each = math.floor((host - buffers) * 1024 / sessions)
        advice = advise(f"work_mem to {each}kB") if each >= LEAST_WORK_MEM_KB else "Set service_pool_max lower"
        message = f"more than the host has when all sessions sort at once: {line}, of {host}M. {advice}"
        part.refuse("postgresql_settings", message)
    elif needed > its_part:
        part.notes.append(
            f"PostgreSQL takes more than its part when all sessions sort at once: {line}, of {its_part}M. With a"
            " smaller service_pool_max there are fewer of them"
        )
