# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads how many connections a server allows, and which are open."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .client import PgClient
from .readable import function

# reserved_connections came with PostgreSQL 16; a limit of -1 is none.
_LIMITS = """
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS superuser_reserved,
       coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all
"""
_OWN_LIMITS = """
SELECT 'role ' || rolname AS name, rolconnlimit AS most FROM pg_roles WHERE rolconnlimit >= 0 AND NOT rolsuper
UNION ALL SELECT 'database ' || datname, datconnlimit FROM pg_database WHERE datconnlimit >= 0
"""
# Of other roles' sessions an account without pg_read_all_stats sees role and database alone.
_SESSIONS = """
SELECT pid, coalesce(usename, '')::text AS role, coalesce(datname, '')::text AS database,
       coalesce(application_name, '') AS application, coalesce(state, '') AS state,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{{}}' END AS blockers,
       coalesce(extract(epoch FROM clock_timestamp() - CASE WHEN wait_event_type = 'Lock' THEN {waiting_since}
                                                       ELSE state_change END)::float8, 0) AS seconds,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_seconds
FROM {activity} a
WHERE pid <> pg_backend_pid()
  AND (backend_type = 'client backend' OR (backend_type IS NULL AND usename IS NOT NULL))
"""
_COLUMNS = (
    "TABLE(pid integer, role text, database text, application text, state text, blockers integer[],"
    " seconds double precision, transaction_seconds double precision)"
)
_ACTIVITY = "pg_stat_activity"
# What every role may see of all sessions, and of those of this database what they do; never a statement's text.
_OWN_ACTIVITY = """(
  SELECT pid, usename, datname, backend_type, own.application_name, own.state, own.wait_event_type, own.state_change,
    own.xact_start
  FROM pg_stat_activity LEFT JOIN LATERAL (SELECT application_name, state, wait_event_type, state_change, xact_start
    WHERE datname = current_database()) own ON true
)"""
# The statement may have run for long before it came to wait. The server writes the time a moment after the wait began.
_WAITING_SINCE = "(SELECT min(l.waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted)"
_WAITSTART_SINCE = 140000
_HIDDEN_STATE = "hidden"


@dataclasses.dataclass(frozen=True)
class Limits:
    max_connections: int
    superuser_reserved: int
    reserved: int

    @property
    def available(self) -> int:
        """What ordinary roles may open together."""
        return max(0, self.max_connections - self.superuser_reserved - self.reserved)

    def arithmetic(self) -> str:
        reserved = f" - {self.reserved} reserved" if self.reserved else ""
        return f"max_connections {self.max_connections} - {self.superuser_reserved} superuser{reserved}"


@dataclasses.dataclass(frozen=True)
class Session:
    pid: int
    role: str
    database: str
    application: str
    state: str
    """As pg_stat_activity has it; empty where the account may not see it."""
    blockers: tuple[int, ...]
    """The processes that hold the lock this one waits for."""
    seconds: float
    """In this state, or waiting for this lock, since."""
    transaction_seconds: float | None = None
    """Since the begin of its transaction; None where there is none, or it is not known."""


@dataclasses.dataclass(frozen=True)
class Connections:
    """Limits and open connections; the connection that asked is not among them."""

    limits: Limits
    own_limits: dict[str, int]
    """Of roles and databases that have one, by `role <name>` and `database <name>`."""
    sessions: tuple[Session, ...]


def read_connections(client: PgClient) -> Connections:
    """Raises PgError."""
    limits = client.one(_LIMITS)
    readable = "" if limits.pop("reads_all") else function(client, "sessions")
    own = {row["name"]: row["most"] for row in client.query(_OWN_LIMITS)}
    statement = (
        f"SELECT * FROM {readable} WHERE pid <> pg_backend_pid()" if readable else _query(client.version, _ACTIVITY)
    )
    sessions = (Session(**{**row, "blockers": tuple(row["blockers"])}) for row in client.query(statement))
    return Connections(Limits(**limits), own, tuple(sessions))


def sessions_query(version: int) -> tuple[str, str]:
    """What a function returns and does that shows the sessions of its database to who may not read all statistics."""
    return _COLUMNS, _query(version, _OWN_ACTIVITY)


def _query(version: int, activity: str) -> str:
    waiting_since = _WAITING_SINCE if version >= _WAITSTART_SINCE else "state_change"
    return _SESSIONS.format(waiting_since=waiting_since, activity=activity)


def counts(sessions: Iterable[Session]) -> list[dict[str, Any]]:
    """How many sessions are open for each role, database, application and state; most first."""
    counted = Counter((each.role, each.database, each.application, each.state or _HIDDEN_STATE) for each in sessions)
    return [
        {"role": role, "database": database, "application": application, "state": state, "count": count}
        for (role, database, application, state), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]
