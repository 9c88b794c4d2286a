# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about the database: does it answer, who is connected, which statements are slow, and which
indexes help nobody.

The service's own account shows that the service can use its database. The rest is asked as the diagnosis role, which
may read the statistics of this database and nothing else; where it can't log in, the service's account shows what it
may see.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ...._checks.backup import judge_backups
from ...._checks.certificates import judge_dates
from ...._checks.findings import CRITICAL, DATABASE_FULL, OK, WARNING, Finding, Thresholds, judge_value
from ...._checks.health import pool_of
from ...._host.errors import StabilityError
from ...._net.tls import begin_postgresql, read_dates
from ...._postgresql.archiving import read_archiving, read_record
from ...._postgresql.budget import consumer_of, judge_connections, limits_of
from ...._postgresql.client import Login, MissingDriverError, PgClient, PgError, session
from ...._postgresql.index.info import read_info
from ...._postgresql.sessions import read_connections
from ...._postgresql.slow_queries import SlowLimits, judge, over, top
from ...._postgresql.statements import StatementsError, read
from ...._postgresql.window import baseline, replace, snapshot_of, window
from ...backup_record import from_text
from ...codes import Code
from ...database_login import login, login_of, service_url
from ...records import mappings, read_status
from ..runner import Check, Context

_APPLICATION = "diagnose"
_ITSELF = "database"
_PORT = 5432
_CONNECT_TIMEOUT = 2
_RENEW = "Apply the playbook to the database host, or give it a new certificate."
# The role may have three sessions, of which the watchdog's stays open.
_TURNS = threading.BoundedSemaphore(2)
# Statistics that are younger do not tell which indexes are needed: a job may run once a week.
_FEWEST_DAYS = 7
# It answers, and that is the answer.
_FULL = "no connection left"
_WRONG_PASSWORD, _MISSING = "password authentication failed", "does not exist"
_NOBODY = "no server listens there; on that host: `systemctl start postgresql`"
# Phrases of libpq and the server, and what they mean.
_REASONS = (
    ("connection refused", _NOBODY),
    ("no such file or directory", _NOBODY),
    (_WRONG_PASSWORD, "the server refuses the account's password; apply the playbook"),
    ("peer authentication failed", "the server does not take this user for the account; apply the playbook"),
    ("not permitted to log in", "the account may not log in; apply the playbook"),
    ("no pg_hba.conf entry", "the server's pg_hba.conf does not let the account in; apply the playbook"),
    ("permission denied for database", "the account may not connect to the database; apply the playbook"),
    ("too many clients", "the server has no connection left; lower the pools or raise max_connections"),
    ("remaining connection slots", "the server has no connection left; lower the pools or raise max_connections"),
    ("too many connections", "the account has no connection left; lower the pools or raise its limit"),
    (_MISSING, "the database or the account does not exist; apply the playbook"),
    ("could not translate host name", "the host name does not resolve; correct service_database_host"),
    ("certificate verify failed", "its certificate is not of the authority that this host trusts; apply the playbook"),
    ("does not match host name", "its certificate is for another host; apply the playbook to the database host"),
    ("root certificate file", "the authority of its certificate is missing here; apply the playbook"),
    ("starting up", "the server is still starting"),
    ("shutting down", "the server is shutting down; start it again"),
    ("timeout", "the server did not answer in time; see its load and its log"),
)


class _UnknownError(StabilityError):
    """The database can't be asked; `finding` says why."""

    def __init__(self, message: str, status: str = CRITICAL, timed: bool = False) -> None:
        super().__init__(message)
        self.finding = Finding(_ITSELF, status, message, timed=timed)


def _named(name: str) -> Callable[[Check], Check]:
    """A check that says nothing of a service without a database; that it can't be asked is a finding of this name."""

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        def checked(context: Context) -> list[Finding]:
            if not context.section("database")["enabled"]:
                return []
            try:
                return check(context)
            except _UnknownError as error:
                if name == _ITSELF:
                    return [error.finding]
                # one cause, told as critical once
                message = f"not known: the database can't be asked. See the check {_ITSELF}."
                return [Finding(name, WARNING, message, timed=error.finding.timed)]

        return checked

    return decorate


@_named(_ITSELF)
def check_database(context: Context) -> list[Finding]:
    """Can the service's own account connect, and how fast does the server answer?"""
    section = context.section("database")
    url = _url(section)
    try:
        started = time.monotonic()
        with session(_own_login(url)) as client:
            connected = time.monotonic()
            client.query("SELECT 1")
        finished = time.monotonic()
    except (PgError, MissingDriverError) as error:
        told = _refusal(section, error)
        if _FULL in told:
            return [Finding(DATABASE_FULL, CRITICAL, f"{where(url)}: {told}. {_holders(section)}".strip())]
        return [Finding(_ITSELF, CRITICAL, f"{where(url)}: {told}.", timed=_timed_out(error))]
    latency = judge_latency(
        url, 1000 * (connected - started), 1000 * (finished - connected), context.thresholds("database_latency_ms")
    )
    return [latency, *_certificate(url, context)]


