# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan: instances, memory and database connections, weighed against each other.

What is not set is chosen so that it fits, what is set is honoured, and what can't be together is refused with the
arithmetic and the nearest setting that works. During a release the old and the new instances run side by side, so
memory and connections count twice; a service of which never two may run has one instance. Sizes are in MB (1024 x 1024
bytes).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...module_utils._host.errors import StabilityError
from .claims import Claim
from .desired import DIAGNOSIS_CONNECTIONS, LEAST_DATABASE_MB, OVERLAP, SERVICE_CONNECTIONS, Desired

DEFAULT_HEAP_MB = 2048
MIN_HEAP_MB = 64
# What a service claims of an instance beyond its limit: with exactly that, rounding could plan the next run smaller.
ROUNDING_MB = 2
# Under this, one more instance is worth less than more heap for the others.
COMFORTABLE_HEAP_MB = 256
# Outside V8's old space: code, young generation, buffers. An idle server under Node measured 60 to 90 MB of RSS.
OVERHEAD_MB = 128
# Variables that the plan chooses unless they are set, each with its field of Desired.
_FIELDS = {
    "service_instances": "instances",
    "service_memory_restart_limit": "memory_restart_mb",
    "service_heap_limit": "heap_limit_mb",
    "service_database_memory": "database_mb",
    "service_reserved_memory": "reserved_mb",
    "service_pool_max": "pool_max",
}
POOLS = {"production": (20, 5), "development": (10, 1)}


@dataclass(frozen=True)
class Contradiction:
    """Settings that can't be together: the variable to blame, the arithmetic and the nearest settings that work."""

    variable: str
    message: str


class CapacityError(StabilityError):
    """What can't be together."""

    def __init__(self, contradictions: list[Contradiction]) -> None:
        super().__init__("\n".join(f"{found.variable}: {found.message}" for found in contradictions))
        self.contradictions = contradictions


