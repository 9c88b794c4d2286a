# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory, judged by what really ends a process: the heap against its limit, RSS against the restart limit.

heapUsed near 80 % of heapTotal is how V8 normally works (it grows heapTotal on demand): the ratio is reported and
named, and never judged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._host import proc
from .._host.processes import ProcessTree, load_library
from .._pm2.process import Pm2Process
from .findings import CRITICAL, OK, Finding, Levels, Thresholds, judge_share
from .health import pid_of

MB = 1024 * 1024
_CGROUP_ROOT = Path("/sys/fs/cgroup")
# Version 1 writes "no limit" as the largest number of pages.
_V1_NO_LIMIT = 1 << 60
THRESHOLDS = ("heap", "rss", "host", "cgroup")


@dataclasses.dataclass(frozen=True)
class HeapReading:
    """One process's V8 heap, in bytes."""

    pid: int | None
    used: int
    total: int | None
    limit: int | None
    source: str
    """health or pm2."""


@dataclasses.dataclass(frozen=True)
class CgroupReading:
    """The tightest memory limit above a process, in bytes. `used` leaves out file cache that can be given back."""

    path: str
    used: int
    limit: int


@dataclasses.dataclass(frozen=True)
class MemoryReading:
    trees: tuple[ProcessTree, ...]
    heaps: tuple[HeapReading, ...]
    host_total: int
    host_available: int
    cgroups: tuple[CgroupReading, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "processes": [tree.as_dict() for tree in self.trees],
            "heaps": [dataclasses.asdict(heap) for heap in self.heaps],
            "host": {"total": self.host_total, "available": self.host_available},
            "cgroups": [dataclasses.asdict(cgroup) for cgroup in self.cgroups],
        }


@dataclasses.dataclass(frozen=True)
class MemoryLimits:
    """Percentages; the limits they are of in MB, 0 where unknown."""

    heap: Thresholds
    rss: Thresholds
    host: Thresholds
    cgroup: Thresholds
    heap_limit_mb: int = 0
    memory_restart_mb: int = 0


def read_memory(trees: Iterable[ProcessTree], heaps: Iterable[HeapReading]) -> MemoryReading:
    """Add what the host and the control groups say."""
    host = load_library("psutil", "python3-psutil").virtual_memory()
    found = tuple(trees)
    groups = {group.path: group for tree in found if (group := read_cgroup(tree.pid)) is not None}
    return MemoryReading(found, tuple(heaps), host.total, host.available, tuple(groups.values()))


def read_cgroup(pid: int, root: Path = _CGROUP_ROOT, table: Path = Path("/proc")) -> CgroupReading | None:
    """The tightest limit on the way from a process's own group up; None where nothing limits it."""
    readings = []
    for group, names in _memory_groups(proc.text(pid, "cgroup", table), root):
        limit, used = _number(group / names[0]), _number(group / names[1])
        if limit is None or used is None or not 0 < limit < _V1_NO_LIMIT:
            continue
        readings.append(CgroupReading(str(group), max(0, used - _cache(group / "memory.stat")), limit))
    return min(readings, key=lambda reading: reading.limit - reading.used, default=None)


def _memory_groups(membership: str, root: Path) -> Iterable[tuple[Path, tuple[str, str]]]:
    """The directories of a process's memory groups, version 1 and 2, its own first, with their files' names."""
    for line in membership.splitlines():
        _number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else (root / "unified" if (root / "unified").is_dir() else root)
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        relative = Path(path.lstrip("/"))
        if ".." not in relative.parts:
            yield from ((base / part, names) for part in (relative, *relative.parents))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _cache(path: Path) -> int:
    """The file cache that the kernel gives back first."""
    try:
        lines = dict(line.split(" ", 1) for line in path.read_text(encoding="ascii").splitlines() if " " in line)
        return int(lines.get("total_inactive_file", lines.get("inactive_file", "0")))
    except (OSError, ValueError):
        return 0


def heap_of_body(body: Any) -> HeapReading | None:
    """The heap in a health body: memory.heapUsed, heapTotal and heapLimit, in bytes or MB."""
    memory = body.get("memory") if isinstance(body, dict) else None
    if not isinstance(memory, dict):
        return None
    used = _size(memory.get("heapUsed"))
    if used is None:
        return None
    return HeapReading(pid_of(body), used, _size(memory.get("heapTotal")), _size(memory.get("heapLimit")), "health")


