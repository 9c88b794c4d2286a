# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan of a host: the core that shares out memory and connections, and the parts that hold it against the
other layers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .claims import shown
from .connections import files_part, proxy_part
from .core import OVERHEAD_MB, Contradiction, Plan
from .database import database_part
from .disk import disk_part
from .parts import Part, Settings
from .timeouts import times_part


@dataclass(frozen=True)
class HostPlan:
    """The plan of one host; see Part."""

    core: Plan
    parts: list[Part]

    @property
    def contradictions(self) -> list[Contradiction]:
        return [found for part in self.parts for found in part.contradictions]

    @property
    def notes(self) -> list[str]:
        return [note for part in self.parts for note in part.notes]

    def as_dict(self) -> dict[str, t.Any]:
        """Return the plan for machines: the core, and each row by part and name."""
        parts = {
            part.name: {
                row.name: {"value": row.value, "origin": row.origin, "arithmetic": row.arithmetic} for row in part.rows
            }
            for part in self.parts
            if part.rows
        }
        return {**self.core.as_dict(), "parts": parts, "notes": self.notes}

    def table(self, host: str) -> str:
        """Return the plan for people."""
        rows = [row for part in self.parts for row in part.rows]
        name, value = max(len(row.name) for row in rows), max(len(row.value) for row in rows)
        lines = [f"{host}: {self.core.summary}"]
        for part in self.parts:
            lines += [f"  {part.name}"] if part.rows else []
            for row in part.rows:
                text = f"    {row.name:{name}}  {row.value:{value}}  {row.origin:7}  {row.arithmetic}"
                lines.append(text.rstrip())
        lines += ["  notes"] if self.notes else []
        return "\n".join(lines + [f"    {note}" for note in self.notes])


def host_plan(core: Plan, settings: Settings) -> HostPlan:
    """Return the plan with all its parts; the core's contradictions were raised before there was one."""
    makers = (memory_part, database_part, proxy_part, files_part, times_part, disk_part)
    return HostPlan(core, [make(core, settings) for make in makers])


def memory_part(core: Plan, settings: Settings) -> Part:
    """What the core has shared out; it is without contradiction."""
    part, desired, origin = Part("memory"), core.desired, settings.origin
    if core.instances:
        left = f"{desired.memory_mb}M{desired.memory_arithmetic}"
        room = core.memory_restart_mb - core.heap_limit_mb
        outside = f"heap limit + {room}M outside the heap, at least {OVERHEAD_MB}M"
        each = f"{core.instances} instances x {core.memory_restart_mb}M{desired.released}"
        chosen = "chosen" if settings.values.get("service_instances", "max") == "max" else "set"
        part.row("instances", core.instances, chosen, f"of {desired.cores} cores")
        part.row("heap limit", f"{core.heap_limit_mb}M", origin("service_heap_limit", "chosen"))
        restart = origin("service_memory_restart_limit", "chosen")
        part.row("restart limit", f"{core.memory_restart_mb}M", restart, outside)
        if desired.others_mb:
            part.row("other services", f"{desired.others_mb}M", "sum", shown(desired.others_memory, "M"))
        part.row("left for the service", f"{desired.memory_available_mb}M", "sum", left)
        part.row("needed by it", f"{core.memory_needed_mb}M", "sum", each)
    if 0 < desired.reserved_mb < desired.others_mb:
        part.notes.append(
            f"service_reserved_memory {desired.reserved_mb}M is less than the host's other services have planned,"
            f" {desired.others_mb}M, which counts in its place: for programs besides these, set it above that"
        )
    if desired.database_memory_mb:
        part.row("PostgreSQL's memory", f"{desired.database_memory_mb}M", origin("service_database_memory", "chosen"))
    return part
