# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dead man's switch, and what the watchdog's status says beside its events. Pure.

Two clocks show whether the status is written: its age by the wall clock, and, since that one may jump, for how long we
have seen the very same file by the clock that runs since boot.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..codes import Code
from ..records import number
from .problems import HEARTBEAT, RANKS, Event, Ledger
from .record import EventError, event_of

_MOST_ENTRIES = 200
_JUMP = 5.0
# An event and the status are not written at one moment: only what is so for longer is held against the events.
_GRACE_OPEN = 30.0
_GRACE_GONE = 120.0
# The codes of its silence: where an operator has stopped it, and else.
WATCHDOG = (Code.WATCHDOG_STOPPED, Code.WATCHDOG_SILENT)
MONITORING = (Code.MONITORING_STOPPED, Code.MONITORING_SILENT)


@dataclasses.dataclass(frozen=True)
class Clock:
    wall: float
    boot: float
    """Seconds since boot, sleep included."""
    boot_id: str


@dataclasses.dataclass(frozen=True)
class Unit:
    """What systemd says of what is watched for signs of life: the watchdog, or Prometheus and Alertmanager."""

    load: str = "not-found"
    active: str = "inactive"
    result: str = "success"

    @property
    def installed(self) -> bool:
        return self.load not in ("not-found", "masked")

    @property
    def stopped(self) -> bool:
        """By an operator: it ended when it was asked to, and did not die."""
        return self.load != "not-found" and self.active == "inactive" and self.result == "success"


@dataclasses.dataclass
class Sight:
    """When which status file, or which sign of Prometheus, was seen first."""

    mtime_ns: int = 0
    since: float = 0.0
    boot_id: str = ""
    wall: float = 0.0
    boot: float = 0.0
    """Both clocks at the last run: that they differ since then means that the wall clock jumped."""


def observe(sight: Sight, mtime_ns: int, clock: Clock, limit: float) -> tuple[Sight, bool]:
    """What to remember, and whether the status is fresh. `mtime_ns` is 0 where there is no file."""
    known = sight.boot_id == clock.boot_id
    jumped = not known or abs((clock.wall - sight.wall) - (clock.boot - sight.boot)) > _JUMP
    # a file that is gone, as systemd removes it with the watchdog, is no new sign
    last = mtime_ns or (sight.mtime_ns if known else 0)
    since = sight.since if known and sight.mtime_ns == last else clock.boot
    seen = Sight(last, since, clock.boot_id, clock.wall, clock.boot)
    too_old = last > 0 and not jumped and clock.wall - last / 1e9 >= limit
    return seen, not too_old and clock.boot - since < limit


def heartbeat_events(
    ledger: Ledger,
    fresh: bool,
    unit: Unit,
    mtime_ns: int,
    now: float,
    *,
    codes: tuple[Code, Code] = WATCHDOG,
    why: str = "",
) -> list[Event]:
    """Silence as a problem, and its end; where no watchdog is installed none is silent."""
    if fresh or (codes == WATCHDOG and not unit.installed):
        return [Event("resolved", now, HEARTBEAT)] if HEARTBEAT in ledger.problems else []
    code, severity = (codes[0], "warning") if unit.stopped else (codes[1], "critical")
    if HEARTBEAT in ledger.problems and ledger.problems[HEARTBEAT].code == code:
        return []
    message = f"The last sign is {max(0.0, now - mtime_ns / 1e9):.0f} s old." if mtime_ns else "There is no sign of it."
    return [Event("problem", now, HEARTBEAT, code, severity, f"{message} {why}".strip())]


def missed_events(ledger: Ledger, status: Mapping[str, Any], now: float) -> list[Event]:
    """What a fresh status knows and no event has said, as on a full disk: problems that opened, worsened, or ended."""
    listed = {event.key: event for event in _entries(status, now)}
    written = min(_number(status.get("time"), now), now)
    missed = [
        event
        for event in listed.values()
        if _worse(ledger, event) and written - max(event.time, _last_event(ledger, event.key)) > _GRACE_OPEN
    ]
    gone = [
        Event("resolved", written, key)
        for key, problem in ledger.problems.items()
        if key not in listed and key != HEARTBEAT and written - problem.touched > _GRACE_GONE
    ]
    return missed + gone


def _worse(ledger: Ledger, event: Event) -> bool:
    known = ledger.problems.get(event.key)
    return known is None or RANKS[event.severity] > RANKS[known.severity]


def _last_event(ledger: Ledger, key: str) -> float:
    """When it was opened, changed or closed, as far as events say."""
    known = ledger.problems.get(key)
    return known.touched if known else ledger.closed.get(key, 0.0)


def _entries(status: Mapping[str, Any], now: float) -> Iterator[Event]:
    """The status is written by the service's user, like the events."""
    problems = status.get("problems")
    for entry in problems[:_MOST_ENTRIES] if isinstance(problems, list) else []:
        if isinstance(entry, dict) and {"key", "code", "severity"} <= set(entry):
            with contextlib.suppress(EventError):
                yield event_of({**entry, "kind": "problem", "time": _number(entry.get("since"), now)}, now)


def _number(value: Any, otherwise: float) -> float:
    found = number(value)
    return otherwise if found is None else found
