# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which server was the running one at which time, after it has been replaced by one that was restored.

PostgreSQL numbers timelines, each of which forks from another one, and pgBackRest chooses a backup by its time alone.
Whoever restores to a time has to say whose time that was, and to begin with a backup that leads there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..._postgresql.pgbackrest import Backup

Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Replacement:
    """The running server went, and another one came. Times are seconds since the epoch."""

    ended: float
    timeline: int
    """Of the server that went; 0 where it was another one than that of the repository."""
    restored: float
    """As of when the server was that came."""
    coming: int = 0
    """The inode of its data directory, as long as it has not come."""


@dataclasses.dataclass(frozen=True)
class Past:
    """The replacements, the oldest first."""

    replacements: tuple[Replacement, ...] = ()

    @property
    def last(self) -> float:
        """When the running server came; 0 where it was never replaced."""
        return self.replacements[-1].ended if self.replacements else 0.0

    def timeline(self, when: float) -> int | None:
        """Which one the server was on at that time; None where it is that of today."""
        return next((each.timeline for each in self.replacements if when <= each.ended), None)

    def line(self, when: float) -> list[Span]:
        """The spans of time whose commits the server had at that time, the newest first."""
        spans: list[Span] = []
        while before := [each for each in self.replacements if each.ended < when]:
            spans.append((before[-1].ended, when))
            # a clock may have gone back
            when = min(before[-1].restored, before[-1].ended)
        return [*spans, (0.0, when)]

    def parted(self, one: float, other: float) -> float:
        """Up to when the servers of these two times have the same commits."""
        ends = [min(a[1], b[1]) for a in self.line(one) for b in self.line(other) if a[0] == b[0]]
        return max(ends, default=0.0)

    def usable(self, backups: Iterable[Backup], when: float) -> list[Backup]:
        """Those that a restore to that time can begin with, the oldest first: their ends are whole seconds, cut."""
        spans = self.line(when)
        return [backup for backup in backups if any(begun < backup.ended <= end - 1 for begun, end in spans)]
