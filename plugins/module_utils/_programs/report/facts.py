# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the report is made of, read where it is kept. Most of it is the service's user's, and may be anything."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._host.small_file import read_json
from ..common import diagnose
from ..history import WEEKS, Event, HistoryError, Kept
from ..records import mapping, read_status
from .series import DAY_SPAN, SPANS, WEEKS_SPAN, Points

_LARGEST_DAYS = 4 * 1024 * 1024
_STALE_SECONDS = 60.0
# Beside forty busy programs a Python takes a minute to start.
_DIAGNOSIS_SECONDS = 180.0


@dataclass(frozen=True)
class Settings:
    """What the role says."""

    service: str
    language: str
    history: str
    status: str
    diagnose_command: str
    days_file: str
    directory: str
    keep_days: int


@dataclass(frozen=True)
class Facts:
    service: str
    host: str
    now: float
    status: Mapping[str, Any]
    """The watchdog's; empty where it is silent."""
    findings: Sequence[Mapping[str, Any]] | None
    """Of a run of the diagnosis; None where there was none."""
    worst: Mapping[str, Mapping[str, Any]]
    """Of the diagnosis in the last day or two, by check."""
    events: Sequence[Event]
    points: Mapping[str, Points]
    """By the name of the span."""
    missing: str = ""
    """Why there is no history."""

    @property
    def day(self) -> Points:
        return self.points[DAY_SPAN.name]

    @property
    def weeks(self) -> Points:
        return self.points[WEEKS_SPAN.name]


def gather(settings: Settings) -> Facts:
    # it becomes the service's user by itself
    findings = diagnose([settings.diagnose_command, "--json", "--read-only"], _DIAGNOSIS_SECONDS)
    now = time.time()
    events, points, missing = _read_history(Path(settings.history), now)
    written, status = read_status(Path(settings.status))
    return Facts(
        service=settings.service,
        host=socket.gethostname(),
        now=now,
        status=status if time.time() - written / 1e9 <= _STALE_SECONDS else {},
        findings=findings,
        worst=_read_worst(Path(settings.days_file)),
        events=events,
        points=points,
        missing=missing,
    )


def _read_history(path: Path, now: float) -> tuple[list[Event], Mapping[str, Points], str]:
    try:
        history = Kept(path)
        points = {span.name: history.points(span.step, now - span.seconds, now, span.width) for span in SPANS}
        return history.events(now - WEEKS), points, ""
    except HistoryError as error:
        return [], {span.name: {} for span in SPANS}, str(error)


def _read_worst(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Of today and of the day before: the daily report ends a day."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        days = [mapping(mapping(read_json(path, _LARGEST_DAYS)).get(day)) for day in ("before", "today")]
        return {check: mapping(worst) for day in days for check, worst in mapping(day.get("worst")).items()}
    return {}
