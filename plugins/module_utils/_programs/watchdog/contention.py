# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds the service up in its database, or leaves it no connection: each probe asks, by a session that stays open.

Workers whose health needs no such table look healthy while requests wait for it. And a server that is full lets nobody
in any more who could say by whom. A statement's text is never read.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ..._checks.findings import CRITICAL, OK, Thresholds
from ..._host.errors import StabilityError
from ..._host.later import later
from ..._host.small_file import read_json
from ..._postgresql.budget import END_ONE, Blocking, Consumer, blocking, consumer_of, full
from ..._postgresql.client import PgClient, PgError, session
from ..._postgresql.sessions import Connections, read_connections
from ..codes import Code
from ..database_login import login, login_of, service_url
from .model import SERVICE, Problem

_APPLICATION = "watchdog"
_LARGEST_SETTINGS = 1024 * 1024
# What the server says to who gets no connection where others have them all, not where the role that asks has its own.
_REFUSALS = ("too many clients", "remaining connection slots", "too many connections for database")
_REFUSED = "the server lets nobody in: all its connections are taken. By whom, its superuser sees in pg_stat_activity."
# A server that is stopped answers nothing, for as long as it is.
_LONGEST_SECONDS = 15.0


@dataclasses.dataclass(frozen=True)
class Contention:
    """What is in the service's way in its database; nothing, where that is not known."""

    locked: str = ""
    """Who holds a lock for which the service's sessions have waited for too long."""
    severity: str = OK
    """Of the lock."""
    elsewhere: bool = False
    """Whether it is nothing like the service's own sessions that holds the lock: to end those would not help."""
    full: str = ""

    def problems(self) -> tuple[Problem, ...]:
        found = []
        if self.locked:
            found.append(Problem.of(SERVICE, Code.DATABASE_LOCKED, self.severity, self.locked))
        if self.full:
            found.append(Problem.of(SERVICE, Code.DATABASE_FULL, CRITICAL, self.full))
        return tuple(found)


class ContentionReader:
    """Asks at the side, with the login and the thresholds of the diagnosis."""

    def __init__(self, config: str) -> None:
        """`config` is the settings file of the diagnosis; empty where nobody is to be asked."""
        self._config = config
        self._session = contextlib.ExitStack()
        self._client: PgClient | None = None
        self._asked: Future[Contention] | None = None
        self._asked_at = 0.0
        self._known = Contention()
        self._since: dict[int, float] = {}
        self._was_full = False

    def read(self, now: float, runs: bool) -> Contention:
        """What the last question came to; begins the next one. `runs`: whether the service has processes.

        Without them the session ends: it would be in the way of who wants to replace the database.
        """
        if self._asked and self._asked.done():
            self._known, self._asked = self._asked.result(), None
        elif now - self._asked_at > _LONGEST_SECONDS:
            self._known = Contention()
        if self._config and self._asked is None and (runs or self._client):
            self._asked, self._asked_at = later("contention", self._ask if runs else self._leave, now), now
        return self._known

    def _ask(self, now: float) -> Contention:
        try:
            settings = read_json(Path(self._config), _LARGEST_SETTINGS)
            found = read_connections(self._client or self._enter(settings["database"]))
            return self._judge(found, settings, now)
        except PgError as error:
            self._leave(now)
            return self._full(_REFUSED if any(words in str(error) for words in _REFUSALS) else "")
        except (StabilityError, OSError, ValueError, LookupError, TypeError):
            # the diagnosis says what is wrong with its settings
            return self._leave(now)

    def _enter(self, section: Mapping[str, Any]) -> PgClient:
        given = section["diagnosis"]
        chosen = login(given, _APPLICATION) if given else login_of(service_url(section), _APPLICATION)
        self._client = self._session.enter_context(session(chosen))
        return self._client

    def _leave(self, _now: float) -> Contention:
        self._client = None
        self._session.close()
        return Contention()

    def _judge(self, found: Connections, settings: Mapping[str, Any], now: float) -> Contention:
        consumer = consumer_of(settings["database"]["service"])
        thresholds = Thresholds.of(settings["thresholds"], "lock_wait_seconds")
        holders = [each for each in blocking(found.sessions) if any(map(consumer.owns, each.waiting))]
        self._since = {each.pid: self._since.get(each.pid, now) for each in holders}
        seconds = {each.pid: each.seconds(now - self._since[each.pid]) for each in holders}
        long = [each for each in holders if seconds[each.pid] >= thresholds.warning]
        answer = self._full(f"{who}. {END_ONE}" if (who := full(found, consumer)) else "")
        if not long:
            return answer
        return dataclasses.replace(
            answer,
            locked=f"{'; '.join(each.text(now - self._since[each.pid]) for each in long)}. {END_ONE}",
            severity=thresholds.status(max(seconds.values())),
            elsewhere=_is_elsewhere(long, consumer),
        )

    def _full(self, who: str) -> Contention:
        """For a moment a server may be full at any time."""
        before, self._was_full = self._was_full, bool(who)
        return Contention(full=who if before else "")


def _is_elsewhere(holders: Sequence[Blocking], consumer: Consumer) -> bool:
    """Whether none of the holders looks like the sessions that it holds up."""
    own = {waiting.application for each in holders for waiting in each.waiting if consumer.owns(waiting)}
    return not any(each.session and consumer.owns(each.session) and each.session.application in own for each in holders)
