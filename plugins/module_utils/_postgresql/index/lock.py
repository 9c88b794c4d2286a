# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on a table: an advisory lock of the server, which ends with the session that holds it.

It is asked for again and again, never waited for: a session that waits inside of a statement keeps a snapshot, and a
concurrent build of the holder would wait for this snapshot, for ever.
"""

from __future__ import annotations

import time

from ..client import PgClient, PgError, Row

# "workbot " in hexadecimal is too long for the key; these are its first four letters.
LOCK_CLASS = 0x776F726B
_PERIOD = 0.5

_TRY = "SELECT pg_try_advisory_lock(%s, hashtext(%s)) AS taken"
_HOLDERS = """
SELECT a.pid, a.usename AS "user", a.application_name AS application, a.state, a.backend_start AS since
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s::bigint::oid AND l.objsubid = 2
  AND l.objid::bigint = (hashtext(%s)::bigint & 4294967295)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def try_lock(client: PgClient, table: str) -> bool:
    return bool(client.one(_TRY, [LOCK_CLASS, table])["taken"])


def wait_for_lock(client: PgClient, table: str, seconds: float) -> list[Row]:
    """Takes the lock within so many seconds (0: as long as it takes); otherwise tells who holds it."""
    deadline = time.monotonic() + seconds
    while not try_lock(client, table):
        if seconds and time.monotonic() >= deadline:
            return client.query(_HOLDERS, [LOCK_CLASS, table]) or _nobody()
        time.sleep(_PERIOD)
    return []


def _nobody() -> list[Row]:
    raise PgError("the lock of this table changed hands; run again")