def _refusal(section: Mapping[str, Any], error: PgError | MissingDriverError) -> str:
    """Why the service's account can't connect.

    PostgreSQL asks for a password also of an account that does not exist, as after a restore to a time before it. The
    diagnosis role of a server on this host needs none, and is told.
    """
    if _WRONG_PASSWORD in str(error) and section["diagnosis"]:
        try:
            with session(login(section["diagnosis"], _APPLICATION)):
                pass
        except PgError as other:
            if _MISSING in str(other):
                return reason(str(other))
    return _told(error)


def _holders(section: Mapping[str, Any]) -> str:
    """Who has all connections, as the watchdog has seen it a moment ago, whose session is open still."""
    _written, status = read_status(Path(section["watchdog_status"]))
    problems = mappings(status.get("problems"))
    return next((str(one.get("message", "")) for one in problems if one.get("code") == Code.DATABASE_FULL), "")


def _certificate(url: str, context: Context) -> list[Finding]:
    """Until when the server's certificate is valid, where the service relies on it."""
    parts = urlsplit(url)
    if dict(parse_qsl(parts.query)).get("sslmode") != "verify-full":
        return []
    check, address = f"{_ITSELF}.certificate", unquote(parts.hostname or "")
    thresholds = context.falling_thresholds("certificate_days")
    try:
        dates = read_dates(address, parts.port or _PORT, address, _CONNECT_TIMEOUT, begin_postgresql)
    except OSError as error:
        message = f"the certificate of {address} can't be read: {error}."
        return [Finding(check, WARNING, message, timed=isinstance(error, TimeoutError))]
    return [judge_dates(address, dates, context.now, thresholds, check=check, advice=_RENEW)]


def judge_latency(url: str, connecting_ms: float, answering_ms: float, thresholds: Thresholds) -> Finding:
    latency = round(answering_ms, 1)
    message = f"{where(url)} answers in {latency} ms; connecting took {connecting_ms:.0f} ms"
    advice = "See the server's load, and what it waits for: SELECT * FROM pg_stat_activity."
    return judge_value(_ITSELF, latency, thresholds, message, advice, unit="ms", timed=True)


@_named("pool")
def check_pool(context: Context) -> list[Finding]:
    """The pools of the workers, as their health answers show them."""
    section = context.section("database")
    return judge_pools([reading.body for reading in context.health()], int(section["service"]["pool_max"]))


def judge_pools(bodies: Iterable[Any], planned: int) -> list[Finding]:
    """A body may hold database.pool: total, idle, waiting and max. Each worker counts once."""
    pools = {body.get("pid", number): pool for number, body in enumerate(bodies) if (pool := pool_of(body))}
    if not pools:
        return []
    found = pools.values()
    used, waiting = sum(pool["total"] - pool["idle"] for pool in found), sum(pool["waiting"] for pool in found)
    most = max(pool["max"] for pool in found)
    message = f"{len(pools)} workers use {used} of {sum(pool['max'] for pool in found)} connections of their pools"
    if most != planned:
        message += f"; a pool has {most}, the plan says {planned}. Apply the playbook and reload the service."
        return [Finding("pool", WARNING, message, most, planned, "connections")]
    if waiting:
        message += f", {waiting} requests wait for one. See slow statements, or raise service_pool_max."
        return [Finding("pool", WARNING, message, waiting, 0, "requests")]
    return [Finding("pool", OK, message, used, None, "connections")]


@_named("connections")
def check_connections(context: Context) -> list[Finding]:
    """What may be connected, what is, and who holds up whom."""
    section = context.section("database")
    with _diagnosis(section) as (client, notes):
        found = read_connections(client)
    consumers = [consumer_of(section["service"])]
    levels = context.levels(open="connections_percent", idle="idle_in_transaction_seconds", waiting="lock_wait_seconds")
    return notes + judge_connections(found, consumers, section["others"], limits_of(levels))


@_named("statements")
def check_statements(context: Context) -> list[Finding]:
    """The slowest statements since an earlier run, N+1 suspects, and tables that are read as a whole."""
    section = context.section("database")
    try:
        with _diagnosis(section) as (client, _notes):
            reading = read(client, [section["service"]["role"]])
    except StatementsError as error:
        return [Finding("statements", WARNING, f"{error}.")]
    path = Path(section["statements_file"])
    before, due = baseline(path, reading.now, float(section["window"]))
    findings = []
    if due:
        try:
            replace(path, snapshot_of(reading))
        except OSError as error:
            message = f"{path}: {error.strerror}; the window can't begin anew. Free space or correct the owner."
            findings.append(Finding("statements.window", WARNING, message))
    found = window(reading, before)
    slowest = top(found, "mean", int(section["slow_query_count"]))
    limits = SlowLimits(context.thresholds("slow_query_ms"))
    if found.notes:
        findings.append(Finding("statements.window", OK, f"{over(found)}; {'; '.join(found.notes)}"))
    return findings + judge(found, slowest, limits)


