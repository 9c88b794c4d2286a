# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PYTHONPATH=tools python -m dashboard.answers http://127.0.0.1:9090

Prints what a Prometheus answers to docs/dashboard.json, asked as Grafana asks: tools/dashboard-picture draws it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode
from urllib.request import urlopen

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "dashboard.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
_QUERIES = [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
# Of a line: about as many as its panel is wide enough for.
_POINTS = 200
# Seconds from one to the next, of role monitoring and what Grafana takes by itself.
_SCRAPE = 15
Get: TypeAlias = Callable[[str], Any]
"""The data of an answer, by the path below /api/v1/."""


def variables(get: Get, window: str, shown: str, service: str = "") -> dict[str, str]:
    """What Grafana has in the place of each: one service, by default the first, and all of what is multiple.

    Of time, such as 30s: what a rate is over, and all that is shown.
    """
    found = {"__rate_interval": window, "__range": shown}
    # a later one's query has the values of earlier ones in it
    for variable in _QUERIES:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked, variable
        values = get(f"label/{asked[2]}/values?{urlencode({'match[]': filled(asked[1], found)})}")
        # once for the regular expression, once for PromQL's string
        escaped = "|".join(re.escape(value).replace("\\", "\\\\") for value in values)
        found[variable["name"]] = f"({escaped})" if variable["multi"] else service or values[0]
    return found


def filled(expression: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], expression)


def answers(get: Get, seconds: int, service: str = "") -> dict[str, Any]:
    """Of so long until now."""
    step = max(1, seconds // _POINTS)
    # as Grafana does it, so that a later look shows the same points
    end = int(time.time()) // step * step
    start = (end - seconds) // step * step
    # as Grafana counts it: a rate needs two scrapes, also where one is late
    values = variables(get, f"{max(step + _SCRAPE, 4 * _SCRAPE)}s", f"{seconds}s", service)

    def series(expression: str, every: int | str = step) -> Any:
        options = {"query": filled(expression, values), "start": start, "end": end, "step": every}
        return get(f"query_range?{urlencode(options)}")["result"]

    def now(expression: str) -> list[dict[str, Any]]:
        """In the form of series, of one point."""
        found = get(f"query?{urlencode({'query': filled(expression, values), 'time': end})}")["result"]
        return [{"metric": one["metric"], "values": [one["value"]]} for one in found]

    return {
        "variables": {one["label"]: "All" if one["multi"] else values[one["name"]] for one in _QUERIES},
        "from": start,
        "to": end,
        "step": step,
        "panels": {
            panel["id"]: [(now if target["instant"] else series)(target["expr"]) for target in panel["targets"]]
            for panel in PANELS
        },
        "annotations": [series(one["expr"], one["step"]) for one in DASHBOARD["annotations"]["list"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="dashboard.answers", description="Asks for what the dashboard shows.")
    parser.add_argument("url", help="of the Prometheus")
    parser.add_argument("--minutes", type=int, default=30, help="how much is shown, up to now")
    parser.add_argument("--service", default="", help="by default the first")
    chosen = parser.parse_args()

    def get(path: str) -> Any:
        with urlopen(f"{chosen.url.rstrip('/')}/api/v1/{path}", timeout=60) as answer:
            return json.load(answer)["data"]

    try:
        found = answers(get, 60 * chosen.minutes, chosen.service)
    except OSError as error:
        parser.exit(1, f"{chosen.url}: {error}\n")
    except IndexError:
        parser.exit(1, f"{chosen.url}: has no metrics of a service\n")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
