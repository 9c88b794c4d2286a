# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a server's connections: what its users may open together, what they have open, and who stands in whose way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._checks.findings import (
    CONNECTIONS_OF,
    CONNECTIONS_OPEN,
    CRITICAL,
    OK,
    WARNING,
    Finding,
    Levels,
    Thresholds,
    judge_share,
)
from .sessions import Connections, Session

_IDLE = ("idle in transaction", "idle in transaction (aborted)")
_SHOWN = 5
THRESHOLDS = ("open", "idle", "waiting")


@dataclasses.dataclass(frozen=True)
class Consumer:
    """A service: on each of its hosts `instances` processes with a pool of `pool_max` connections each."""

    name: str
    role: str
    database: str
    instances: int
    pool_max: int
    hosts: int = 1
    overlap: int = 2
    """Old and new instances run side by side during a release."""

    @property
    def at_most(self) -> int:
        return self.instances * self.hosts * self.pool_max * self.overlap

    def arithmetic(self) -> str:
        hosts = f" x {self.hosts} hosts" if self.hosts > 1 else ""
        overlap = f" x {self.overlap} during a release" if self.overlap > 1 else ""
        return f"{self.name} {self.instances} instances{hosts} x {self.pool_max} connections{overlap} = {self.at_most}"

    def owns(self, session: Session) -> bool:
        return session.role == self.role and session.database == self.database


def limits_of(levels: Levels) -> dict[str, Thresholds]:
    """Percentages of open connections; seconds in a transaction without a statement, and waiting for a lock.

    Raises StabilityError.
    """
    return {name: Thresholds.of(levels, name) for name in THRESHOLDS}


def consumer_of(values: Mapping[str, Any]) -> Consumer:
    """From a dictionary of options; role and database are the name's own unless given."""
    name = str(values["name"])
    numbers = {key: int(values[key]) for key in ("hosts", "overlap") if values.get(key) is not None}
    return Consumer(
        name,
        str(values.get("role") or name),
        str(values.get("database") or name),
        int(values["instances"]),
        int(values["pool_max"]),
        **numbers,
    )


def judge_connections(
    found: Connections, consumers: Sequence[Consumer], others: Mapping[str, int], limits: Mapping[str, Thresholds]
) -> list[Finding]:
    """`others` are further users and what each may open: cron jobs, the monitor, migrations, a person."""
    findings = [judge_plan(found, consumers, others), _judge_open(found, limits["open"])]
    findings += [_judge_consumer(found, consumer) for consumer in consumers]
    idle = [session for session in found.sessions if session.state in _IDLE]
    waiting = [session for session in found.sessions if session.blockers]
    findings.append(_judge_oldest("connections.idle_in_transaction", idle, limits["idle"], _idle_text))
    return [*findings, _judge_oldest("connections.waiting", waiting, limits["waiting"], _waiting_text)]


def judge_plan(found: Connections, consumers: Sequence[Consumer], others: Mapping[str, int]) -> Finding:
    """Whether all may have what they are allowed to at once, beside what foreign roles and databases have open."""
    # A consumer's database counts as its own whoever is in it.
    databases = {consumer.database for consumer in consumers}
    foreign = [session for session in found.sessions if session.database not in databases]
    parts = [consumer.arithmetic() for consumer in consumers]
    parts += [f"{name} {count}" for name, count in others.items() if count]
    parts += [f"other roles and databases {len(foreign)} open now"] if foreign else []
    total = sum(consumer.at_most for consumer in consumers) + sum(others.values()) + len(foreign)
    available = found.limits.available
    message = f"{', '.join(parts) or 'nobody'}: {total} of {available} ({found.limits.arithmetic()})"
    if total <= available:
        return Finding("connections.budget", OK, message, total, available, "connections")
    message = f"not enough connections: {message}. {_advice(found, consumers, total)}"
    return Finding("connections.budget", CRITICAL, message, total, available, "connections")


def _advice(found: Connections, consumers: Sequence[Consumer], total: int) -> str:
    needed = total + found.limits.max_connections - found.limits.available
    advice = [f"Set max_connections to {needed} or more"]
    if len(consumers) == 1:
        only = consumers[0]
        room = found.limits.available - (total - only.at_most)
        processes = only.instances * only.hosts * only.overlap
        if room >= processes:
            advice.append(f"the pool of {only.name} to {room // processes}")
        fewer = room // (only.hosts * only.overlap * only.pool_max)
        if fewer >= 1:
            advice.append(f"its instances to {fewer}")
    return ", or ".join(advice)


def _judge_open(found: Connections, thresholds: Thresholds) -> Finding:
    used, available = len(found.sessions), found.limits.available
    what = f"{used} of {available} connections are open ({found.limits.arithmetic()})"
    advice = "At the limit new ones are refused: lower the pools or raise max_connections."
    return judge_share(CONNECTIONS_OPEN, 100 * used / max(1, available), thresholds, what, advice)


def _judge_consumer(found: Connections, consumer: Consumer) -> Finding:
    """Does a service keep within its pools, and do the limits of its role and database let it have them?"""
    check = f"{CONNECTIONS_OF}{consumer.name}"
    own = sum(consumer.owns(session) for session in found.sessions)
    what = f"{consumer.name} has {own} connections open and may have {consumer.at_most}"
    for name in (f"role {consumer.role}", f"database {consumer.database}"):
        most = found.own_limits.get(name)
        if most is not None and most < consumer.at_most:
            advice = "run site.yml, or raise its CONNECTION LIMIT, or lower the pool"
            message = f"{what}, but the {name} has a limit of {most}: {advice}."
            return Finding(check, WARNING, message, own, most, "connections")
    if own <= consumer.at_most:
        return Finding(check, OK, what, own, consumer.at_most, "connections")
    message = f"{what}: something else logs in as {consumer.role}, or processes of an old release are left."
    return Finding(check, WARNING, message, own, consumer.at_most, "connections")


def _judge_oldest(
    check: str, sessions: Sequence[Session], thresholds: Thresholds, text: Callable[[Session], str]
) -> Finding:
    if not sessions:
        return Finding(check, OK, "none", 0, thresholds.warning, "s")
    by_age = sorted(sessions, key=lambda session: -session.seconds)
    oldest = round(by_age[0].seconds, 1)
    more = f" and {len(by_age) - _SHOWN} more" if len(by_age) > _SHOWN else ""
    status = thresholds.status(oldest)
    message = f"{len(by_age)}: {'; '.join(text(session) for session in by_age[:_SHOWN])}{more}"
    if status != OK:
        message += ". End one with SELECT pg_terminate_backend(<process>) if nobody works in it."
    return Finding(check, status, message, oldest, thresholds.exceeded(oldest), "s")


def _who(session: Session) -> str:
    application = f" ({session.application})" if session.application else ""
    return f"process {session.pid} of {session.role}{application}"


def _idle_text(session: Session) -> str:
    return f"{_who(session)} holds a transaction open without a statement for {session.seconds:.0f} s"


def _waiting_text(session: Session) -> str:
    blockers = ", ".join(map(str, session.blockers))
    return f"{_who(session)} waits for a lock that process {blockers} holds ({session.seconds:.0f} s)"
