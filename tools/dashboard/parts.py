# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows are made of: PromQL's usual phrases, and panels that all look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

Panel: TypeAlias = stat.Panel | statetimeline.Panel | timeseries.Panel
Queries: TypeAlias = Mapping[str, str]
"""What the legend says of a query's series, and the query."""
Levels: TypeAlias = Sequence[tuple[float, str]]
"""From which value on it has which colour."""
States: TypeAlias = Sequence[tuple[str, str]]
"""Name and colour of 0, 1, 2 ..."""

BYTES, SHARE, SECONDS = units.BytesIEC, units.PercentUnit, units.Seconds
COUNT, REQUESTS, OPERATIONS, BANDWIDTH = (
    units.Short,
    units.RequestsPerSecond,
    units.OpsPerSecond,
    units.BytesPerSecondIEC,
)
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
STATUS_COLOURS = {"1xx": GREY, "2xx": GREEN, "3xx": BLUE, "4xx": YELLOW, "5xx": RED}
PHASES = (("healthy", GREEN), ("suspect", YELLOW), ("recovering", ORANGE), ("exhausted", RED))
STATES = (*PHASES, ("paused", GREY))
LIMITS = ("limit", "objective")
"""Legends of what is no reading: a dashed line."""

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_P = TypeVar("_P", stat.Panel, statetimeline.Panel, timeseries.Panel)


def here(name: str, more: str = "") -> str:
    """A metric of the service, on the hosts that are selected."""
    return f'nodejs_service_{name}{{service="$service", instance=~"$instance"{more}}}'


def clients(name: str, more: str = "") -> str:
    """A metric of the requests as they come from clients, on all hosts."""
    return f'nodejs_service_http_{name}{{service="$service", entry="true"{more}}}'


def problems(label: str) -> str:
    """How many are open by that label; without one there is no metric of it."""
    return f"count by ({label}) ({here('problem')}) or on () label_replace(vector(0), '{label}', 'none', '', '')"


def rate(counter: str) -> str:
    return f"rate({counter}[$__rate_interval])"


def increase(counter: str) -> str:
    """Over the time that is shown."""
    return f"increase({counter}[$__range])"


def quantile(share: float, buckets: str, *labels: str) -> str:
    """Without a request there is none."""
    return f"histogram_quantile({share:g}, sum by ({', '.join(('le', *labels))}) ({rate(buckets)})) >= 0"


def number(
    title: str,
    advice: str,
    unit: str,
    queries: Queries,
    levels: Levels = (),
    *,
    colours: Mapping[str, str] | None = None,
    names: bool = False,
    decimals: int = 1,
) -> stat.Panel:
    """The latest value; with `names` the series' names instead."""
    panel = _panel(stat.Panel(), title, advice, unit, queries, width=4, height=4, instant=True)
    panel.thresholds(_thresholds(GREEN, levels)).decimals(decimals).no_value("none")
    panel.graph_mode(shapes.BigValueGraphMode.NONE).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    several = shapes.BigValueTextMode.NAME if names else shapes.BigValueTextMode.AUTO
    coloured = shapes.BigValueColorMode.VALUE if levels or colours else shapes.BigValueColorMode.NONE
    return _coloured(panel, colours).text_mode(several).color_mode(coloured)


def graph(
    title: str,
    advice: str,
    unit: str,
    queries: Queries,
    levels: Levels = (),
    *,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    width: int = 8,
) -> timeseries.Panel:
    """Lines over time, from 0 on. Levels are lines across."""
    panel = _panel(timeseries.Panel(), title, advice, unit, queries, width=width, height=8, instant=False)
    panel.min(0).show_points(shapes.VisibilityMode.NEVER).fill_opacity(30 if stacked or bars else 5)
    panel.legend(_legend()).tooltip(
        common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if bars:
        panel.draw_style(shapes.GraphDrawStyle.BARS)
    if levels:
        panel.thresholds(_thresholds("transparent", levels))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED))
    for name in queries.keys() & LIMITS:
        panel.override_by_name(name, [_colour(RED), *_DASHED])
    return _coloured(panel, colours)


def states(title: str, advice: str, queries: Queries, known: States) -> statetimeline.Panel:
    """In which state something was, and when."""
    panel = _panel(statetimeline.Panel(), title, advice, COUNT, queries, width=12, height=5, instant=False)
    results = {
        str(value): models.ValueMappingResult(text=name, color=colour, index=value)
        for value, (name, colour) in enumerate(known)
    }
    panel.mappings([models.ValueMap(results)]).show_value(shapes.VisibilityMode.NEVER).legend(_legend())
    return panel.fill_opacity(80).line_width(0)


def code_of(name: str, label: str, known: States, by: str) -> str:
    """Of a metric that is 1 for one of the states: which one, as a number."""
    matchers = [f', {label}="{state}"' for state, _colour in known]
    codes = [f"{here(name, matcher)} * {code}" for code, matcher in enumerate(matchers)]
    return f"max by ({by}) ({' or '.join(codes)})"


_DASHED = [
    models.DynamicConfigValue("custom.lineStyle", shapes.LineStyle(fill="dash", dash=[10, 10])),
    models.DynamicConfigValue("custom.fillOpacity", 0),
    models.DynamicConfigValue("custom.stacking", shapes.StackingConfig(mode=shapes.StackingMode.NONE)),
]


def _panel(
    panel: _P, title: str, advice: str, unit: str, queries: Queries, *, width: int, height: int, instant: bool
) -> _P:
    panel.title(title).description(advice).unit(unit).datasource(SOURCE).span(width).height(height)
    for letter, (legend, expression) in zip("ABCDEF", queries.items(), strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(SOURCE)
        panel.with_target(query.instant() if instant else query.range())
    return panel


def _thresholds(below: str, levels: Levels) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(None, below), *(models.Threshold(value, colour) for value, colour in levels)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM)
    return legend.display_mode(shapes.LegendDisplayMode.LIST).calcs([])


def _coloured(panel: _P, colours: Mapping[str, str] | None) -> _P:
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [_colour(colour)])
    return panel


def _colour(colour: str) -> models.DynamicConfigValue:
    return models.DynamicConfigValue("color", models.FieldColor(models.FieldColorModeId.FIXED, colour))
