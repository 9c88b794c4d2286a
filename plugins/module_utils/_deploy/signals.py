# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals during a deployment: they may end it, by its way back, but never that way back itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .model import ActivationError

_ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def until_terminated() -> Iterator[None]:
    """A lost connection (SIGHUP) stops nothing; the first SIGTERM or SIGINT raises ActivationError."""

    def interrupt(number: int, _frame: object) -> None:
        ignore()
        raise ActivationError(f"the run was told to end ({signal.Signals(number).name})")

    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, *_ENDING)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in _ENDING:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def then_undisturbed() -> Iterator[None]:
    """What follows this block, also what an error sets going, is not interrupted any more.

    The signal that comes in the last moment is no gap: it raises once more, within what handles the error.
    """
    try:
        yield
    finally:
        ignore()


def ignore() -> None:
    """From now on nothing ends the run but SIGKILL."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
