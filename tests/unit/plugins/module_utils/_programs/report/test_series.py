# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is plotted is what was recorded."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.history import DAY, Point
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.series import (
    DAY_SPAN,
    WEEKS_SPAN,
    Plot,
    plots,
    quantile,
    requests_of,
    share,
    since,
)

WIDTH = 300


def points(*totals: float, begin: int = 0, minutes: int = 5) -> list[Point]:
    return [Point(begin + number * WIDTH, total, total, minutes) for number, total in enumerate(totals)]


def plotted(name: str, **series: list[Point]) -> Plot:
    found = {plot.name: plot for plot in plots({key.replace("__", "."): of for key, of in series.items()}, WIDTH)}
    return found[name]


def test_of_nothing_nothing_is_plotted() -> None:
    assert plots({}, WIDTH) == []
    # limits alone are no picture
    assert plots({"limit.memory": points(1.0), "objective.availability": points(99.9)}, WIDTH) == []
    # nor are requests that never came
    assert plots({"requests.2xx": points(0.0), "requests.5xx": points(0.0), "seconds.0.1": points(0.0)}, WIDTH) == []


def test_requests_are_by_the_second_and_classes_that_never_came_are_left_out() -> None:
    plot = plotted("requests", requests__2xx=points(600.0, 300.0), requests__4xx=points(0.0, 0.0))
    assert [(line.name, line.values) for line in plot.lines] == [
        ("2xx", [(0, 2.0), (300, 1.0), (600, 1.0), (600, None)]),
    ]


def test_where_nothing_was_recorded_the_line_has_a_gap() -> None:
    plot = plotted("logs", log__bytes=[*points(0.0), *points(5 * 1024 * 1024, begin=1500)])
    assert plot.lines[0].values == [
        (0, 0.0), (300, 0.0), (300, None), (1500, 60.0), (1800, 60.0), (1800, None),
    ]  # fmt: skip


def test_errors_are_a_share_of_all_answers_and_beside_what_the_objective_allows() -> None:
    plot = plotted(
        "errors",
        requests__2xx=points(75.0, 0.0),
        requests__5xx=points(25.0, 0.0),
        requests__slow=points(50.0, 0.0),
        objective__availability=points(5 * 99.0, 5 * 99.0),
    )
    errors, allowed = plot.lines
    assert errors.values == [(0, 25.0), (300, 25.0), (300, None)]
    assert (allowed.look, allowed.peak) == ("limit", 1.0)


@pytest.mark.parametrize(
    ("counts", "wanted", "seconds"),
    [
        ({"0.1": 10, "0.5": 0, "+Inf": 0}, 0.5, 0.05),
        ({"0.1": 50, "0.5": 50, "+Inf": 0}, 0.95, 0.46),
        ({"0.1": 50, "0.5": 50, "+Inf": 0}, 0.5, 0.1),
        ({"0.1": 1, "0.5": 0, "+Inf": 9}, 0.95, 0.5),
        ({"0.1": 0, "0.5": 0, "+Inf": 0}, 0.95, None),
        ({"+Inf": 3}, 0.5, None),
        ({}, 0.5, None),
    ],
)
def test_percentiles_are_those_of_prometheus(counts: dict[str, int], wanted: float, seconds: float | None) -> None:
    found = quantile({f"seconds.{bound}": points(float(count)) for bound, count in counts.items()}, wanted)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_workers_are_beside_their_limit_and_of_many_only_the_extremes_are_plotted() -> None:
    few = plotted(
        "memory", worker__0__rss=points(2.0**20), worker__10__rss=points(2.0**21), limit__memory=points(5 * 2.0**22)
    )
    assert [(line.label, line.name, line.peak) for line in few.lines] == [
        ("worker", "0", 1.0), ("worker", "10", 2.0), ("limit", "", 4.0),
    ]  # fmt: skip
    many = plotted("memory", **{f"worker__{number}__rss": points(number * 2.0**20) for number in range(12)})
    assert [(line.label, line.name, line.peak) for line in many.lines] == [
        ("highest", "12", 11.0),
        ("lowest", "12", 0.0),
    ]


def test_of_a_history_that_has_just_begun_no_more_is_shown_than_there_is() -> None:
    now = 10_000_000.0
    for span, age, shown in (
        (DAY_SPAN, 60, 3600), (DAY_SPAN, 7200, 7200), (DAY_SPAN, 3 * DAY, DAY),
        (WEEKS_SPAN, 7200, None), (WEEKS_SPAN, 1.5 * DAY, 2 * DAY), (WEEKS_SPAN, 5 * DAY, 5 * DAY),
    ):  # fmt: skip
        begins = since({"healthy": points(1.0, begin=int(now - age))}, span, now)
        assert begins == (None if shown is None else now - shown)
    assert since({}, DAY_SPAN, now) == now - 3600


def test_totals_are_of_what_was_recorded() -> None:
    assert requests_of({"requests.2xx": points(3.0, 4.0), "requests.5xx": points(1.0)}) == {"2xx": 7.0, "5xx": 1.0}
    assert share({"healthy": points(5.0, 4.0)}, "healthy") == 90.0
    assert share({}, "healthy") is None
