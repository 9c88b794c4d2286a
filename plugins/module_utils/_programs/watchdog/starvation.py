# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a process that does not answer hangs, or only waits for a processor that others take.

The kernel counts for each thread how long it ran, and how long it was ready to run but had to wait. One that is
stopped, or waits for something else, waits for no processor; one whose event loop is blocked uses a processor itself.
What is left is slow because the host is overloaded: to kill it would cost more of what is short.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..._host.processor_time import MOST_OF_THE_TIME, ProcessorTime


class StarvationWatch:
    """Keeps how much each process had used when it last answered."""

    def __init__(self, patience: float) -> None:
        """What has used a processor for `patience` seconds since its last answer is blocked, however short they are."""
        self._patience = patience
        self._used: dict[int, float] = {}

    def starved(
        self, before: Mapping[int, ProcessorTime], after: Mapping[int, ProcessorTime], answered: Collection[int]
    ) -> dict[int, float]:
        """Of those that did not answer meanwhile and starve: for how much of the time they waited, in percent."""
        # a look that PM2 did not answer knows no workers: that is no answer of theirs
        self._used = {pid: used for pid, used in self._used.items() if Path(f"/proc/{pid}").exists()} | {
            pid: then.used if pid in answered else min(then.used, self._used.get(pid, before.get(pid, then).used))
            for pid, then in after.items()
        }
        found = {}
        for pid in before.keys() & after.keys() - set(answered):
            waited = after[pid].waited_since(before[pid])
            blocked = after[pid].used - self._used[pid] >= self._patience
            if waited >= MOST_OF_THE_TIME and not blocked:
                found[pid] = min(100.0, round(100 * waited))
        return found
