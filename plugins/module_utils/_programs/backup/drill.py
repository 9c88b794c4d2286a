# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drill: the newest backup and all changes since, restored beside the server, started, and compared with it.

What is found wrong is a sentence each; none means that a restore is proven.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from ..._checks.backup import LastBackup
from ..._host.command import PLAIN, CommandError, run
from ..._postgresql.archiving import archive_now
from ..._postgresql.client import MissingDriverError, PgClient, PgError, Row, quoted
from ..._postgresql.pgbackrest import Backup, BackupError
from ..._postgresql.server_state import OWNER
from .remote import pgbackrest_of
from .server import PORT, Restored, Server, ServerError, database_names, to_running
from .settings import Settings
from .state import State

_CHECK_SECONDS = 6 * 3600
# Bytes. Of a table that was so large some rows come back; a queue of jobs may well have been empty for a moment.
_LARGE = 128 * 1024
_MOST_NAMED = 5
_AMCHECK = "amcheck"
# Tables that hold rows themselves, each with a column of a fixed length, which is a small one, if it has any. Only
# permanent ones have rows after a restore.
_TABLES = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.oid::bigint AS oid, (
  SELECT a.attname::text FROM pg_attribute a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attlen > 0
  ORDER BY a.attlen, a.attnum LIMIT 1
) AS small
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""
_INDEXES = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisvalid = %(valid)s ORDER BY 1
"""
_SERVER = "SELECT system_identifier::text AS id FROM pg_control_system()"
Tables = Mapping[tuple[str, str, str], bool]
"""Database, schema and table, and whether it is a large one that has a row."""


class Drill:
    """One drill. `problems` are what it found so far."""

    def __init__(self, settings: Settings, known: LastBackup) -> None:
        """`known`: the backup that was made last, as far as this host knows."""
        self._settings = settings
        self._known = known
        self._pgbackrest = pgbackrest_of(settings)
        self._restored = Restored(settings, Path(settings.directory) / "drill")
        self._state = State(settings)
        self._running = functools.partial(to_running, settings)
        self.problems: list[str] = []
        self.label = ""

    def run(self) -> None:
        """Raises OSError where what was restored can't be removed."""
        try:
            self._drill()
        except (BackupError, ServerError, PgError, MissingDriverError, CommandError) as error:
            self.problems.append(_sentence(str(error)))
        except OSError as error:
            self.problems.append(f"{error.filename or self._settings.directory}: {error.strerror}.")
        finally:
            self.remove()

    def remove(self) -> None:
        """What is left of one. Raises OSError."""
        self._restored.remove()

    def _drill(self) -> None:
        self._restored.remove()
        backup = self._newest()
        if backup is None:
            return
        before, valid = _tables(self._running), _indexes(self._running, valid=True)
        with self._running() as client:
            end, is_archived = archive_now(client)
        if not is_archived:
            self.problems.append("The server's last changes did not come into the archive in time.")
            return
        self._restored.prepare(backup.size)
        options = [f"--set={backup.label}", *self._state.timeline(math.inf)]
        self._pgbackrest.restore(str(self._restored.data), options, fleeting=True)
        with self._restored.running():
            self._judge_server()
            self._judge_end(end)
            self._judge_tables(before)
            self._judge_indexes(valid)
            self._judge_pages()

    def _newest(self) -> Backup | None:
        backups = self._pgbackrest.backups()
        if not backups:
            self.problems.append("The repository holds no backup.")
            return None
        if lost := self._known.missing(backups[-1].label):
            self.problems.append(
                f"The repository has lost the newest backup, {lost}; now that is {backups[-1].label}."
                " Find out who removed it, then: `postgresql-backup run`."
            )
        usable = self._state.past.usable([backup for backup in backups if backup.current], math.inf)
        if not usable:
            self.problems.append("The repository holds no backup of the server since it was replaced or upgraded.")
            return None
        newest = usable[-1]
        self.label = newest.label
        if newest.damaged:
            self.problems.append(f"Backup {newest.label} was made of damaged pages: see the server's disk and log.")
        return newest

    def _judge_server(self) -> None:
        with self._restored.session() as restored, self._running() as running:
            found, expected = restored.one(_SERVER)["id"], running.one(_SERVER)["id"]
        if found != expected:
            self.problems.append(
                f"Backup {self.label} is of another server: its system identifier is {found}; expected {expected}."
                " Make a new backup: `postgresql-backup run --full`."
            )

    def _judge_end(self, end: str) -> None:
        with self._restored.session() as client:
            row = client.one(
                "SELECT pg_last_wal_replay_lsn() >= %(end)s::pg_lsn AS whole,"
                " to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS until",
                {"end": end},
            )
        if not row["whole"]:
            since = f"{row['until']} UTC" if row["until"] else f"backup {self.label}"
            self.problems.append(
                f"A file of changes (WAL) is missing in the archive: nothing after {since} can be restored."
                " Make a new backup: `postgresql-backup run --full`."
            )

    def _judge_tables(self, before: Tables) -> None:
        """What is gone in the running server by now, too, is no loss."""
        restored = _tables(self._restored.session)
        if before and not restored:
            self.problems.append("There is no table at all in what was restored.")
        suspects = [table for table, has_rows in before.items() if has_rows and not restored.get(table)]
        after = _tables(self._running) if suspects else {}
        if lost := [".".join(table) for table in suspects if after.get(table)]:
            self.problems.append(f"Without their rows were restored: {_some(lost)}.")

    def _judge_indexes(self, before: Set[str]) -> None:
        """Of those that are valid in the running server, then and now: the diagnosis tells the others, and one that is
        made or dropped meanwhile (CONCURRENTLY) is invalid for a time.
        """
        invalid = before & _indexes(self._restored.session, valid=False)
        if broken := sorted(invalid & _indexes(self._running, valid=True)):
            self.problems.append(f"Indexes are invalid in what was restored: {_some(broken)}.")

    def _judge_pages(self) -> None:
        """Every page of tables and B-trees is read, by PostgreSQL's own program for it.

        It takes its extension from where that is. In `public` the service could have put functions of the same names
        beside it, which would be the superuser's to run: it gets one of its own, where nobody else makes any.
        """
        for _database, client in _databases(self._restored.session, templates=True):
            client.execute(f"DROP EXTENSION IF EXISTS {_AMCHECK} CASCADE")
        environment = {**PLAIN, "PGOPTIONS": self._restored.options}
        argv = [
            *(str(self._settings.binaries / "pg_amcheck"), "--all", "--install-missing", "--no-password"),
            *(f"--host={self._restored.socket}", f"--port={PORT}", f"--username={OWNER}"),
        ]
        try:
            run(argv, cwd="/", environment=environment, timeout=_CHECK_SECONDS, lines=_MOST_NAMED)
        except CommandError as error:
            self.problems.append(_sentence(f"What was restored is damaged: {' '.join(str(error).split())}"))


