# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/dashboard.json as a document. What its expressions return: molecule/metrics/tests/test_dashboard.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from dashboard.answers import DASHBOARD, PANELS
from dashboard.board import made
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from places import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "dashboard.json").read_text(encoding="utf-8")
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
# What Prometheus' data source reads of an annotation and the SDK's type lacks.
OF_THE_SOURCE = {"titleFormat", "textFormat", "useValueForTime", "step"}
BY_GRAFANA = {"__all", "__range", "__rate_interval"}


def test_it_is_current() -> None:
    assert made() == TEXT, "run `make docs`"


def test_it_has_nothing_that_the_types_of_the_sdk_do_not_have() -> None:
    register_default_plugins()
    given = json.loads(TEXT)
    for mark in given["annotations"]["list"]:
        assert mark.keys() >= OF_THE_SOURCE
        for field in OF_THE_SOURCE:
            del mark[field]
    assert json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder)) == given


def test_no_panel_lies_on_another_and_each_line_is_full() -> None:
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    height = max(y for _x, y in taken) + 1
    assert sorted(taken) == sorted((x, y) for x in range(24) for y in range(height))
    assert len(ROWS) == 7


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_each_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 30
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert len({*legends}) == len(legends)
    assert all(legends)
    assert "<" not in panel["description"]  # to Grafana it is Markdown, and the name of an element would be left out


def test_none_is_taken_for_another() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_it_asks_for_variables_and_metrics_that_are_there() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", TEXT)) == variables | BY_GRAFANA
    rules = (DOCS.parent / "roles/monitoring/files/prometheus-rules.yml").read_text(encoding="utf-8")
    recorded = {rule.get("record") for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]}
    documented = re.findall(
        r"^\| (nodejs_service_\w+) \|", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    asked = {re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"(nodejs_service[\w:]+)[\[{]", TEXT)}
    assert asked <= recorded.union(documented)
