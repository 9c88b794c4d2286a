# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For how much of the time something waits for a processor that others take: it is slow, and does not hang.

The kernel counts for each thread how long it ran, and how long it was ready to run but had to wait.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from . import proc

_NANOSECONDS = 1e9
_PROC = Path("/proc")
_OWN_THREADS = Path("/proc/self/task")
MOST_OF_THE_TIME = 0.5


@dataclasses.dataclass(frozen=True)
class ProcessorTime:
    """Of a thread, in seconds. A process's is that of its main thread: Node.js runs its event loop there."""

    at: float
    """By the monotonic clock."""
    used: float
    waited: float

    def waited_since(self, before: ProcessorTime) -> float:
        """For which share of the time since then it waited for a processor."""
        passed = self.at - before.at
        return (self.waited - before.waited) / passed if passed > 0 else 0.0


def processor_times(pids: Iterable[int], table: Path = _PROC) -> dict[int, ProcessorTime]:
    """A process that is gone, or a kernel that doesn't count, has none."""
    found = {}
    for pid in pids:
        try:
            used, waited, _turns = proc.text(pid, "schedstat", table).split()
            found[pid] = ProcessorTime(time.monotonic(), int(used) / _NANOSECONDS, int(waited) / _NANOSECONDS)
        except ValueError:
            continue
    return found


_NEW = ProcessorTime(0.0, 0.0, 0.0)


class OwnWaiting:
    """For how much of the time since it was made the threads of this process have waited for a processor.

    A thread that sleeps until something answers adds nothing to it, however long that takes. Where several wait at the
    same time, it is at most the time that has passed between two looks, which share() and starved() are.
    """

    def __init__(self) -> None:
        self._began = self._looked = time.monotonic()
        self._seen = _own_times()
        self._left: dict[int, ProcessorTime] = {}
        self._waited = self._used = 0.0

    def leave(self) -> None:
        """For a thread that is about to end: the kernel forgets what it has waited, which counts on here."""
        self._left |= processor_times([threading.get_native_id()], _OWN_THREADS)

    def share(self) -> float:
        """0 to 1. Of a thread that ended without leave(), what it had waited at the last look counts."""
        self._look()
        return self._waited / (self._looked - self._began)

    def starved(self) -> bool:
        """Whether it was held up most of the time, and waited for a processor longer than it had one."""
        return self.share() >= MOST_OF_THE_TIME and self._waited > self._used

    def _look(self) -> None:
        before, self._seen = self._seen, self._seen | self._left | _own_times()
        last, self._looked = self._looked, time.monotonic()
        waited, used = (
            sum(getattr(now, what) - getattr(before.get(thread, _NEW), what) for thread, now in self._seen.items())
            for what in ("waited", "used")
        )
        self._waited += min(waited, self._looked - last)
        self._used += min(used, self._looked - last)


def _own_times() -> dict[int, ProcessorTime]:
    return processor_times(proc.pids(_OWN_THREADS), _OWN_THREADS)
