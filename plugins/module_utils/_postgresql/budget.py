# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges a server's connections: what its users may open together, what they have open, and who stands in whose way."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
from .._host.console import listed
from .sessions import Connections, Session

_IDLE = ("idle in transaction", "idle in transaction (aborted)")
_BUDGET = "connections.budget"
_SHOWN = 5
END_ONE = "End one with SELECT pg_terminate_backend(<process>) if nobody works in it."
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
    texts = [_idle_text(session) for session in _oldest_first(idle)]
    findings.append(_judge_oldest("connections.idle_in_transaction", idle, limits["idle"], texts))
    waiting = [session for session in found.sessions if session.blockers]
    texts = [each.text() for each in blocking(found.sessions)]
    return [*findings, _judge_oldest("connections.waiting", waiting, limits["waiting"], texts)]


def excess(findings: Sequence[Finding], consumers: Sequence[Consumer], *, limits_to_come: bool) -> list[str]:
    """Return what the server does not let the consumers have at once, or, unless they are to come, their own limits."""
    needed = {} if limits_to_come else {f"{CONNECTIONS_OF}{one.name}": one.at_most for one in consumers}
    return [
        found.message
        for found in findings
        if (found.check == _BUDGET and found.status == CRITICAL)
        or (found.check in needed and float(found.threshold or 0) < needed[found.check])
    ]


@dataclasses.dataclass(frozen=True)
class Blocking:
    """Who holds a lock that others wait for, and waits for nobody."""

    pid: int
    """0 of a prepared transaction, as pg_blocking_pids says it."""
    session: Session | None
    """None where it is no client of the server that the account may see."""
    waiting: tuple[Session, ...]
    """Whom it holds up, also by way of others; who has waited longest first."""

    def seconds(self, seen: float = 0.0) -> float:
        """For how long it has held up others; `seen` is for how long it was found to, look by look.

        Who waits is cancelled by a timeout, and another one comes in his place. But of short transactions one after the
        other each holds a lock of its own.
        """
        transaction = self.session.transaction_seconds if self.session else None
        return max(self.waiting[0].seconds, seen if transaction is None else min(seen, transaction))

    def text(self, seen: float = 0.0) -> str:
        roles = ", ".join(sorted({session.role for session in self.waiting}))
        count = len(self.waiting)
        wait = f"1 session of {roles} waits for" if count == 1 else f"{count} sessions of {roles} wait for"
        return f"{self._who()} holds a lock that {wait} ({self.seconds(seen):.0f} s)"

    def _who(self) -> str:
        if self.session:
            return f"{_who(self.session)}{_doing(self.session)},"
        return f"process {self.pid} of the server itself" if self.pid else "a prepared transaction (pg_prepared_xacts)"


def blocking(sessions: Iterable[Session]) -> list[Blocking]:
    """Those that hold up most others first. A lock is also waited for behind who waits for it."""
    by_pid = {session.pid: session for session in sessions}
    held = defaultdict(list)
    for session in _oldest_first(by_pid.values()):
        seen: set[int] = set()
        ahead = {*session.blockers}
        while ahead:
            pid = ahead.pop()
            seen.add(pid)
            before = by_pid[pid].blockers if pid in by_pid else ()
            ahead |= {*before} - seen
            if not before:
                held[pid].append(session)
    found = [Blocking(pid, by_pid.get(pid), tuple(waiting)) for pid, waiting in held.items()]
    return sorted(found, key=lambda each: (-len(each.waiting), each.pid))


def full(found: Connections, consumer: Consumer) -> str:
    """Who has all connections of the server, or all that the service's account may have; empty while one is left.

    The session that has asked is not in `found`, and has a connection.
    """
    available = found.limits.available
    if len(found.sessions) + 1 >= available:
        return f"all {available} connections of the server are taken: {_holders(found.sessions)}"
    for name, owned in (
        (f"role {consumer.role}", [session for session in found.sessions if session.role == consumer.role]),
        (f"database {consumer.database}", [each for each in found.sessions if each.database == consumer.database]),
    ):
        most = found.own_limits.get(name)
        if most is not None and len(owned) >= most:
            return f"all {most} connections that the {name} may have are taken: {_holders(owned)}"
    return ""


def _holders(sessions: Sequence[Session]) -> str:
    """Who has most of them, and which of these does nothing for the longest time."""
    groups: dict[tuple[str, str, str], list[Session]] = defaultdict(list)
    for session in sessions:
        groups[session.role, session.application, session.database].append(session)
    largest = sorted(groups.values(), key=len, reverse=True)[:_SHOWN]
    shown = [f"{len(group)} by {_account(group[0])} in {group[0].database}" for group in largest]
    oldest = _oldest_first(largest[0])[0] if largest else None
    return ", ".join(shown) + (f"; of the first, {_who(oldest)} is the oldest{_doing(oldest)}" if oldest else "")


def _oldest_first(sessions: Iterable[Session]) -> list[Session]:
    return sorted(sessions, key=lambda session: -session.seconds)


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
        return Finding(_BUDGET, OK, message, total, available, "connections")
    message = f"not enough connections: {message}. {_advice(found, consumers, total)}"
    return Finding(_BUDGET, CRITICAL, message, total, available, "connections")


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


def _judge_oldest(check: str, sessions: Sequence[Session], thresholds: Thresholds, texts: Sequence[str]) -> Finding:
    if not sessions:
        return Finding(check, OK, "none", 0, thresholds.warning, "s")
    oldest = round(max(session.seconds for session in sessions), 1)
    status = thresholds.status(oldest)
    message = f"{len(sessions)}: {listed(texts, _SHOWN, '; ')}"
    if status != OK:
        message += f". {END_ONE}"
    return Finding(check, status, message, oldest, thresholds.exceeded(oldest), "s")


def _account(session: Session) -> str:
    return f"{session.role} ({session.application})" if session.application else session.role


def _who(session: Session) -> str:
    return f"process {session.pid} of {_account(session)}"


def _doing(session: Session) -> str:
    return f", {session.state} for {session.seconds:.0f} s" if session.state else ""


def _idle_text(session: Session) -> str:
    return f"{_who(session)} holds a transaction open without a statement for {session.seconds:.0f} s"
