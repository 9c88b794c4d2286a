# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out plans: builds and drops concurrently, swaps names in one short transaction, cleans up after a failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ..client import PgClient, PgError, quoted, session
from .catalog import LOCK_CLASS, read_named
from .errors import DEADLOCK, LOCK_NOT_AVAILABLE, explain
from .plan import Plan, Step
from .watch import Watcher

# A concurrent build that fails leaves an INVALID index. Removing it may have to wait for the same transaction as the
# build: for so long here, and otherwise in the next run.
_CLEANING_SECONDS = 10
_RECONNECTS = 5

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Limits:
    """Seconds; a build or a drop that takes longer is given up, as is a lock that is to be had no sooner."""

    lock: float
    build: float
    retries: int

    @property
    def lock_label(self) -> str:
        return f"lock_timeout ({self.lock:g} s, {self.retries + 1} times)"


@dataclass
class Outcome:
    """What was done for one index, or in check mode would be."""

    plan: Plan
    action: str
    """The plan's; or failed, or skipped after the session was lost."""
    statements: list[str] = field(default_factory=list)
    seconds: float = 0
    problem: str = ""
    """What failed and was in the way, and how the table was left."""

    def report(self) -> dict[str, Any]:
        return {
            "schema": self.plan.desired.schema,
            "name": self.plan.desired.name,
            "action": self.action,
            "reasons": list(self.plan.reasons),
            "statements": self.plan.statements,
            "definition": self.plan.after,
            "seconds": round(self.seconds, 3),
        }


class Work:
    """One run: its session, and who looks on."""

    def __init__(self, client: PgClient, watcher: Watcher, limits: Limits) -> None:
        self.client = client
        self.watcher = watcher
        self.limits = limits
        self.lost = False
        self.began = 0.0

    def carry_out(self, plan: Plan) -> Outcome:
        outcome = Outcome(plan, plan.action)
        if self.lost and plan.steps:
            outcome.action = "skipped"
            return outcome
        began = time.monotonic()
        for step in plan.steps:
            try:
                # A build that failed has left something over, which has to go first.
                retries = 0 if step.kind == "build" else self.limits.retries
                retried(partial(self._step, plan, step), retries)
            except PgError as error:
                outcome.action, outcome.problem = "failed", self._failed(plan, step, error)
                self.lost = error.lost
                break
            outcome.statements += step.statements
        outcome.seconds = time.monotonic() - began
        return outcome

    def _step(self, plan: Plan, step: Step) -> None:
        self.watcher.forget()
        self.began = time.monotonic()
        if step.kind == "swap":
            set_limits(self.client, lock=self.limits.lock, statement=0)
            with self.client.transaction():
                self._check_unchanged(plan)
                for statement in step.statements:
                    self.client.execute(statement)
            return
        set_limits(self.client, lock=0, statement=self.limits.build)
        self.client.execute(step.statements[0])
        if step.kind == "build":
            self._check_built(plan)

    def _check_unchanged(self, plan: Plan) -> None:
        """A build takes its time, in which the name may have gone to another index, or the index to a constraint."""
        desired = plan.desired
        found = read_named(self.client, desired.schema, desired.name).get(desired.name)
        if (found and found.oid) != (plan.current and plan.current.oid) or (found and found.foreign):
            raise PgError(f"{desired.label} was changed by somebody else meanwhile; run again")

    def _check_built(self, plan: Plan) -> None:
        schema, name = plan.desired.schema, plan.desired.new_name
        built = read_named(self.client, schema, name).get(name)
        if not (built and built.valid):
            raise PgError(f"the server made {quoted(schema, name)}, but not as a valid index")

    def _failed(self, plan: Plan, step: Step, error: PgError) -> str:
        limit = struck(step.kind, error, time.monotonic() - self.began, self.limits)
        reason = explain(error, blockers=self.watcher.blockers, progress=self.watcher.progress, limit=limit)
        doing = {"build": "building it", "swap": "giving it its name", "drop": f"dropping {step.index}"}[step.kind]
        left = self._clean(plan, error) if step.kind != "drop" else self._not_dropped(plan, step)
        return f"{plan.desired.label}: {doing} failed: {reason} {left}"

    def _not_dropped(self, plan: Plan, step: Step) -> str:
        if plan.action in ("replace", "create") and step.index == plan.desired.old_name:
            return (
                f"The index is in place and as declared; {step.index}, which it replaced, is dropped by the next run."
            )
        return "The next run tries again."

    def _clean(self, plan: Plan, error: PgError) -> str:
        """Removes what a failed build has left over, and says how the table is now."""
        name = quoted(plan.desired.schema, plan.desired.new_name)
        try:
            with self._any_session(plan.table, lost=error.lost) as client:
                set_limits(client, lock=0, statement=min(_CLEANING_SECONDS, self.limits.build or _CLEANING_SECONDS))
                client.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        except PgError:
            return (
                f"{name}, which was not finished, could not be removed now and may still cost writes; the next run"
                " removes it. The table's other indexes are as before."
            )
        return "The table is as before."

    @contextlib.contextmanager
    def _any_session(self, table: str, *, lost: bool) -> Iterator[PgClient]:
        if not lost:
            yield self.client
            return
        # A server that restarts is back in a moment; a run that has taken our place cleans up itself.
        for _attempt in range(_RECONNECTS):
            with contextlib.suppress(PgError), session(self.client.login):
                break
            time.sleep(1)
        with session(self.client.login) as client:
            if not try_lock(client, table):
                raise PgError("another run is at this table")
            yield client


def struck(kind: str, error: PgError, seconds: float, limits: Limits) -> str:
    """The time limit that ended a step of this kind, if one did. That somebody cancelled the step instead, the server
    says in its own language only."""
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return limits.lock_label
    if kind == "swap" or not limits.build or seconds < limits.build:
        return ""
    return f"build_timeout ({limits.build:g} s)"


def retried(action: Callable[[], _Result], retries: int) -> _Result:
    """Again so many times where a lock was not to be had, after half a second, doubling up to 8. Raises PgError."""
    attempt = 0
    while True:
        try:
            return action()
        except PgError as error:
            if error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK) or attempt == retries:
                raise
        time.sleep(min(0.5 * 2**attempt, 8))
        attempt += 1


def try_lock(client: PgClient, table: str) -> bool:
    """One run at a time on a table, by an advisory lock of the server, which ends with the session that holds it."""
    statement = "SELECT pg_try_advisory_lock(%s, hashtext(%s)) AS taken"
    return bool(client.one(statement, [LOCK_CLASS, table])["taken"])


def set_limits(client: PgClient, *, lock: float, statement: float) -> None:
    """Seconds; 0 is no limit. Whatever the role or the database has set otherwise does not apply."""
    client.execute(f"SET lock_timeout = '{int(lock * 1000)}ms'; SET statement_timeout = '{int(statement * 1000)}ms'")