def _size(value: Any) -> int | None:
    """Bytes. A heap below 1 MB or above 1 TB does not exist, so a number below 2^20 is one of MB."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return round(value * MB) if value < MB else round(value)


def collect_heaps(processes: Iterable[Pm2Process], bodies: Iterable[Any], pids: Iterable[int]) -> list[HeapReading]:
    """One reading per process where possible: from health bodies first, PM2's own figures for the rest.

    A cluster's workers answer in turn, each for itself only, so bodies are taken until all `pids` have answered. A body
    without a pid belongs to an unknown worker and is kept once.
    """
    wanted = set(pids)
    readings: dict[int | None, HeapReading] = {}
    for body in bodies:
        reading = heap_of_body(body)
        if reading is None:
            continue
        readings[reading.pid] = reading
        if wanted <= set(readings):
            break
    for process in processes:
        if process.online and process.pid not in readings and process.heap_used is not None:
            readings[process.pid] = HeapReading(process.pid, process.heap_used, process.heap_total, None, "pm2")
    return sorted(readings.values(), key=lambda reading: reading.pid or 0)


def judge_memory(reading: MemoryReading, limits: MemoryLimits) -> list[Finding]:
    if not reading.trees:
        message = "no process of the service runs. Start it and see its error log."
        return [Finding("memory.processes", CRITICAL, message, 0, 1, "processes"), judge_host(reading, limits)]
    findings = [_judge_total(reading.trees)]
    findings += [_judge_rss(tree, limits) for tree in reading.trees]
    for heap in reading.heaps:
        findings += _judge_heap(heap, limits)
    findings.append(judge_host(reading, limits))
    return findings + [_judge_cgroup(group, limits) for group in reading.cgroups]


def _judge_total(trees: Iterable[ProcessTree]) -> Finding:
    found = list(trees)
    rss = sum(tree.rss for tree in found)
    pss = [tree.pss for tree in found]
    shared = "" if None in pss else f", {_mb(sum(size or 0 for size in pss))} MB with shared pages counted once (PSS)"
    count = sum(len(tree.processes) for tree in found)
    return Finding("memory.processes", OK, f"{count} processes, RSS {_mb(rss)} MB{shared}", _mb(rss), None, "MB")


def _judge_rss(tree: ProcessTree, limits: MemoryLimits) -> Finding:
    check, what = f"memory.rss.{tree.label}", f"RSS of {tree.label} (process {tree.pid}) is {_mb(tree.rss)} MB"
    if not limits.memory_restart_mb:
        return Finding(check, OK, f"{what}; not judged, no restart limit is known", _mb(tree.rss), None, "MB")
    percent = 100 * tree.rss / (limits.memory_restart_mb * MB)
    advice = "It is restarted at the limit: look for a leak, or raise the limit if the host has the memory."
    return judge_share(check, percent, limits.rss, f"{what} of {limits.memory_restart_mb} MB (restart limit)", advice)


def _judge_heap(heap: HeapReading, limits: MemoryLimits) -> list[Finding]:
    label = heap.pid if heap.pid is not None else "worker"
    check = f"memory.heap.{label}"
    limit = heap.limit or limits.heap_limit_mb * MB
    what = f"heap of process {label}: {_mb(heap.used)} MB used"
    if limit:
        percent = 100 * heap.used / limit
        advice = "At the limit the process dies: take a heap snapshot to find the leak, or raise the heap limit."
        findings = [judge_share(check, percent, limits.heap, f"{what} of {_mb(limit)} MB (heap limit)", advice)]
    else:
        findings = [Finding(check, OK, f"{what}; not judged, no heap limit is known", _mb(heap.used), None, "MB")]
    if heap.total:
        percent = round(100 * heap.used / heap.total, 1)
        message = f"heapUsed is {percent} % of heapTotal, {_mb(heap.total)} MB; not judged, V8 grows it on demand"
        findings.append(Finding(f"memory.heap_total.{label}", OK, message, percent, None, "%"))
    return findings


def judge_host(reading: MemoryReading, limits: MemoryLimits) -> Finding:
    percent = 100 * (1 - reading.host_available / reading.host_total)
    what = f"the host has {_mb(reading.host_available)} of {_mb(reading.host_total)} MB available; in use"
    return judge_share("memory.host", percent, limits.host, what, "Stop what does not belong here or add memory.")


def _judge_cgroup(group: CgroupReading, limits: MemoryLimits) -> Finding:
    what = f"control group {group.path} uses {_mb(group.used)} of {_mb(group.limit)} MB"
    advice = "At the limit the kernel kills a process: raise the unit's MemoryMax or find what grows."
    return judge_share("memory.cgroup", 100 * group.used / group.limit, limits.cgroup, what, advice)


def _mb(size: float) -> int:
    return round(size / MB)


def limits_of(levels: Levels, settings: Mapping[str, Any]) -> MemoryLimits:
    """From thresholds, and the settings heap_limit_mb and memory_restart_mb. Raises StabilityError."""
    return MemoryLimits(
        **{name: Thresholds.of(levels, name) for name in THRESHOLDS},
        heap_limit_mb=int(settings.get("heap_limit_mb") or 0),
        memory_restart_mb=int(settings.get("memory_restart_mb") or 0),
    )