@dataclass(frozen=True)
class Plan:
    """The plan of one host; one that is only the service's proxy or its database server has no instances."""

    desired: Desired
    instances: int = 0
    heap_limit_mb: int = 0
    memory_restart_mb: int = 0
    pool_max: int = 0
    pool_min: int = 0

    def as_dict(self) -> dict[str, t.Any]:
        """Return the numbers, and as ``lines`` the arithmetic."""
        desired = self.desired
        return {
            "instances": self.instances,
            "generations": desired.generations,
            "hosts": desired.hosts,
            "cores": desired.cores,
            "heap_limit_mb": self.heap_limit_mb,
            "memory_restart_mb": self.memory_restart_mb,
            "pool_max": self.pool_max,
            "pool_min": self.pool_min,
            "connections": self.connections,
            "connections_available": desired.connections_available,
            "service_connections": self.service_connections,
            "diagnosis_connections": DIAGNOSIS_CONNECTIONS * desired.hosts,
            "memory_mb": desired.memory_mb,
            "memory_available_mb": desired.memory_available_mb,
            "memory_needed_mb": self.memory_needed_mb,
            "system_memory_mb": desired.system_memory_mb,
            "reserved_memory_mb": desired.reserved_mb,
            "database_memory_mb": desired.database_memory_mb,
            "database_settings": self.database_settings,
            "max_connections": desired.max_connections,
            "claim": self.claim.as_dict(),
            "summary": self.summary,
            "lines": self._arithmetic(),
        }

    @property
    def connections(self) -> int:
        """Those of all hosts during a release."""
        return self.instances * self.desired.hosts * self.pool_max * self.desired.generations

    @property
    def service_connections(self) -> int:
        """The most that the service's role may have open, so that a leak takes none of another service's.

        Several hosts may differ in their instances, and each of them must name the same number: there, and on a server
        elsewhere, it is all that the other services leave. With smaller pools it shrinks in the run after the one that
        replaces the processes.
        """
        desired, pools = self.desired, self.claim.connections
        planned = max(pools, desired.connections_before) if pools and desired.hosts == 1 else 0
        return (planned or desired.connections_available) + SERVICE_CONNECTIONS * desired.hosts

    @property
    def memory_needed_mb(self) -> int:
        return self.instances * self.memory_restart_mb * self.desired.generations

    @property
    def claim(self) -> Claim:
        """What the other services of the host are to count."""
        desired = self.desired
        rounding = self.instances * self.desired.generations * ROUNDING_MB
        memory = min(desired.memory_available_mb, self.memory_needed_mb + rounding)
        connections = self.connections if desired.database_is_local else 0
        return Claim(desired.service, memory if self.instances else 0, desired.database_memory_mb, connections)

    @property
    def database_settings(self) -> dict[str, str]:
        """Settings of a PostgreSQL that may use its part of the host; none for a server elsewhere.

        Half is the server's own cache. A quarter is for sorts and hashes if all connections have one at once, a
        sixteenth for each of the few processes that vacuum or build an index; PostgreSQL's own defaults are the least.
        The planner may count on what the system's cache holds besides.
        """
        memory = self.desired.database_memory_mb
        if not memory:
            return {}
        return {
            "shared_buffers": f"{memory // 2}MB",
            "work_mem": f"{min(64, max(4, memory // 4 // self.desired.max_connections))}MB",
            "maintenance_work_mem": f"{min(1024, max(64, memory // 16))}MB",
            "effective_cache_size": f"{self.desired.memory_mb // 2}MB",
        }

    @property
    def summary(self) -> str:
        desired = self.desired
        cores = "core" if desired.cores == 1 else "cores"
        host = f"on {desired.cores} {cores} and {desired.memory_mb}M"
        if not self.instances:
            return f"no instances {host}: the service runs on other hosts"
        several = "instance" if self.instances == 1 else "instances"
        limits = f"heap limit {self.heap_limit_mb}M, restart at {self.memory_restart_mb}M"
        text = f"{self.instances} {several} {host}, {limits}"
        if not desired.database:
            return text
        released = f"{self.connections} of {desired.connections_available} during a release"
        return f"{text}, {self.pool_max} database connections each ({released})"

    def contradictions(self) -> list[Contradiction]:
        """Return everything that can't be together."""
        if self.instances:
            return [*self._memory_contradictions(), *self._pool_contradictions()]
        desired = self.desired
        system, database = desired.system_memory_mb, desired.database_memory_mb
        free = desired.memory_mb - system - desired.kept_mb
        if database <= free:
            return []
        sum_ = f"{desired.memory_mb} - {system} system - {desired.kept_mb} reserved"
        message = (
            f"not enough memory: {database}M PostgreSQL, of {free}M ({sum_}). Set service_database_memory to {free}M"
        )
        return [Contradiction(self._blamed("service_database_memory", "service_reserved_memory"), message)]

    def _blamed(self, *variables: str) -> str:
        """Return the first of the variables that was set, or else the last one."""
        return next((name for name in variables if getattr(self.desired, _FIELDS.get(name, ""), None)), variables[-1])

    def _arithmetic(self) -> list[str]:
        if not self.instances:
            return []
        lines = [self._heap_line(), self._memory_line()]
        return [*lines, self._pool_line()] if self.desired.database else lines

    def _heap_line(self) -> str:
        heap, restart = self.heap_limit_mb, self.memory_restart_mb
        return f"{heap}M heap limit + {OVERHEAD_MB}M outside it = {heap + OVERHEAD_MB}M, of {restart}M restart limit"

    def _memory_line(self) -> str:
        desired = self.desired
        return (
            f"{self.instances} instances x {self.memory_restart_mb}M restart limit{desired.released}"
            f" = {self.memory_needed_mb}M, of {desired.memory_available_mb}M"
            f" ({desired.memory_mb}{desired.memory_arithmetic})"
        )

    def _pool_line(self) -> str:
        desired = self.desired
        return (
            f"{self.instances} instances x {desired.hosts} hosts x {self.pool_max} connections{desired.released}"
            f" = {self.connections}, of {desired.connections_available}"
            f" ({desired.connections_arithmetic})"
        )

    def _memory_contradictions(self) -> t.Iterator[Contradiction]:
        heap, restart = self.heap_limit_mb, self.memory_restart_mb
        if heap < MIN_HEAP_MB:
            message = f"{heap}M is too small for Node.js. Set it to {MIN_HEAP_MB}M or more"
            yield Contradiction("service_heap_limit", message)
        if heap + OVERHEAD_MB > restart:
            smaller = restart - OVERHEAD_MB
            advice = f"Set service_memory_restart_limit to {heap + OVERHEAD_MB}M or more"
            advice += f", or service_heap_limit to {smaller}M" if smaller >= MIN_HEAP_MB else ""
            message = f"PM2 would restart a process before its heap limit acts: {self._heap_line()}. {advice}"
            yield Contradiction(self._blamed("service_memory_restart_limit", "service_heap_limit"), message)
        if self.memory_needed_mb > self.desired.memory_available_mb:
            message = f"not enough memory: {self._memory_line()}. {self._memory_advice()}"
            memory = [name for name in _FIELDS if name != "service_pool_max"]
            yield Contradiction(self._blamed(*memory, "service_instances"), message)

    def _memory_advice(self) -> str:
        available, database = self.desired.memory_available_mb, self.desired.database_memory_mb
        generations = self.desired.generations
        fewer = available // (self.memory_restart_mb * generations)
        smaller = available // (self.instances * generations)
        advice = []
        if fewer >= 1:
            advice.append(f"service_instances to {fewer}")
        if smaller >= MIN_HEAP_MB + OVERHEAD_MB:
            heap = smaller - OVERHEAD_MB
            advice.append(f"service_memory_restart_limit to {smaller}M and service_heap_limit to {heap}M")
        advice += self._memory_held_back()
        if advice:
            return f"Set {', or '.join(advice)}"
        least = (MIN_HEAP_MB + OVERHEAD_MB) * generations
        moved = ", or put the database on another host" if database and available + database >= least else ""
        return f"One instance needs {least}M: use a host with more memory{moved}"

    def _memory_held_back(self) -> t.Iterator[str]:
        """Return what the user keeps from the service, or has given to another one, that would do for it."""
        desired = self.desired
        reserved, database, others = desired.reserved_mb, desired.database_memory_mb, desired.others_mb
        short = self.memory_needed_mb - (desired.memory_mb - desired.system_memory_mb - database - desired.kept_mb)
        if reserved - short >= others:
            yield f"service_reserved_memory to {f'{reserved - short}M' if reserved > short else 0}"
        if database and desired.database_mb and database - short >= LEAST_DATABASE_MB:
            yield f"service_database_memory to {database - short}M"
        largest = max(desired.others, key=lambda claim: claim.memory_mb, default=Claim("", 0))
        if others - short >= reserved and largest.memory_mb - short >= (MIN_HEAP_MB + OVERHEAD_MB) * OVERLAP:
            its_own = largest.memory_mb + largest.database_memory_mb
            kept = desired.memory_mb - desired.system_memory_mb - its_own + short
            yield f"service_reserved_memory of {largest.service} to {kept}M, and run site.yml for it first"

    def _pool_contradictions(self) -> t.Iterator[Contradiction]:
        most, least = self.pool_max, self.pool_min
        if least > most:
            message = (
                f"service_pool_min {least} is above service_pool_max {most}: a pool can't keep open more than it"
                f" has. Set service_pool_min to {most} or less, or service_pool_max to {least}"
            )
            yield Contradiction("service_pool_min", message)
        if self.connections > self.desired.connections_available:
            message = f"not enough database connections: {self._pool_line()}. {self._pool_advice()}"
            blamed = self._blamed("service_pool_max", "service_instances", "service_database_max_connections")
            yield Contradiction(blamed, message)

    def _pool_advice(self) -> str:
        free = self.desired.connections_available
        processes = self.desired.hosts * self.desired.generations
        pools, fewer = self.instances * processes, free // (processes * self.pool_max)
        needed = self.connections + self.desired.max_connections - free
        advice = [f"service_pool_max to {free // pools}"] if free >= pools else []
        if fewer >= 1:
            advice.append(f"service_instances to {fewer}")
        advice.append(f"service_database_max_connections to {needed} (and the server's own)")
        if self.desired.others_connections:
            most = max(self.desired.others, key=lambda claim: claim.connections)
            advice.append(f"service_pool_max of {most.service} lower, and run site.yml for it first")
        return f"Set {', or '.join(advice)}"


