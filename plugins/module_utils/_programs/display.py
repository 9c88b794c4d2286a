# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the commands on a host have in common where people look at them: lines that fit a terminal, bars, and times."""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, Finding, rank
from .._host.console import terminal_width, visible, wrapped
from .records import mapping, mappings

STATES = {"healthy": OK, "paused": WARNING, "suspect": WARNING, "recovering": CRITICAL, "exhausted": CRITICAL}
"""How bad each state of the watchdog is."""

EXIT = {OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3}
"""The exit status of each command that says how the service is."""

_COLOURS = {OK: "32", WARNING: "33", UNKNOWN: "35", CRITICAL: "31"}
_BAR = 20
# a terminal may not know UTF-8
_USED, _FREE = "#", "."
_WORD = 8
_GAP = "  "
# Of a narrow terminal, names have so small a share; a longer one goes on into the column of the texts.
_NAMES = 4
# So many lines that differ in a number alone are one.
_MANY = 3
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# What makes others fail comes before what fails by it, by the first part of a check's name.
_CAUSES = (
    "processors", "disk", "memory", "kernel", "clock", "database", "nginx", "units", "secrets", "release", "processes",
    "descriptors", "event_loop", "health", "proxy",
)  # fmt: skip


def level_of(status: Mapping[str, Any], findings: Iterable[Mapping[str, Any]] | None = None) -> str:
    """Return how the service is by the watchdog's status: the worst of its state, its open problems and the diagnosis.

    The diagnosis is the watchdog's last run, or one of this moment as `findings`. What it could not ask says nothing.
    """
    state = status.get("state")
    levels: list[Any] = [STATES.get(state, UNKNOWN) if isinstance(state, str) else UNKNOWN]
    levels += [problem.get("severity") for problem in mappings(status.get("problems"))]
    found = mappings(mapping(status.get("diagnosis")).get("raised")) if findings is None else findings
    levels += [finding.get("status") for finding in found]
    return max((str(level) for level in levels if level in (levels[0], WARNING, CRITICAL)), key=rank)


def is_coloured() -> bool:
    """Whether somebody looks who has not asked for plain text."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


class Line(NamedTuple):
    """What is said about one thing: how bad it is, the word that is shown for that, its name, and the text."""

    status: str
    word: str
    name: str
    text: str


def causes_first(check: str) -> int:
    """A key to sort checks that are equally bad by."""
    head = check.partition(".")[0]
    return _CAUSES.index(head) if head in _CAUSES else len(_CAUSES)


def merged(lines: Iterable[Line]) -> list[Line]:
    """The lines, of which those with the same text are one, and many that differ in a number alone as well."""
    same: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        same.setdefault((line.status, line.word, line.text), []).append(line)
    named = [group[0]._replace(name=", ".join(line.name for line in group)) for group in same.values()]
    alike: dict[tuple[str, ...], list[Line]] = {}
    for line in named:
        head = line.name.partition(".")[0]
        text = _NUMBER.sub("#", line.text.replace(line.name.partition(".")[2] or "\0", "#"))
        alike.setdefault((line.status, line.word, head, text), []).append(line)
    return [line for group in alike.values() for line in (_one(group) if len(group) >= _MANY else group)]


def _one(group: Sequence[Line]) -> list[Line]:
    first, *others = group
    names = ", ".join(line.name.partition(".")[2] or line.name for line in others)
    return [first._replace(text=f"{first.text} Alike: {names}")]


def as_lines(lines: Sequence[Line], coloured: bool, width: int) -> list[str]:
    """Columns for words, names and texts. What does not fit `width` goes on below its text, broken between words."""
    names = max((len(visible(line.name)) for line in lines if line.text), default=0)
    room = max(0, width - _WORD - len(_GAP))
    if width and any(names + len(_GAP) + len(visible(line.text)) > room for line in lines if line.text):
        names = min(names, width // _NAMES)
    shown = []
    for status, word, name, text in lines:
        column = f"{name:<{names}}{_GAP}" if names and text else name
        first, *more = wrapped(visible(f"{column}{text}"), room, names + len(_GAP) if names and text else 0)
        shown.append(f"{in_colour(status, f'{word:<{_WORD}}', coloured)}{_GAP}{first}")
        shown += [" " * (_WORD + len(_GAP)) + line for line in more]
    return shown


def show_findings(findings: Iterable[Finding]) -> None:
    """Print how bad each is, in its colour, and what it says."""
    lines = [Line(finding.status, finding.status, "", finding.message) for finding in findings]
    shown = as_lines(lines, is_coloured(), terminal_width(sys.stdout))
    sys.stdout.write("".join(f"{line}\n" for line in shown))


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
