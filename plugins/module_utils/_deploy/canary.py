# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The canary: a release that serves on one host is watched for a while, before the others get it."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import dataclass
from pathlib import Path

from .._host.errors import StabilityError
from .._nginx.access_log import AccessLog
from .health_gate import GateError, Health, Workers, ask_proxy

_LOOK_SECONDS = 1.0
_BAD_LOOKS = 3
"""So many bad answers in a row through the proxy are no accident."""
_HISTORY_BYTES = 1 << 20
_SERVER_ERROR = 500
_LEAST_ERRORS = 3
"""One failed request may have many causes; with fewer than so many no share is judged."""
_TIMES_WORSE = 2


@dataclass
class Tally:
    """Requests, and those of them that were answered with a status of 500 or above."""

    requests: int = 0
    errors: int = 0

    def add(self, status: int) -> None:
        self.requests += 1
        self.errors += status >= _SERVER_ERROR

    @property
    def percent(self) -> float:
        return 100 * self.errors / self.requests if self.requests else 0

    def __str__(self) -> str:
        return f"{self.errors} of {self.requests} requests were answered with an error ({self.percent:.1f} %)"


class Answers:
    """What the service has answered before a moment, in seconds since the epoch, and after: by the access log."""

    def __init__(self, path: Path, since: float) -> None:
        self.before = Tally()
        self.after = Tally()
        # Nginx writes whole seconds
        self._since = int(since)
        self._log = AccessLog(path, history=_HISTORY_BYTES)

    def read(self) -> None:
        """Count what has been written since the last time; at first, the last megabyte. Raises OSError."""
        for line in self._log.lines():
            found = _parse(line)
            if found:
                moment, status = found
                (self.before if moment < self._since else self.after).add(status)


def problem_of(before: Tally, after: Tally, max_percent: float) -> str:
    """What is wrong with the answers since; "" when nothing is.

    Errors that the clients had as often before are not the new release's.
    """
    limit = max(max_percent, _TIMES_WORSE * before.percent)
    if after.errors < _LEAST_ERRORS or after.percent <= limit:
        return ""
    return f"{after}; {limit:g} % are allowed, and before it were {before.percent:.1f} %"


def _parse(line: bytes) -> tuple[float, int] | None:
    """Time and status of a line; None where it is none of ours, or Nginx has answered itself, as for maintenance."""
    try:
        entry = json.loads(line)
        if not entry["upstream"]:
            return None
        return datetime.datetime.fromisoformat(entry["time"]).timestamp(), int(entry["status"])
    except (ValueError, KeyError, TypeError):
        return None


def watch(workers: Workers, health: Health, answers: Answers, seconds: float, max_percent: float) -> float:
    """Return once all was well for so long; how long it took. Raises StabilityError at the first thing that is not."""
    began = time.monotonic()
    try:
        _watch_until(began + seconds, workers, health, answers, max_percent)
    except GateError as error:
        raise StabilityError(f"{error}, {time.monotonic() - began:.0f} s after the watch began") from error
    return round(time.monotonic() - began, 1)


def _watch_until(end: float, workers: Workers, health: Health, answers: Answers, max_percent: float) -> None:
    workers.wait_until_healthy(time.monotonic() + health.start_timeout)
    bad = 0
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(_LOOK_SECONDS, left))
        workers.require_alive()
        problem = ask_proxy(health, 0) if health.proxy_url else ""
        bad = bad + 1 if problem else 0
        if bad >= _BAD_LOOKS:
            raise GateError(f"{_BAD_LOOKS} answers in a row through the proxy were not healthy: {problem}")
        answers.read()
        if problem := problem_of(answers.before, answers.after, max_percent):
            raise GateError(problem)
    workers.require_same()
