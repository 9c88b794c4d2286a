# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the desired indexes of a database about: plans, and carries the plans out unless only asked what would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..._host.errors import StabilityError
from ..client import Login, PgClient, PgError, quoted, session
from .actual import completed, read_actual
from .build import Limits, Outcome, Work, retried, set_limits, try_lock
from .catalog import LOCK_CLASS, read_table
from .desired import Desired
from .errors import LOCK_NOT_AVAILABLE, NO_RIGHT, described, explain
from .partitions import refuse_partitioned
from .plan import Plan, foreseen, make_plan
from .watch import Watcher, watching

_OLDEST = 130000
_TRANSACTION_TIMEOUT_SINCE = 170000
_CHECKS_CLIENT_SINCE = 140000
_LOCK_PERIOD = 0.5

_HOLDERS = """
SELECT a.pid, a.usename AS "user", a.application_name AS application, a.state, a.backend_start AS since
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s::bigint::oid AND l.objsubid = 2
  AND l.objid::bigint = (hashtext(%s)::bigint & 4294967295)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def converge(
    login: Login, indexes: Sequence[Desired], limits: Limits, note: Callable[[str], None], *, check_mode: bool
) -> list[Outcome]:
    """Raises StabilityError before anything is changed, of that PgError where the server lets nobody in or is gone."""
    with session(login) as client:
        _prepare(client)
        with watching(client, note) as watcher:
            plans = _planned(client, indexes, limits, watcher, foresee=check_mode)
            if check_mode or not any(plan.steps for plan in plans):
                return [Outcome(plan, plan.action, plan.statements) for plan in plans]
            for table in sorted({plan.table for plan in plans if plan.steps}):
                _lock(client, table, limits.build)
            plans = _planned(client, indexes, limits, watcher, foresee=False)
            work = Work(client, watcher, limits)
            return [work.carry_out(plan) for plan in plans]


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """As the module returns them."""
    statements = [statement for outcome in outcomes for statement in outcome.statements]
    changing = [outcome.plan for outcome in outcomes if outcome.plan.steps and outcome.action == outcome.plan.action]
    return {
        "changed": bool(statements),
        "statements": statements,
        "indexes": [outcome.report() for outcome in outcomes],
        "diff": {
            "before": "".join(f"{plan.before}\n" for plan in changing if plan.before),
            "after": "".join(f"{plan.after}\n" for plan in changing if plan.after),
        },
    }


def _prepare(client: PgClient) -> None:
    if client.version < _OLDEST:
        raise StabilityError(
            f"PostgreSQL {client.version // 10000} is too old for this module, which knows 13 and newer"
        )
    state = client.one(
        "SELECT pg_is_in_recovery() AS standby, current_user AS role, current_database() AS database,"
        " has_database_privilege(current_database(), 'TEMPORARY') AS temporary"
    )
    if state["standby"]:
        raise StabilityError(
            "this server is a read-only standby; its indexes come from the primary server: connect to that"
        )
    if not state["temporary"]:
        raise StabilityError(
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
    client: PgClient, indexes: Sequence[Desired], limits: Limits, watcher: Watcher, *, foresee: bool
) -> list[Plan]:
    def attempt() -> list[Plan]:
        set_limits(client, lock=limits.lock, statement=0)
        watcher.forget()
        return _plan_all(client, indexes, foresee=foresee)

    try:
        return retried(attempt, limits.retries)
    except PgError as error:
        reason = explain(error, blockers=watcher.blockers, limit=limits.lock_label)
        raise StabilityError(f"looking at the tables failed: {reason}") from error


def _plan_all(client: PgClient, indexes: Sequence[Desired], *, foresee: bool) -> list[Plan]:
    """All of it in one transaction that is rolled back. Raises StabilityError with everything that is in the way.

    foresee: a table that is not there may come earlier in the same run, as in check mode.
    """
    plans, problems = [], []
    with client.transaction(keep=False):
        for desired in indexes:
            client.execute("SAVEPOINT one")
            try:
                plans.append(_plan(client, desired, foresee))
            except PgError as error:
                if error.lost or error.sqlstate == LOCK_NOT_AVAILABLE:
                    raise
                problems.append(f"{desired.label}: {explain(error)}")
                client.execute("ROLLBACK TO SAVEPOINT one")
            except StabilityError as error:
                problems.append(str(error))
                client.execute("ROLLBACK TO SAVEPOINT one")
            client.execute("RELEASE SAVEPOINT one")
    if problems:
        raise StabilityError("\n".join(problems))
    return plans


def _plan(client: PgClient, desired: Desired, foresee: bool) -> Plan:
    table = read_table(client, desired.schema, desired.table) if desired.table else None
    if desired.present and table is None and foresee:
        return foreseen(desired)
    if table and client.superuser and not table.of_superuser:
        raise StabilityError(
            f"{desired.label}: {table.label} and all that its columns and indexes call are {table.owner}'s own code,"
            f" which a superuser must not run: log in as {table.owner}"
        )
    try:
        if desired.present and table and not table.problem:
            desired = completed(client, desired, table)
        actual = read_actual(client, desired, table)
    except PgError as error:
        if table and not table.owned and error.sqlstate == NO_RIGHT:
            role = quoted(str(client.login.parameters["user"]))
            back = f"ALTER TABLE {table.label} OWNER TO {role}"
            raise StabilityError(f"{desired.label}: {table.label} belongs to {table.owner}: {back}") from error
        raise
    if desired.present and table and table.partitioned:
        refuse_partitioned(client, desired, actual, table)
    return make_plan(desired, actual)


def _lock(client: PgClient, table: str, seconds: float) -> None:
    """Takes the lock of a table within so many seconds (0: as long as it takes).

    It is asked for again and again, never waited for: a session that waits inside of a statement keeps a snapshot, and
    a concurrent build of the holder would wait for this snapshot, for ever.
    """
    deadline = time.monotonic() + seconds
    while not try_lock(client, table):
        if seconds and time.monotonic() >= deadline:
            holders = client.query(_HOLDERS, [LOCK_CLASS, table])
            if not holders:
                raise PgError("the lock of this table changed hands; run again")
            raise StabilityError(f"another run is at the indexes of {table}: {described(holders)}. Nothing was changed")
        time.sleep(_LOCK_PERIOD)
