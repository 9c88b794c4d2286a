# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the declared indexes of a database about: plans, and carries the plans out unless only asked what would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..client import Login, PgClient, PgError, session
from .build import IndexFailedError, Limits, Work, pauses, set_limits
from .declaration import Declaration
from .errors import DEADLOCK, LOCK_NOT_AVAILABLE, explain
from .lock import wait_for_lock
from .plan import Plan, RefusedError, described
from .situation import plan_all
from .watch import Watcher, watching

_OLDEST = 130000
_TRANSACTION_TIMEOUT_SINCE = 170000
_CHECKS_CLIENT_SINCE = 140000


@dataclass
class Outcome:
    """What was done, or in check mode would be; `problems` are of the indexes that could not be brought about."""

    plans: Sequence[Plan] = ()
    statements: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    # Of the indexes that were not brought about: failed, or skipped after the session was lost
    undone: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.statements)

    def report(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "statements": self.statements,
            "indexes": [self._of(plan) for plan in self.plans],
            "diff": {
                "before": "".join(f"{plan.before}\n" for plan in self._changing if plan.before),
                "after": "".join(f"{plan.after}\n" for plan in self._changing if plan.after),
            },
        }

    @property
    def _changing(self) -> list[Plan]:
        return [plan for plan in self.plans if plan.steps and plan.declared.label not in self.undone]

    def _of(self, plan: Plan) -> dict[str, Any]:
        return {
            "schema": plan.declared.schema,
            "name": plan.declared.name,
            "action": self.undone.get(plan.declared.label, plan.action),
            "reasons": list(plan.reasons),
            "statements": plan.statements,
            "definition": plan.after,
            "seconds": round(self.seconds.get(plan.declared.label, 0), 3),
        }


def converge(
    login: Login,
    declarations: Sequence[Declaration],
    limits: Limits,
    note: Callable[[str], None],
    *,
    check_mode: bool,
) -> Outcome:
    """Raises RefusedError before anything is changed, and PgError where the server lets nobody in or is gone."""
    with session(login) as client:
        _prepare(client)
        with watching(login, client.pid, note) as watcher:
            plans = _planned(client, declarations, limits, watcher, foresee=check_mode)
            if check_mode:
                return Outcome(plans, [statement for plan in plans for statement in plan.statements])
            if not any(plan.steps for plan in plans):
                return Outcome(plans)
            _lock(client, plans, limits)
            plans = _planned(client, declarations, limits, watcher, foresee=False)
            return _carried_out(Work(client, login, watcher, limits), plans)


def _carried_out(work: Work, plans: Sequence[Plan]) -> Outcome:
    outcome = Outcome(plans, work.statements)
    lost = False
    for plan in plans:
        if lost and plan.steps:
            outcome.undone[plan.declared.label] = "skipped"
            continue
        began = time.monotonic()
        try:
            work.carry_out(plan)
        except IndexFailedError as error:
            outcome.problems.append(str(error))
            outcome.undone[plan.declared.label] = "failed"
            lost = error.lost
        outcome.seconds[plan.declared.label] = time.monotonic() - began if plan.steps else 0
    return outcome


def _prepare(client: PgClient) -> None:
    if client.version < _OLDEST:
        raise RefusedError(f"PostgreSQL {client.version // 10000} is too old for this module, which knows 13 and newer")
    state = client.one(
        "SELECT pg_is_in_recovery() AS standby, current_user AS role, current_database() AS database,"
        " has_database_privilege(current_database(), 'TEMPORARY') AS temporary"
    )
    if state["standby"]:
        raise RefusedError(
            "this server is a read-only standby; its indexes come from the primary server: connect to that"
        )
    if not state["temporary"]:
        raise RefusedError(
            f"{state['role']} may not make temporary tables in {state['database']}, which comparing needs:"
            f" GRANT TEMPORARY ON DATABASE to it, or connect as the owner"
        )
    client.execute("SET idle_in_transaction_session_timeout = 0")
    if client.version >= _TRANSACTION_TIMEOUT_SINCE:
        client.execute("SET transaction_timeout = 0")
    if client.version >= _CHECKS_CLIENT_SINCE:
        # The server gives a build up whose module was killed.
        client.execute("SET client_connection_check_interval = '2s'; SET idle_session_timeout = 0")


def _planned(
    client: PgClient, declarations: Sequence[Declaration], limits: Limits, watcher: Watcher, *, foresee: bool
) -> list[Plan]:
    for pause in pauses(limits.retries):
        set_limits(client, lock=limits.lock, statement=0)
        watcher.forget()
        try:
            return plan_all(client, declarations, foresee=foresee)
        except PgError as error:
            if error.sqlstate not in (LOCK_NOT_AVAILABLE, DEADLOCK) or pause is None:
                limit = f"lock_timeout ({limits.lock:g} s, {limits.retries + 1} times)"
                raise RefusedError(
                    f"looking at the tables failed: {explain(error, blockers=watcher.blockers, limit=limit)}"
                ) from error
            time.sleep(pause)
    raise AssertionError("pauses ends with None")


def _lock(client: PgClient, plans: Sequence[Plan], limits: Limits) -> None:
    for table in sorted({plan.table for plan in plans if plan.steps}):
        holders = wait_for_lock(client, table, limits.build)
        if holders:
            raise RefusedError(f"another run is at the indexes of {table}: {described(holders)}. Nothing was changed")
