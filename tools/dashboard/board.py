# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole dashboard: its variables, its rows, and what is marked across all graphs."""

from __future__ import annotations

import json
from itertools import count

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from . import below, clients, service
from .parts import SOURCE, here

RUNBOOKS = "https://github.com/workbot/stability/blob/main/docs/runbooks.md"
ROWS = {
    "At a glance": clients.glance,
    "Requests": clients.requests,
    "Workers": service.workers,
    "Recovery": service.recovery,
    "Nginx: entry and app hosts": clients.nginx,
    "PostgreSQL": below.postgresql,
    "Host": below.host,
}


class Mark(models.AnnotationQuery):
    """Moments across all graphs. The SDK's type lacks what Prometheus' data source reads besides."""

    def __init__(self, name: str, colour: str, expression: str, text: str, at_value: bool = False) -> None:
        """With `at_value` a value is the moment, in milliseconds; else there is one wherever there is a value."""
        super().__init__(name=name, datasource=SOURCE, icon_color=colour, expr=expression)
        self._read = {"titleFormat": name, "textFormat": text, "useValueForTime": at_value, "step": "30s"}

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._read}


def made() -> str:
    """The text of docs/dashboard.json."""
    whole = (
        dashboard.Dashboard("Node.js service")
        .uid("nodejs-service")
        .description("A service of workbot.stability: requests, workers, recovery, and what they stand on.")
        .tags(["nodejs", "workbot.stability"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("When an alert comes")
            .type(models.DashboardLinkType.LINK)
            .icon("doc")
            .url(RUNBOOKS)
            .target_blank(True)
        )
        .variables(_variables())
    )
    numbers = count(1)
    for title, panels in ROWS.items():
        whole.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels():
            whole.with_panel(panel.id(next(numbers)))
    finished = whole.build()
    finished.annotations = models.AnnotationContainer(_marks())
    return json.dumps(finished, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _variables() -> list[Builder[models.VariableModel]]:
    """A fleet has several hosts of a service; PostgreSQL's exporter is another instance on them, or elsewhere."""
    return [
        dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        _asked("service", "Service", 'label_values({__name__=~"nodejs_service_.+"}, service)'),
        _asked("instance", "Host", 'label_values({__name__=~"nodejs_service_.+", service="$service"}, instance)', True),
        _asked("postgresql", "PostgreSQL", "label_values(pg_up, instance)", True),
    ]


def _asked(name: str, label: str, query: str, several: bool = False) -> dashboard.QueryVariable:
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": "StandardVariableQuery"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
    )
    if several:
        everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable.multi(True).include_all(True).current(everything)
    return variable


def _marks() -> list[models.AnnotationQuery]:
    return [
        Mark(
            "Deployment",
            "blue",
            f"{here('deployment_timestamp_seconds')} * 1000",
            "{{release}} on {{instance}}: {{result}}",
            at_value=True,
        ),
        Mark(
            "Recovery step",
            "orange",
            f"changes({here('recovery_actions_total')}[$__rate_interval]) > 0",
            "{{instance}}: {{service}}-watchdog history says which and why",
        ),
    ]
