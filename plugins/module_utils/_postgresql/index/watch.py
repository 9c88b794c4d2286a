# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second session that looks on while the first one works: how far a build is, and who keeps it waiting.

The server tells this only while it happens; after a time limit has struck, nobody knows any more who held the lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..client import PgClient, PgError, Row, session

_PERIOD = 0.3
_BETWEEN_NOTES = 30.0

_BLOCKERS = """
SELECT a.pid, a.usename AS "user", a.application_name AS application, a.state,
       coalesce(a.xact_start, a.query_start) AS since
FROM unnest(pg_blocking_pids(%s)) AS b(pid) JOIN pg_stat_activity a ON a.pid = b.pid ORDER BY a.xact_start, a.pid
"""
_PROGRESS = """
SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total, lockers_done, lockers_total
FROM pg_stat_progress_create_index WHERE pid = %s
"""


class Watcher:
    """What was seen last. Without a connection of its own (the server may be full) it has seen nothing."""

    def __init__(self, client: PgClient, note: Callable[[str], None]) -> None:
        self._login = replace(client.login, own_path=False)
        self._pid = client.pid
        self._note = note
        self._end = threading.Event()
        self.blockers: list[Row] = []
        self.progress = ""

    def forget(self) -> None:
        """Before a new statement."""
        self.blockers, self.progress = [], ""

    def end(self) -> None:
        self._end.set()

    def watch(self) -> None:
        with contextlib.suppress(PgError), session(self._login) as client:
            client.execute("SET statement_timeout = '5s'")
            noted = time.monotonic()
            while not self._end.wait(_PERIOD):
                self._look(client)
                if self.progress and time.monotonic() - noted >= _BETWEEN_NOTES:
                    noted = time.monotonic()
                    self._note(self.progress)

    def _look(self, client: PgClient) -> None:
        blockers = client.query(_BLOCKERS, [self._pid])
        if blockers:
            self.blockers = blockers
        rows = client.query(_PROGRESS, [self._pid])
        if rows:
            self.progress = _progress(rows[0])
            if not blockers:
                # the build goes on: whoever held it up does so no longer
                self.blockers = []


@contextlib.contextmanager
def watching(client: PgClient, note: Callable[[str], None]) -> Iterator[Watcher]:
    """Looks on at what the client does; `note` is told now and then how far a build is."""
    watcher = Watcher(client, note)
    thread = threading.Thread(target=watcher.watch, daemon=True)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.end()
        thread.join(timeout=5)


def _progress(row: dict[str, Any]) -> str:
    for what, done, total in (
        ("waits", row["lockers_done"], row["lockers_total"]),
        ("blocks", row["blocks_done"], row["blocks_total"]),
        ("rows", row["tuples_done"], row["tuples_total"]),
    ):
        if total:
            return f"{row['phase']}, {done} of {total} {what}"
    return str(row["phase"])
