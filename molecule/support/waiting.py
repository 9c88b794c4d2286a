# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what a host does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
# Seconds, for what a host does in its own time: another lane of the tests may take all processors for minutes.
BUSY = 180


def until(what: str, that: Callable[[], _T], limit: float = 90, pause: float = 0.3) -> _T:
    """The first true answer of `that`; who waits in vain reads what for."""
    deadline = time.monotonic() + limit
    while not (found := that()):
        assert time.monotonic() < deadline, f"waited {limit:g} s for: {what}"
        time.sleep(pause)
    return found
