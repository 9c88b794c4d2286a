# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backups of a server, as far as it can be asked: how far its archive of changes (WAL) is, and what its host has
recorded of backups and drills.

The record is a comment on an object that every server has, and every role of every database may read, also from other
hosts.
"""

from __future__ import annotations

import time

from .._checks.backup import Archiving
from .client import PgClient, literal

# A name is the timeline, and the number of the file in two parts: 256 files of 16 MB make the second one full.
_ARCHIVING = """
SELECT current_setting('archive_mode') <> 'off' AS enabled,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started,
       coalesce(extract(epoch FROM last_archived_time), 0)::float8 AS archived,
       coalesce(extract(epoch FROM last_failed_time), 0)::float8 AS failed,
       coalesce(substring(last_archived_wal FROM '^[0-9A-F]{24}'), '') AS last,
       CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END AS current,
       pg_size_bytes(current_setting('wal_segment_size')) AS size
FROM pg_stat_archiver
"""
_FOUR_GIB = 1 << 32
_ARCHIVE_SECONDS = 90
_LOOK_SECONDS = 1.0
# Whatever it was that the server did last, there is a commit now, which a restore to a time of before can stop at.
_COMMIT = "SELECT pg_current_xact_id()"
_RECORD = """
SELECT shobj_description(oid, 'pg_tablespace') AS record FROM pg_tablespace WHERE spcname = 'pg_global'
"""


def read_archiving(client: PgClient) -> Archiving:
    """As whatever role. Raises PgError."""
    row = client.one(_ARCHIVING)
    size = int(row["size"])
    # the current one is not complete
    files = number_of(row["current"], size) - number_of(row["last"], size) - 1 if row["last"] and row["current"] else 0
    times = {name: float(row[name]) for name in ("started", "archived", "failed")}
    return Archiving(enabled=bool(row["enabled"]), waiting=max(0, files) * size, **times)


def read_record(client: PgClient) -> str:
    """As whatever role; empty where there is none. Raises PgError."""
    return str(client.one(_RECORD)["record"] or "")


def write_record(client: PgClient, text: str) -> None:
    """As superuser. Raises PgError."""
    client.execute(f"COMMENT ON TABLESPACE pg_global IS {literal(text)}")


def commit(client: PgClient) -> None:
    """As superuser: one more, after all that others have done. Raises PgError."""
    client.query(_COMMIT)


def archive_now(client: PgClient) -> tuple[str, bool]:
    """As superuser: have all that was done so far archived. Raises PgError.

    Return the position in WAL up to which that is, and whether it came into the archive within 90 s.
    """
    commit(client)
    position = str(client.one("SELECT pg_switch_wal()::text AS position")["position"])
    file = client.one("SELECT pg_walfile_name(%(position)s::pg_lsn) AS name", {"position": position})["name"]
    deadline = time.monotonic() + _ARCHIVE_SECONDS
    while time.monotonic() < deadline:
        row = client.one(_ARCHIVING)
        size = int(row["size"])
        if row["last"] and number_of(row["last"], size) >= number_of(file, size):
            return position, True
        time.sleep(_LOOK_SECONDS)
    return position, False


def number_of(name: str, size: int) -> int:
    """Which file of WAL that is, of any timeline, where each is `size` bytes."""
    return int(name[8:16], 16) * (_FOUR_GIB // size) + int(name[16:24], 16)