@_named("indexes")
def check_indexes(context: Context) -> list[Finding]:
    """INVALID indexes, those that are there twice, and those that no query has used."""
    with _diagnosis(context.section("database")) as (client, _notes):
        try:
            # reading a definition waits for who has locked the table, as in a migration
            client.execute("SET lock_timeout = '500ms'")
            info = read_info(client, [], _FEWEST_DAYS)
        except PgError as error:
            if error.lost:
                raise
            return [Finding("indexes", OK, f"the indexes can't be read now: {error}")]
    return judge_indexes(info)


@_named("backup")
def check_backup(context: Context) -> list[Finding]:
    """What the server's host has recorded of its backups, and whether its changes come into the archive of them."""
    section = context.section("database")
    if not section.get("has_backups"):
        return []
    with _diagnosis(section) as (client, _notes):
        record, archiving = read_record(client), read_archiving(client)
    return list(judge_backups(from_text(record), archiving, context.now))


def judge_indexes(info: Mapping[str, Any]) -> list[Finding]:
    """From what postgresql_index_info tells. Only an INVALID index that nobody builds any more is a warning."""
    count = len(info["indexes"])
    left = [index for index in info["invalid"] if not index["sessions"]]
    parts = [f"{count} indexes, {len(left)} INVALID"]
    parts += [f"the same twice: {', '.join(group['indexes'])}" for group in info["duplicates"]]
    if unused := [index["index"] for index in info["unused"]]:
        parts.append(f"never used in {info['statistics']['days']:.0f} days: {', '.join(unused)}")
    if not left:
        return [Finding("indexes", OK, "; ".join(parts), 0, 1, "indexes")]
    names = "; ".join(f"{index['index']} of {index['table']} ({index['origin']})" for index in left)
    advice = "Every write pays for them and no query uses them: apply the playbook, or drop them"
    return [Finding("indexes", WARNING, f"{'; '.join(parts)}: {names}. {advice}.", len(left), 1, "indexes")]


@contextlib.contextmanager
def _diagnosis(section: Mapping[str, Any]) -> Iterator[tuple[PgClient, list[Finding]]]:
    """A session of the diagnosis role, else of the service's own, with a finding that says so. Raises _UnknownError."""
    url = _url(section)
    given = section["diagnosis"]
    notes: list[Finding] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_TURNS)
        client = None
        try:
            if given:
                client = stack.enter_context(session(login(given, _APPLICATION)))
        except PgError as error:
            if _timed_out(error):
                raise _UnknownError(f"{where(url)}: {reason(str(error))}.", timed=True) from error
            message = f"the role {given['user']} can't log in, the service's was used: {reason(str(error))}."
            notes.append(Finding("connections.role", WARNING, message))
        try:
            client = client or stack.enter_context(session(_own_login(url)))
            yield client, notes
        except PgError as error:
            raise _UnknownError(f"{where(url)}: {reason(str(error))}.", timed=_timed_out(error)) from error


def _timed_out(error: PgError | MissingDriverError) -> bool:
    return "timeout" in str(error).lower()


def _url(section: Mapping[str, Any]) -> str:
    """The service's own address of the database. Raises _UnknownError."""
    try:
        url = service_url(section)
    except OSError as error:
        raise _UnknownError(f"{section['file']}: {error.strerror}. Apply the playbook.") from error
    if not url:
        raise _UnknownError("DATABASE_URL is not set: the database was not asked. Apply the playbook.", WARNING)
    return url


def _own_login(url: str) -> Login:
    """Raises _UnknownError."""
    try:
        return login_of(url, _APPLICATION)
    except ValueError as error:
        raise _UnknownError("DATABASE_URL is no address of a database. Apply the playbook.") from error


def where(url: str) -> str:
    """The database that a URL names, without account and password."""
    try:
        parts = urlsplit(url)
        name = parts.path.lstrip("/") or "the default database"
        return f"database {name} on {parts.hostname or 'a socket'}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "the database"


def _told(error: PgError | MissingDriverError) -> str:
    return str(error) if isinstance(error, MissingDriverError) else reason(str(error))


def reason(text: str) -> str:
    """What the driver's message means. It is never passed on: libpq may quote the URL, and so the password."""
    lower = text.lower()
    return next(
        (meaning for phrase, meaning in _REASONS if phrase in lower), "can't connect or ask; see the server's log"
    )
