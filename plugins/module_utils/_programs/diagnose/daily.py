# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day's worst values, kept by every run, and what is different from the day before: the end of the daily report.

A day is the time between two daily reports, so whoever schedules them decides when it ends.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterable
from pathlib import Path

from ..._checks.findings import OK, UNKNOWN, Finding, rank
from ..._host.atomic import save_json
from ..._host.console import visible
from ..records import load_or_new

_HOUR = 3600.0
# A daily report that is made once more on the same day does not begin a new one.
_SHORTEST_DAY = 12 * _HOUR
# A change by less is how values go up and down anyway.
_CHANGE_SHARE = 0.2
_MAX_FILE = 4 * 1024 * 1024
# What names a process or a release: tomorrow it is another one, and the same thing to look at.
_PASSING = re.compile(r"^(memory\.(?:rss|heap|heap_total)|event_loop|processes\.restarts|websocket)\..*")
# A ratio that is shown and not judged, and how many processes there happen to be.
_UNTOLD = frozenset({"memory.heap_total", "memory.processes"})


@dataclasses.dataclass(frozen=True)
class Worst:
    """The worst reading of one check in a day."""

    status: str
    value: float | int | str | None
    threshold: float | int | str | None
    unit: str
    message: str
    time: float

    @property
    def number(self) -> float | None:
        return float(self.value) if isinstance(self.value, int | float) else None

    def shown(self) -> str:
        if self.number is None:
            return str(self.value or self.status)
        return f"{self.number:.10g} {self.unit}".strip()

    def worse_than(self, other: Worst) -> bool:
        """What was found out counts before what is not known: that the host was busy, the check processors says."""
        if UNKNOWN in (self.status, other.status):
            return self.status != UNKNOWN
        if rank(self.status) != rank(other.status):
            return rank(self.status) > rank(other.status)
        if self.number is None or other.number is None:
            return False
        return self.number < other.number if self._falls else self.number > other.number

    @property
    def _falls(self) -> bool:
        """Whether less is worse: what is well above its threshold, such as days until something ends."""
        if self.number is None or not isinstance(self.threshold, int | float):
            return False
        return self.number >= self.threshold if self.status == OK else self.number < self.threshold


@dataclasses.dataclass
class Day:
    since: float
    runs: int = 0
    worst: dict[str, Worst] = dataclasses.field(default_factory=dict)

    def add(self, findings: Iterable[Finding], now: float) -> None:
        self.runs += 1
        for finding in findings:
            name = _PASSING.sub(r"\1", finding.check)
            if name in _UNTOLD:
                continue
            one = Worst(finding.status, finding.value, finding.threshold, finding.unit, finding.message, now)
            if name not in self.worst or one.worse_than(self.worst[name]):
                self.worst[name] = one


@dataclasses.dataclass(frozen=True)
class _Kept:
    today: Day | None = None
    before: Day | None = None


class Days:
    """The present day and the one before, in a file. A missing or corrupt file is one without a day before."""

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        kept = load_or_new(_Kept, path, _MAX_FILE)
        self.today, self.before = kept.today or Day(now), kept.before

    def add(self, findings: Iterable[Finding], now: float) -> None:
        """Take in one run. Raises OSError when it can't be kept."""
        self.today.add(findings, now)
        self._save(self.today, self.before)

    def end(self, now: float) -> None:
        """Begin a new day, unless this one has just begun. Raises OSError."""
        if now - self.today.since >= _SHORTEST_DAY:
            self._save(Day(now), self.today)

    def _save(self, today: Day, before: Day | None) -> None:
        save_json(self._path, dataclasses.asdict(_Kept(today, before)))


def summary(today: Day, before: Day | None) -> str:
    """The lines for people: the worst of the day, then what changed."""
    lines = ["", f"Worst since {_clock(today.since, date=True)} ({today.runs} runs):"]
    told = {name: worst for name, worst in today.worst.items() if worst.status != OK or worst.number is not None}
    width = max((len(name) for name in told), default=0)
    shown = {name: worst.shown() for name, worst in told.items()}
    value_width = max((len(text) for text in shown.values()), default=0)
    for name, worst in sorted(told.items(), key=lambda item: -rank(item[1].status)):
        line = f"{worst.status:<8}  {name:<{width}}  {shown[name]:>{value_width}}  at {_clock(worst.time)}"
        lines.append(line + (f"  {worst.message}" if worst.status != OK else ""))
    lines += ["", *_changes(today, before)]
    return "".join(f"{visible(line)}\n" for line in lines)


def _changes(today: Day, before: Day | None) -> list[str]:
    if before is None:
        return ["Changes since the day before: none to tell, this is the first day."]
    lines = [line for name in {**before.worst, **today.worst} for line in _change(name, before, today)]
    return [f"Changes since the day before ({before.runs} runs):", *(lines or ["none"])]


def _change(name: str, before: Day, today: Day) -> list[str]:
    old, new = before.worst.get(name), today.worst.get(name)
    if old is None and new is not None:
        return [f"new       {name}  {new.status}, {new.shown()}"]
    if new is None or old is None:
        return [f"gone      {name}"]
    if old.status != new.status:
        word = "worse" if rank(new.status) > rank(old.status) else "better"
        why = f"  {new.message}" if rank(new.status) else ""
        return [f"{word:<8}  {name}  {old.status} -> {new.status}, {old.shown()} -> {new.shown()}{why}"]
    if old.number is None or new.number is None or old.number == new.number:
        return []
    if abs(new.number - old.number) < _CHANGE_SHARE * max(abs(old.number), abs(new.number), 1.0):
        return []
    word = "higher" if new.number > old.number else "lower"
    return [f"{word:<8}  {name}  {old.shown()} -> {new.shown()}"]


def _clock(when: float, date: bool = False) -> str:
    return datetime.datetime.fromtimestamp(when).astimezone().strftime("%F %H:%M" if date else "%H:%M")
