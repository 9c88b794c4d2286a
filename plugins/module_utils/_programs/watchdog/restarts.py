# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts of the workers within a window of time: known by PM2's count, the process id and its start time."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from ..._pm2.process import Pm2Process

_MOST_KEPT = 1000


@dataclasses.dataclass(frozen=True)
class _Seen:
    identity: tuple[int | None, float]
    restarts: int


class RestartCounter:
    """Remembers what each worker was at the last probe. Times are seconds since boot."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._times: collections.deque[float] = collections.deque(maxlen=_MOST_KEPT)
        self._forgiven: collections.Counter[int] = collections.Counter()
        self._daemon: int | None = None
        self._changing = False

    def note(self, processes: Iterable[Pm2Process], now: float, *, daemon: int | None, changing: bool) -> int:
        """Takes one more probe in; returns the restarts within the window.

        What another daemon starts, or a deployment, is no restart.
        """
        planned = changing or self._changing or daemon != self._daemon
        self._changing, self._daemon = changing, daemon
        seen = {}
        for process in processes:
            key = (process.name, process.pm_id)
            seen[key] = _Seen((process.pid, process.started_at), process.restarts)
            if key in self._seen and not planned:
                self._times.extend([now] * self._counted(process.pm_id, self._seen[key], seen[key]))
        self._seen = seen
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()
        return len(self._times)

    def forgive(self, numbers: Iterable[int]) -> None:
        """The next restart of each of these workers is the watchdog's own doing."""
        self._forgiven.update(numbers)

    def _counted(self, number: int, before: _Seen, after: _Seen) -> int:
        # a count that went down was reset, or the worker recreated: then it is the other process that shows
        grown = max(after.restarts - before.restarts, 0)
        replaced = None not in (before.identity[0], after.identity[0]) and after.identity != before.identity
        new = grown or int(replaced)
        forgiven = min(new, self._forgiven[number])
        self._forgiven[number] -= forgiven
        # PM2's count is what the service's user makes of it
        return min(new - forgiven, _MOST_KEPT)