def _databases(server: Server, *, templates: bool = False) -> Iterator[tuple[str, PgClient]]:
    """Each by its name, with a session of it."""
    for name in database_names(server, templates=templates):
        with server(name) as client:
            yield name, client


def _tables(server: Server) -> Tables:
    """A table that somebody has locked is left out: by the time it is not, its name may be that of a view."""
    found: dict[tuple[str, str, str], bool] = {}
    for database, client in _databases(server):
        client.execute("SET lock_timeout = '2s'")
        # a COPY that is broken off would be an error in the log
        client.execute("SET log_min_messages = fatal")
        for row in client.query(_TABLES):
            with contextlib.suppress(PgError):
                found[database, row["schema"], row["name"]] = _has_rows(client, row)
    return found


def _indexes(server: Server, *, valid: bool) -> set[str]:
    """Those that are valid, or those that are not."""
    return {
        f"{database}.{row['name']}"
        for database, client in _databases(server)
        for row in client.query(_INDEXES, {"valid": valid})
    }


def _has_rows(client: PgClient, table: Row) -> bool:
    """Whether that is a large table with a row. Raises PgError.

    A value without a fixed length may be a gigabyte, which nobody wants to read: of a table of such values alone the
    size has to do.
    """
    size = client.one("SELECT pg_relation_size(%(oid)s::oid) AS size", {"oid": table["oid"]})["size"]
    if (size or 0) < _LARGE or not table["small"]:
        return (size or 0) >= _LARGE
    return client.gives_rows(f"COPY {quoted(table['schema'], table['name'])} ({quoted(table['small'])}) TO STDOUT")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} others" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
