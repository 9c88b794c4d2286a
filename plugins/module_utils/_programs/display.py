# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the commands on a host have in common where people look at them: a word in its colour, bars, and times."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time

from .._checks.findings import CRITICAL, OK, UNKNOWN, WARNING

STATES = {"healthy": OK, "paused": WARNING, "suspect": WARNING, "recovering": CRITICAL, "exhausted": CRITICAL}
"""How bad each state of the watchdog is."""

_COLOURS = {OK: "32", WARNING: "33", UNKNOWN: "35", CRITICAL: "31"}
_BAR = 20
# a terminal may not know UTF-8
_USED, _FREE = "#", "."


def is_coloured() -> bool:
    """Whether somebody looks who has not asked for plain text."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def painted(status: str, coloured: bool, word: str = "") -> str:
    """The status, or a word for it, in a column of its own."""
    return in_colour(status, f"{word or status:<8}", coloured)


def in_colour(status: str, text: str, coloured: bool) -> str:
    return f"\x1b[{_COLOURS[status]}m{text}\x1b[0m" if coloured else text


def as_bar(percent: float) -> str:
    full = min(_BAR, max(0, round(_BAR * percent / 100)))
    return f"{_USED * full}{_FREE * (_BAR - full)} {percent:5.1f} %"


def stamp(moment: float) -> str:
    """A time as a person gives it: the host's."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def as_time(text: str) -> datetime.datetime:
    """What a person gives as a time, for argparse."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no date and time, such as 2026-11-29 14:00:00") from error
