# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happened, from the events of the history: a problem is one thing, from its begin to its end."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..history import Event
from .series import Line

# A dot of a time line has two units of the drawing's 400; more of them than this are one bar anyway.
_MOST_DOTS = 300
_SEVERE = ("critical", "warning")
_FAILED = "critical"
ROWS = (
    ("deployments", "a", ("deployment",)),
    ("recovery", "b", ("action", "restart")),
    ("alerts", "critical", ("problem",)),
)
"""Of the time line: a key of the texts, a look, and the kinds of events."""


@dataclass(frozen=True)
class Happening:
    """`until` is None for what is of a moment, and for a problem that is still there."""

    event: Event
    until: float | None = None
    severity: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether it is nothing else than its row says."""
        return self.event.kind != "deployment" or self.severity == "info"

    @property
    def is_open(self) -> bool:
        return self.event.kind == "problem" and self.until is None


def happenings(events: Iterable[Event], problems: Container[str] | None = None) -> list[Happening]:
    """Oldest first. What is for information alone is left out, but for what was done.

    `problems` are the keys of those that the watchdog has open; None where it does not say. One that is none of them is
    over, though nobody has noted when.
    """
    found: list[Happening] = []
    open_at: dict[str, int] = {}
    for event in events:
        at = open_at.get(event.key)
        if event.kind == "resolved":
            if at is not None:
                found[at] = replace(found[at], until=event.time)
                del open_at[event.key]
        elif event.kind != "problem":
            found.append(Happening(event, severity=event.severity))
        elif event.severity in _SEVERE:
            if at is None:
                open_at[event.key] = len(found)
                found.append(Happening(event, severity=event.severity))
            elif event.severity == _SEVERE[0]:
                found[at] = replace(found[at], severity=event.severity)
    for key, at in open_at.items():
        if problems is not None and key not in problems:
            found[at] = replace(found[at], until=found[at].event.time)
    return found


def lines(happened: Sequence[Happening], since: float, now: float) -> Iterator[Line]:
    """Of the time line: each row has its height, from below; what has failed stands out."""
    for number, (key, look, kinds) in enumerate(ROWS):
        height = float(len(ROWS) - number)
        # also where there is nothing else: they say how long the line is
        drawn: dict[str, list[tuple[float, float | None]]] = {look: [(since, None), (now, None)]}
        for one in [one for one in happened if one.event.kind in kinds][-_MOST_DOTS:]:
            end = now if one.is_open else one.until or one.event.time
            if end >= since:
                begin = max(one.event.time, since)
                values = drawn.setdefault(look if one.is_fine else _FAILED, [])
                values += [(begin, height), (end, height), (end, None)]
        yield from (Line(key, "", shown, values) for shown, values in drawn.items())
