# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Letting an activation that gets no new connection finish those that it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .._host.unix_sockets import connections

_POLL_SECONDS = 0.25
_CHECK_SECONDS = 1.0
# one look could fall between a proxy's connect() and the kernel's entry for it
_EMPTY_LOOKS = 2


@dataclass(frozen=True)
class Drained:
    """How it went. `left` are connections that were still open at the time limit: WebSockets, as a rule."""

    seconds: float
    at_first: int
    left: int

    def report(self) -> dict[str, float]:
        return {"seconds": self.seconds, "connections": self.at_first, "left": self.left}


def drain(socket: Path, limit: float, check: Callable[[], None]) -> Drained:
    """Wait until the socket has no connection any more, `limit` seconds at most.

    `check` is called every second; what it raises ends the wait.
    """
    began = time.monotonic()
    at_first = count = connections(socket)
    empty, checked = 0, began
    while True:
        empty = 0 if count else empty + 1
        now = time.monotonic()
        if empty >= _EMPTY_LOOKS or now - began >= limit:
            return Drained(round(now - began, 1), at_first, count)
        if now - checked >= _CHECK_SECONDS:
            check()
            checked = now
        time.sleep(_POLL_SECONDS)
        count = connections(socket)