def plan(desired: Desired) -> Plan:
    """Return the plan, or raise CapacityError with every contradiction."""
    made = _choose(desired) if desired.runs_here else Plan(desired)
    if found := made.contradictions():
        raise CapacityError(found)
    return made


def _choose(desired: Desired) -> Plan:
    # Eighth and quarter round at the same MB: with one more there is one less, which must not cost an instance.
    one_more = replace(desired, memory_mb=desired.memory_mb + 1)
    steady = min(desired.memory_available_mb, one_more.memory_available_mb)
    instances = desired.instances or _choose_instances(desired, steady)
    processes = instances * desired.generations
    heap, restart = _choose_memory(desired, desired.memory_available_mb // processes)
    pool_max, pool_min = _choose_pool(desired, desired.connections_available // (processes * desired.hosts))
    return Plan(desired, instances, heap, restart, pool_max, pool_min)


def _room(heap: int) -> int:
    """Return the memory outside the heap that a restart limit should leave."""
    return max(OVERHEAD_MB, heap // 4)


def _choose_instances(desired: Desired, available: int) -> int:
    """One where never two may run, else one for each core, fewer where memory or connections would not do for each."""
    if not desired.overlap:
        return 1
    if desired.memory_restart_mb:
        each = desired.memory_restart_mb
    elif desired.heap_limit_mb:
        each = desired.heap_limit_mb + _room(desired.heap_limit_mb)
    else:
        each = COMFORTABLE_HEAP_MB + OVERHEAD_MB
    most = [desired.cores, available // (each * desired.generations)]
    if desired.database and desired.pool_max is None:
        processes = desired.hosts * desired.generations
        most.append(desired.connections_available // (processes * max(1, desired.pool_min or 1)))
    return max(1, min(most))


def _choose_memory(desired: Desired, share: int) -> tuple[int, int]:
    """Return heap limit and restart limit of an instance that may have ``share`` MB."""
    heap, restart = desired.heap_limit_mb, desired.memory_restart_mb
    if heap and restart:
        return heap, restart
    if heap:
        # Room for buffers where there is some, but not more than the share.
        return heap, max(heap + OVERHEAD_MB, min(heap + _room(heap), share))
    limit = restart or share
    heap = max(MIN_HEAP_MB, min(DEFAULT_HEAP_MB, limit - OVERHEAD_MB, limit * 4 // 5))
    return heap, restart or heap + _room(heap)


def _choose_pool(desired: Desired, share: int) -> tuple[int, int]:
    if not desired.database:
        return 0, 0
    usual_max, usual_min = POOLS[desired.mode]
    least = max(1, desired.pool_min or 0)
    pool_max = desired.pool_max or max(least, min(max(usual_max, least), share))
    return pool_max, desired.pool_min if desired.pool_min is not None else min(usual_min, pool_max)
