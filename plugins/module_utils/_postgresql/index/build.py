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

from ..._host.errors import StabilityError
from ..client import Login, PgClient, PgError, quoted, session
from .catalog import read_indexes
from .errors import DEADLOCK, LOCK_NOT_AVAILABLE, explain
from .lock import try_lock
from .plan import Plan, Step
from .watch import Watcher

# A concurrent build that fails leaves an INVALID index. Removing it may have to wait for the same transaction as the
# build: for so long here, and otherwise in the next run.
_CLEANING_SECONDS = 10
_RECONNECTS = 5


class IndexFailedError(StabilityError):
    """A step failed; the message says of which index, what was in the way and how the table was left."""

    def __init__(self, message: str, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


@dataclass(frozen=True)
class Limits:
    """Seconds; a build or a drop that takes longer is given up, as is a lock that is to be had no sooner."""

    lock: float
    build: float
    retries: int


@dataclass
class Work:
    """One run: its session, who looks on, and what has been done."""

    client: PgClient
    login: Login
    watcher: Watcher
    limits: Limits
    statements: list[str] = field(default_factory=list)
    began: float = 0

    def carry_out(self, plan: Plan) -> None:
        """Raises IndexFailedError."""
        for step in plan.steps:
            try:
                self._retried(partial(self._step, plan, step), build=step.kind == "build")
            except PgError as error:
                raise self._failed(plan, step, error) from error
            self.statements += step.statements

    def _step(self, plan: Plan, step: Step) -> None:
        self.watcher.forget()
        self.began = time.monotonic()
        if step.kind == "swap":
            self._swap(plan, step)
            return
        set_limits(self.client, lock=0, statement=self.limits.build)
        self.client.execute(step.statements[0])
        if step.kind == "build":
            self._check_built(plan)

    def _swap(self, plan: Plan, step: Step) -> None:
        set_limits(self.client, lock=self.limits.lock, statement=0)
        with self.client.transaction():
            self._check_unchanged(plan)
            for statement in step.statements:
                self.client.execute(statement)

    def _check_unchanged(self, plan: Plan) -> None:
        """A build takes its time, in which the name may have gone to another index, or the index to a constraint."""
        declared = plan.declared
        found = read_indexes(self.client, "n.nspname = %s AND c.relname = %s", [declared.schema, declared.name])
        if [(index.oid, index.foreign) for index in found] != [(plan.current_oid, "")] * bool(plan.current_oid):
            raise PgError(f"{declared.label} was changed by somebody else meanwhile; run again")

    def _check_built(self, plan: Plan) -> None:
        declared = plan.declared
        found = read_indexes(self.client, "n.nspname = %s AND c.relname = %s", [declared.schema, declared.new_name])
        if not (found and found[0].valid):
            raise PgError(f"the server made {quoted(declared.schema, declared.new_name)}, but not as a valid index")

    def _retried(self, action: Callable[[], None], *, build: bool) -> None:
        for pause in pauses(self.limits.retries):
            try:
                action()
            except PgError as error:
                # A build that failed has left something over, which has to go first.
                if build or error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK) or pause is None:
                    raise
                time.sleep(pause)
            else:
                return

    def _failed(self, plan: Plan, step: Step, error: PgError) -> IndexFailedError:
        limit = struck(step.kind, error, time.monotonic() - self.began, self.limits)
        reason = explain(error, blockers=self.watcher.blockers, progress=self.watcher.progress, limit=limit)
        doing = {"build": "building it", "swap": "giving it its name", "drop": f"dropping {step.index}"}[step.kind]
        left = self._clean(plan, error) if step.kind != "drop" else self._not_dropped(plan, step)
        return IndexFailedError(f"{plan.declared.label}: {doing} failed: {reason} {left}", error.lost)

    def _not_dropped(self, plan: Plan, step: Step) -> str:
        if plan.action in ("replace", "create") and step.index == plan.declared.old_name:
            return (
                f"The index is in place and as declared; {step.index}, which it replaced, is dropped by the next run."
            )
        return "The next run tries again."

    def _clean(self, plan: Plan, error: PgError) -> str:
        """Removes what a failed build has left over, and says how the table is now."""
        name = quoted(plan.declared.schema, plan.declared.new_name)
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
        with _reconnected(self.login) as client:
            if not try_lock(client, table):
                raise PgError("another run is at this table")
            yield client


def struck(kind: str, error: PgError, seconds: float, limits: Limits) -> str:
    """The time limit that ended a step of this kind, if one did. That somebody cancelled the step instead, the server
    says in its own language only."""
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return f"lock_timeout ({limits.lock:g} s, {limits.retries + 1} times)"
    if kind == "swap" or not limits.build or seconds < limits.build:
        return ""
    return f"build_timeout ({limits.build:g} s)"


@contextlib.contextmanager
def _reconnected(login: Login) -> Iterator[PgClient]:
    for _attempt in range(_RECONNECTS):
        with contextlib.suppress(PgError):
            with session(login) as probe:
                probe.query("SELECT 1 AS up")
            break
        time.sleep(1)
    with session(login) as client:
        yield client


def pauses(retries: int) -> Iterator[float | None]:
    """How long to wait after each attempt that failed: half a second, doubling up to 8; None after the last."""
    for attempt in range(retries):
        yield min(0.5 * 2**attempt, 8)
    yield None


def set_limits(client: PgClient, *, lock: float, statement: float) -> None:
    """Seconds; 0 is no limit. Whatever the role or the database has set otherwise does not apply."""
    client.execute(f"SET lock_timeout = '{int(lock * 1000)}ms'; SET statement_timeout = '{int(statement * 1000)}ms'")
