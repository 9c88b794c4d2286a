# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan: instances, memory and database connections, weighed against each other.

What is not set is chosen so that it fits, what is set is honoured, and what can't be together is refused with the
arithmetic and the nearest setting that works. During a release the old and the new instances run side by side, so
memory and connections count twice. Sizes are in MB (1024 x 1024 bytes).
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field, replace

from ...module_utils._host.errors import StabilityError

OVERLAP = 2  # old and new instances during a release
DEFAULT_HEAP_MB = 2048
MIN_HEAP_MB = 64
# Under this, one more instance is worth less than more heap for the others.
COMFORTABLE_HEAP_MB = 256
# Outside V8's old space: code, young generation, buffers. An idle server under Node measured 60 to 90 MB of RSS.
OVERHEAD_MB = 128
LEAST_DATABASE_MB = 128
SUPERUSER_CONNECTIONS = 3  # PostgreSQL's superuser_reserved_connections
OTHER_CONNECTIONS = 5  # diagnosis, monitor, migrations and a person with psql
_UNITS = {"K": 1, "M": 1024, "G": 1024 * 1024}
POOLS = {"production": (20, 5), "development": (10, 1)}


class CapacityError(StabilityError):
    """Wishes that can't be together; ``problems`` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Wishes:
    """What is there and what is wanted; None stands for "choose"."""

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


@dataclass(frozen=True)
class Plan:
    """The plan of one host. ``connections`` is that of all hosts during a release; ``lines`` is the arithmetic."""

    instances: int
    hosts: int
    cores: int
    heap_limit_mb: int
    memory_restart_mb: int
    pool_max: int
    pool_min: int
    connections: int
    connections_available: int
    memory_mb: int
    memory_available_mb: int
    memory_needed_mb: int
    system_memory_mb: int
    reserved_memory_mb: int
    database_memory_mb: int
    database_settings: dict[str, str]
    summary: str
    lines: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)


def wishes_from(values: t.Mapping[str, t.Any]) -> Wishes:
    """Return the wishes that a role's variables say, where numbers may be text and "auto" and "max" mean to choose."""
    return Wishes(
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
        reserved_mb=reserved_mb(values.get("reserved_memory", "0")),
        database_mb=_size(values.get("database_memory", "auto")),
    )


def _number(value: t.Any) -> int | None:
    return None if value in ("auto", "max") else int(value)


def _size(value: t.Any) -> int | None:
    return None if value == "auto" else size_mb(str(value))


def reserved_mb(value: t.Any) -> int:
    """Return a size like 512M, or 0 for nothing, in whole MB."""
    return 0 if str(value) == "0" else size_mb(str(value))


