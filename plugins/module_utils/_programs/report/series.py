# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was recorded to what is plotted: lines in the units that people read, and totals."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..history import DAY, HALF_HOUR, MINUTE, WEEKS, Point

Points = Mapping[str, Sequence[Point]]
Values = Sequence["tuple[float, float | None]"]
"""Times and values; None where there is a gap."""

_MB = 1024 * 1024
_BUCKETS = "seconds."
# More lines in one plot nobody can tell apart.
_MOST_LINES = 8
_CLASSES = {"1xx": "grey", "2xx": "a", "3xx": "c", "4xx": "warning", "5xx": "critical"}
_LOOKS = "abcdefgh"
_MINUTES_OF_AN_HOUR = 60


@dataclass(frozen=True)
class Span:
    """A time that is plotted. Seconds."""

    name: str
    step: int
    """Of the history."""
    seconds: int
    width: int
    """Of a point of the plot."""
    least: int
    """Of a history that has just begun, no less is shown."""
    begins: int = 0
    """How old a history must be for it to show more than the other span does."""


DAY_SPAN = Span("day", MINUTE, DAY, 300, least=3600)
WEEKS_SPAN = Span("weeks", HALF_HOUR, WEEKS, 7200, least=2 * DAY, begins=DAY)
SPANS = (DAY_SPAN, WEEKS_SPAN)


@dataclass(frozen=True)
class Line:
    """`label` is a key of the texts, in which `name` has a place; `look` a class of the style sheet."""

    label: str
    name: str
    look: str
    values: Values

    @property
    def peak(self) -> float:
        return max(value for _time, value in self.values if value is not None)


@dataclass(frozen=True)
class Plot:
    """`name` is a key of the texts, which have the unit."""

    name: str
    lines: Sequence[Line]
    top: float | None = None
    """Up to where the scale goes; by the values where there is none."""


def plots(points: Points, width: int) -> list[Plot]:
    """Those of which there is anything to be seen."""
    found = [
        Plot("requests", list(_requests(points, width))),
        Plot("errors", list(_errors(points, width))),
        Plot("latency", list(_latency(points, width))),
        Plot("memory", list(_of_workers(points, width, "rss", 1 / _MB, "limit.memory"))),
        Plot("heap", list(_of_workers(points, width, "heap", 1 / _MB, "limit.heap"))),
        Plot("event_loop", list(_of_workers(points, width, "loop_p95", 1.0))),
        Plot("connections", list(_connections(points, width))),
        Plot("disk", list(_disks(points, width)), top=100.0),
        Plot(
            "logs",
            list(_simple(points, width, "log.bytes", "logs_line", "a", factor=_MINUTES_OF_AN_HOUR / _MB, mean=True)),
        ),
    ]
    return [plot for plot in found if any(line.look != "limit" for line in plot.lines)]


def since(points: Points, span: Span, now: float) -> float | None:
    """From when on there is anything to plot; None where it is too early for that span."""
    first = min((series[0].time for series in points.values()), default=now)
    return None if now - first < span.begins else max(now - span.seconds, min(first, now - span.least))


def total(points: Points, name: str) -> float:
    return sum(point.total for point in points.get(name, ()))


def requests_of(points: Points) -> dict[str, float]:
    """By status class."""
    return {status: total(points, f"requests.{status}") for status in _CLASSES if f"requests.{status}" in points}


def answered(points: Points) -> float:
    return sum(requests_of(points).values())


def timed(points: Points) -> float:
    """Those whose duration counts, which the life of a WebSocket does not."""
    return sum(total(points, name) for name in points if name.startswith(_BUCKETS))


def share(points: Points, name: str) -> float | None:
    """Of the minutes in which anything is known of it, the percentage in which it was so."""
    minutes = sum(point.minutes for point in points.get(name, ()))
    return 100 * total(points, name) / minutes if minutes else None


def latest(points: Points, name: str) -> float | None:
    return points[name][-1].mean if points.get(name) else None


def quantile(points: Points, wanted: float) -> float | None:
    """Seconds below which that share of the requests took, as Prometheus' histogram_quantile has it."""
    counts = {float(name.removeprefix(_BUCKETS)): total(points, name) for name in points if name.startswith(_BUCKETS)}
    return _quantile(counts, wanted)


def _quantile(counts: Mapping[float, float], wanted: float) -> float | None:
    bounds = sorted(counts)
    below = list(itertools.accumulate(counts[bound] for bound in bounds))
    if not below or not below[-1]:
        return None
    rank = wanted * below[-1]
    place = bisect.bisect_left(below, rank)
    if place == len(bounds) - 1:
        return bounds[-2] if len(bounds) > 1 else None
    begin, before = (bounds[place - 1], below[place - 1]) if place else (0.0, 0.0)
    return begin + (bounds[place] - begin) * (rank - before) / (below[place] - before)


