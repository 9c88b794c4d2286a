# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus' text format, for what may come from a hostile status: what would be no metric is left out.

prometheus_client would spare the last few functions alone: what it may be given has to be bounded here all the same.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records import number

PREFIX = "nodejs_service_"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
# The status may be of a hostile user: it is no reason to make millions of series, or labels without end.
_MOST_SAMPLES = 500
_LONGEST_LABEL = 200
# Prometheus keeps a series in memory for hours after its last sample: names that are others each time fill that of the
# monitor, which all services have in common.
_MOST_SERIES = 3000
_MEMORY_SECONDS = 3600.0
# Prometheus' usual ones, in seconds.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BOUNDS = (*map(str, _BOUNDS), "+Inf")

Labels = Mapping[str, str]
Sample = tuple[Labels, Any]
"""A value that is None or no finite number is left out: it was not read. What is true or false is 1 or 0."""


@dataclass
class Histogram:
    """How many observations were at most so many seconds long, and all of them together."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    def series(self, labels: Labels) -> Iterator[tuple[str, Labels, float]]:
        """The end of the name, labels and value of each series that Prometheus makes of a histogram."""
        below = 0
        for bound, count in zip(BOUNDS, self.counts, strict=True):
            below += count
            yield "_bucket", {**labels, "le": bound}, below
        yield "_sum", labels, self.total
        yield "_count", labels, below


@dataclass(frozen=True)
class Metric:
    """`name` is without the prefix. A counter's name ends with _total; a histogram's samples are `Histogram`s."""

    name: str
    text: str
    samples: Sequence[Sample]


class Recent:
    """The series of the last hour, of which there are only so many."""

    def __init__(self) -> None:
        # the one that was seen last is the last
        self._seen: dict[str, float] = {}

    def admits(self, series: str) -> bool:
        """Whether it is one of them, from now on if there is room."""
        now = time.monotonic()
        if self._seen.pop(series, None) is None:
            while self._seen and next(iter(self._seen.values())) < now - _MEMORY_SECONDS:
                del self._seen[next(iter(self._seen))]
            if len(self._seen) >= _MOST_SERIES:
                return False
        self._seen[series] = now
        return True


def render(service: str, metrics: Iterable[Metric], recent: Recent | None = None) -> str:
    """The text of the file. All have the label `service`. `recent` is for labels that are not all the host's own."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines(service, metric, recent))


def _lines(service: str, metric: Metric, recent: Recent | None) -> Iterator[str]:
    # a series that is there twice is an error to node_exporter: the first counts
    shown: dict[str, float] = {}
    for labels, value in metric.samples[:_MOST_SAMPLES]:
        parts = value.series(labels) if isinstance(value, Histogram) else [("", labels, value)]
        for end, part_labels, part in parts:
            found = number(int(part) if isinstance(part, bool) else part)
            if found is None:
                continue
            series = _series(metric.name + end, {"service": service, **part_labels})
            if recent is None or recent.admits(series):
                shown.setdefault(series, found)
    if shown:
        yield f"# HELP {PREFIX}{metric.name} {metric.text}"
        yield f"# TYPE {PREFIX}{metric.name} {_kind(metric)}"
        yield from (f"{series} {found:.15g}" for series, found in shown.items())


def _kind(metric: Metric) -> str:
    if any(isinstance(value, Histogram) for _labels, value in metric.samples):
        return "histogram"
    return "counter" if metric.name.endswith("_total") else "gauge"


def _series(name: str, labels: Labels) -> str:
    """Half characters, of which a file can hold none, become one and the same before doubles are looked for."""
    texts = {label: text[:_LONGEST_LABEL].encode("utf-8", "replace").decode() for label, text in labels.items()}
    inside = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in texts.items())
    return f"{PREFIX}{name}{{{inside}}}"