def plan(wishes: Wishes) -> Plan:
    """Return the plan, or raise CapacityError with every contradiction."""
    if not wishes.runs_here:
        return _plan_without_instances(wishes)
    system = system_memory_mb(wishes.memory_mb)
    database = database_memory_mb(wishes)
    available = _available(wishes)
    free_connections = max(0, wishes.max_connections - SUPERUSER_CONNECTIONS - OTHER_CONNECTIONS)

    # Eighth and quarter round at the same MB: with one more there is one less, which must not cost an instance.
    steady = min(available, _available(replace(wishes, memory_mb=wishes.memory_mb + 1)))
    instances = wishes.instances or _choose_instances(wishes, steady, free_connections)
    heap, restart = _choose_memory(wishes, available // (instances * OVERLAP))
    pool_max, pool_min = _choose_pool(wishes, free_connections // (instances * wishes.hosts * OVERLAP))
    connections = instances * wishes.hosts * pool_max * OVERLAP if wishes.database else 0

    budget = _Budget(wishes, instances, available, system, database, free_connections)
    problems = budget.memory_problems(heap, restart) + budget.pool_problems(pool_max, pool_min)
    if problems:
        raise CapacityError(problems)
    return Plan(
        instances=instances,
        hosts=wishes.hosts,
        cores=wishes.cores,
        heap_limit_mb=heap,
        memory_restart_mb=restart,
        pool_max=pool_max,
        pool_min=pool_min,
        connections=connections,
        connections_available=free_connections,
        memory_mb=wishes.memory_mb,
        memory_available_mb=available,
        memory_needed_mb=instances * restart * OVERLAP,
        system_memory_mb=system,
        reserved_memory_mb=wishes.reserved_mb,
        database_memory_mb=database,
        database_settings=database_settings(database, wishes),
        summary=budget.summary(heap, restart, pool_max),
        lines=budget.arithmetic(heap, restart, pool_max),
    )


def _plan_without_instances(wishes: Wishes) -> Plan:
    """Return the plan of a host that is only the service's proxy or its database server."""
    system, database = system_memory_mb(wishes.memory_mb), database_memory_mb(wishes)
    free = wishes.memory_mb - system - wishes.reserved_mb
    if database > free:
        line = (
            f"{database}M PostgreSQL, of {free}M ({wishes.memory_mb} - {system} system - {wishes.reserved_mb} reserved)"
        )
        raise CapacityError([f"not enough memory: {line}. Set service_database_memory to {free}M"])
    cores = "core" if wishes.cores == 1 else "cores"
    return Plan(
        instances=0,
        hosts=wishes.hosts,
        cores=wishes.cores,
        heap_limit_mb=0,
        memory_restart_mb=0,
        pool_max=0,
        pool_min=0,
        connections=0,
        connections_available=max(0, wishes.max_connections - SUPERUSER_CONNECTIONS - OTHER_CONNECTIONS),
        memory_mb=wishes.memory_mb,
        memory_available_mb=_available(wishes),
        memory_needed_mb=0,
        system_memory_mb=system,
        reserved_memory_mb=wishes.reserved_mb,
        database_memory_mb=database,
        database_settings=database_settings(database, wishes),
        summary=f"no instances on {wishes.cores} {cores} and {wishes.memory_mb}M: the service runs on other hosts",
    )


def _available(wishes: Wishes) -> int:
    """Return the memory that is left for the service."""
    database = database_memory_mb(wishes)
    return max(0, wishes.memory_mb - system_memory_mb(wishes.memory_mb) - database - wishes.reserved_mb)


def system_memory_mb(memory_mb: int) -> int:
    """Return what the system, Nginx and PM2's daemon keep: an eighth of the host, 128 MB to 1 GB."""
    return min(1024, max(128, memory_mb // 8))


def database_memory_mb(wishes: Wishes) -> int:
    """Return what PostgreSQL keeps where it is on the same host: what is wished, or a quarter of the host, as its
    documentation says for shared_buffers, and at least 128 MB; three quarters where the service is elsewhere."""
    if not (wishes.database and wishes.database_is_local):
        return 0
    if not wishes.runs_here:
        most = min(wishes.memory_mb * 3 // 4, wishes.memory_mb - system_memory_mb(wishes.memory_mb))
        return wishes.database_mb or max(LEAST_DATABASE_MB, most - wishes.reserved_mb)
    return wishes.database_mb or max(LEAST_DATABASE_MB, wishes.memory_mb // 4)


def database_settings(memory_mb: int, wishes: Wishes) -> dict[str, str]:
    """Return settings of a PostgreSQL that may use ``memory_mb`` of the host; none for a server elsewhere.

    Half is the server's own cache. A quarter is for sorts and hashes if all connections have one at once, a sixteenth
    for each of the few processes that vacuum or build an index; PostgreSQL's own defaults are the least. The planner
    may count on what the system's cache holds besides.
    """
    if not memory_mb:
        return {}
    return {
        "shared_buffers": f"{memory_mb // 2}MB",
        "work_mem": f"{min(64, max(4, memory_mb // 4 // wishes.max_connections))}MB",
        "maintenance_work_mem": f"{min(1024, max(64, memory_mb // 16))}MB",
        "effective_cache_size": f"{wishes.memory_mb // 2}MB",
    }


def size_mb(size: str) -> int:
    """Return a size like 512M in whole MB, at least 1; raise ValueError for what is no size."""
    if size[-1:] not in _UNITS:
        raise ValueError(f"{size!r} is no size like 512M")
    return max(1, int(size[:-1]) * _UNITS[size[-1]] // 1024)


def _room(heap: int) -> int:
    """Return the memory outside the heap that a restart limit should leave."""
    return max(OVERHEAD_MB, heap // 4)


def _choose_instances(wishes: Wishes, available: int, free_connections: int) -> int:
    """As many as there are cores, fewer where memory or connections would not do for each."""
    if wishes.memory_restart_mb:
        each = wishes.memory_restart_mb
    elif wishes.heap_limit_mb:
        each = wishes.heap_limit_mb + _room(wishes.heap_limit_mb)
    else:
        each = COMFORTABLE_HEAP_MB + OVERHEAD_MB
    most = [wishes.cores, available // (each * OVERLAP)]
    if wishes.database and wishes.pool_max is None:
        most.append(free_connections // (wishes.hosts * OVERLAP * max(1, wishes.pool_min or 1)))
    return max(1, min(most))


def _choose_memory(wishes: Wishes, share: int) -> tuple[int, int]:
    """Return heap limit and restart limit of an instance that may have ``share`` MB."""
    heap, restart = wishes.heap_limit_mb, wishes.memory_restart_mb
    if heap and restart:
        return heap, restart
    if heap:
        # Room for buffers where there is some, but not more than the share.
        return heap, max(heap + OVERHEAD_MB, min(heap + _room(heap), share))
    limit = restart or share
    heap = max(MIN_HEAP_MB, min(DEFAULT_HEAP_MB, limit - OVERHEAD_MB, limit * 4 // 5))
    return heap, restart or heap + _room(heap)


def _choose_pool(wishes: Wishes, share: int) -> tuple[int, int]:
    if not wishes.database:
        return 0, 0
    usual_max, usual_min = POOLS[wishes.mode]
    least = max(1, wishes.pool_min or 0)
    pool_max = wishes.pool_max or max(least, min(max(usual_max, least), share))
    return pool_max, wishes.pool_min if wishes.pool_min is not None else min(usual_min, pool_max)


@dataclass(frozen=True)
class _Budget:
    """The sums of a plan and what is wrong with them."""

    wishes: Wishes
    instances: int
    available: int
    system: int
    database: int
    free_connections: int

    def memory_line(self, restart: int) -> str:
        database = f" - {self.database} PostgreSQL" if self.database else ""
        reserved = f" - {self.wishes.reserved_mb} reserved" if self.wishes.reserved_mb else ""
        return (
            f"{self.instances} instances x {restart}M restart limit x {OVERLAP} during a release"
            f" = {self.instances * restart * OVERLAP}M, of {self.available}M"
            f" ({self.wishes.memory_mb} - {self.system} system{database}{reserved})"
        )

    def pool_line(self, pool_max: int) -> str:
        sum_ = self.instances * self.wishes.hosts * pool_max * OVERLAP
        return (
            f"{self.instances} instances x {self.wishes.hosts} hosts x {pool_max} connections x {OVERLAP}"
            f" during a release = {sum_}, of {self.free_connections} (max_connections {self.wishes.max_connections}"
            f" - {SUPERUSER_CONNECTIONS} superuser - {OTHER_CONNECTIONS} other)"
        )

    def heap_line(self, heap: int, restart: int) -> str:
        return f"{heap}M heap limit + {OVERHEAD_MB}M outside it = {heap + OVERHEAD_MB}M, of {restart}M restart limit"

    def arithmetic(self, heap: int, restart: int, pool_max: int) -> list[str]:
        lines = [self.heap_line(heap, restart), self.memory_line(restart)]
        return [*lines, self.pool_line(pool_max)] if self.wishes.database else lines

    def summary(self, heap: int, restart: int, pool_max: int) -> str:
        several = "instance" if self.instances == 1 else "instances"
        cores = "core" if self.wishes.cores == 1 else "cores"
        text = (
            f"{self.instances} {several} on {self.wishes.cores} {cores} and {self.wishes.memory_mb}M,"
            f" heap limit {heap}M, restart at {restart}M"
        )
        if not self.wishes.database:
            return text
        connections = self.instances * self.wishes.hosts * pool_max * OVERLAP
        released = f"{connections} of {self.free_connections} during a release"
        return f"{text}, {pool_max} database connections each ({released})"

    def memory_problems(self, heap: int, restart: int) -> list[str]:
        problems = []
        if heap < MIN_HEAP_MB:
            problems.append(f"service_heap_limit {heap}M is too small for Node.js. Set it to {MIN_HEAP_MB}M or more")
        if heap + OVERHEAD_MB > restart:
            problems.append(
                f"PM2 would restart a process before its heap limit acts: {self.heap_line(heap, restart)}."
                f" {self._heap_advice(heap, restart)}"
            )
        if self.instances * restart * OVERLAP > self.available:
            problems.append(f"not enough memory: {self.memory_line(restart)}. {self._memory_advice(restart)}")
        return problems

    def _heap_advice(self, heap: int, restart: int) -> str:
        smaller = restart - OVERHEAD_MB
        raised = f"Set service_memory_restart_limit to {heap + OVERHEAD_MB}M or more"
        return f"{raised}, or service_heap_limit to {smaller}M" if smaller >= MIN_HEAP_MB else f"{raised}"

    def _memory_advice(self, restart: int) -> str:
        fewer, smaller = self.available // (restart * OVERLAP), self.available // (self.instances * OVERLAP)
        advice = []
        if fewer >= 1:
            advice.append(f"service_instances to {fewer}")
        if smaller >= MIN_HEAP_MB + OVERHEAD_MB:
            heap = smaller - OVERHEAD_MB
            advice.append(f"service_memory_restart_limit to {smaller}M and service_heap_limit to {heap}M")
        advice += self._memory_held_back(restart)
        if advice:
            return f"Set {', or '.join(advice)}"
        least = (MIN_HEAP_MB + OVERHEAD_MB) * OVERLAP
        helps = self.database and self.available + self.database >= least
        moved = ", or put the database on another host" if helps else ""
        return f"One instance needs {least}M: use a host with more memory{moved}"

    def _memory_held_back(self, restart: int) -> list[str]:
        """Return what the user keeps from the service that would do for it."""
        free = self.wishes.memory_mb - self.system - self.database - self.wishes.reserved_mb
        short = self.instances * restart * OVERLAP - free
        advice = []
        if self.wishes.reserved_mb >= short:
            left = self.wishes.reserved_mb - short
            advice.append(f"service_reserved_memory to {f'{left}M' if left else 0}")
        if self.database and self.wishes.database_mb and self.database - short >= LEAST_DATABASE_MB:
            advice.append(f"service_database_memory to {self.database - short}M")
        return advice

    def pool_problems(self, pool_max: int, pool_min: int) -> list[str]:
        if not self.wishes.database:
            return []
        problems = []
        if pool_min > pool_max:
            problems.append(
                f"service_pool_min {pool_min} is above service_pool_max {pool_max}: a pool can't keep open more than it"
                f" has. Set service_pool_min to {pool_max} or less, or service_pool_max to {pool_min}"
            )
        per_pool = self.instances * self.wishes.hosts * OVERLAP
        if per_pool * pool_max > self.free_connections:
            line, advice = self.pool_line(pool_max), self._pool_advice(pool_max)
            problems.append(f"not enough database connections: {line}. {advice}")
        return problems

    def _pool_advice(self, pool_max: int) -> str:
        per_pool = self.instances * self.wishes.hosts * OVERLAP
        fewer = self.free_connections // (self.wishes.hosts * pool_max * OVERLAP)
        needed = per_pool * pool_max + SUPERUSER_CONNECTIONS + OTHER_CONNECTIONS
        advice = [f"service_database_max_connections to {needed} (and the server's own)"]
        if fewer >= 1:
            advice.insert(0, f"service_instances to {fewer}")
        if self.free_connections >= per_pool:
            advice.insert(0, f"service_pool_max to {self.free_connections // per_pool}")
        return f"Set {', or '.join(advice)}"