def _requests(points: Points, width: int) -> Iterator[Line]:
    for status, look in _CLASSES.items():
        name = f"requests.{status}"
        if total(points, name):
            yield from _simple(points, width, name, "status_class", look, factor=1 / MINUTE, mean=True, shown=status)


def _errors(points: Points, width: int) -> Iterator[Line]:
    shares = [(time, _error_share(counts)) for time, counts in _by_time(points, "requests.")]
    if any(share is not None for _time, share in shares):
        yield Line("errors_line", "", "critical", _drawn(shares, width))
        yield from _bound(points, width, "objective.availability", "allowed", lambda percent: 100 - percent)


def _error_share(counts: Mapping[str, float]) -> float | None:
    answered = sum(counts.get(status, 0.0) for status in _CLASSES)
    return 100 * counts.get("5xx", 0.0) / answered if answered else None


def _latency(points: Points, width: int) -> Iterator[Line]:
    by_time = _by_time(points, _BUCKETS)
    for wanted, name, look in ((0.5, "p50", "a"), (0.95, "p95", "b")):
        values = [
            (time, _quantile({float(bound): n for bound, n in counts.items()}, wanted)) for time, counts in by_time
        ]
        shown = [(time, None if value is None else 1000 * value) for time, value in values]
        if any(value is not None for _time, value in shown):
            yield Line("share", name, look, _drawn(shown, width))


def _by_time(points: Points, prefix: str) -> list[tuple[int, dict[str, float]]]:
    """What the series of that prefix have at each time, by the rest of their names."""
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for name, series in points.items():
        if name.startswith(prefix):
            for point in series:
                found[point.time][name.removeprefix(prefix)] = point.total
    return sorted(found.items())


def _of_workers(points: Points, width: int, what: str, factor: float, limit: str = "") -> Iterator[Line]:
    names = sorted((name for name in points if _is_of_worker(name, what)), key=lambda name: int(name.split(".")[1]))
    if len(names) <= _MOST_LINES:
        for name, look in zip(names, _LOOKS, strict=False):
            yield from _simple(points, width, name, "worker", look, factor=factor, shown=name.split(".")[1])
    else:
        by_time: dict[int, list[float]] = defaultdict(list)
        for point in itertools.chain.from_iterable(points[name] for name in names):
            by_time[point.time].append(point.peak * factor)
        for label, look, chosen in (("highest", "a", max), ("lowest", "b", min)):
            values = [(time, chosen(found)) for time, found in sorted(by_time.items())]
            yield Line(label, str(len(names)), look, _drawn(values, width))
    if limit:
        yield from _bound(points, width, limit, "limit", lambda value: value * factor)


def _is_of_worker(name: str, what: str) -> bool:
    parts = name.split(".")
    return len(parts) == 3 and (parts[0], parts[2]) == ("worker", what)  # noqa: PLR2004 - worker.<n>.rss


def _connections(points: Points, width: int) -> Iterator[Line]:
    yield from _simple(points, width, "connections.open", "connections_line", "a")
    yield from _bound(points, width, "connections.limit", "limit", lambda value: value)


def _disks(points: Points, width: int) -> Iterator[Line]:
    names = sorted(name for name in points if name.startswith("disk."))[: _MOST_LINES - 1]
    for name, look in zip(names, _LOOKS, strict=False):
        yield from _simple(points, width, name, "disk_line", look, shown=name.removeprefix("disk."))
    yield from _simple(points, width, "memory.host", "memory_host", "grey")


def _simple(
    points: Points,
    width: int,
    name: str,
    label: str,
    look: str,
    *,
    factor: float = 1.0,
    mean: bool = False,
    shown: str = "",
) -> Iterator[Line]:
    """One series as it is, its peaks unless the mean is asked for."""
    values = [(point.time, factor * (point.mean if mean else point.peak)) for point in points.get(name, ())]
    if values:
        yield Line(label, shown, look, _drawn(values, width))


def _bound(points: Points, width: int, name: str, label: str, shown: Callable[[float], float]) -> Iterator[Line]:
    values = [(point.time, shown(point.mean)) for point in points.get(name, ())]
    if values:
        yield Line(label, "", "limit", _drawn(values, width))


def _drawn(values: Iterable[tuple[float, float | None]], width: int) -> Values:
    """Each value holds for `width`; where none follows, the line has a gap."""
    drawn: list[tuple[float, float | None]] = []
    before: tuple[float, float] | None = None
    for time, value in [*values, (float("inf"), None)]:
        if before and (value is None or time - before[0] > width):
            drawn += [(before[0] + width, before[1]), (before[0] + width, None)]
        before = None if value is None else (time, value)
        if before:
            drawn.append(before)
    return drawn
