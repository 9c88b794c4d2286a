# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of roles metrics and report, on tables of inventories."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.facts import Settings
from ansible_collections.workbot.stability.plugins.plugin_utils._site.metrics import Metrics, Report

PLAIN: dict[str, Any] = {
    "groups": {},
    "metrics_access_log": "/var/log/nginx/shop.access.log",
    "metrics_availability_objective": "99.9",
    "metrics_history": True,
    "metrics_latency_objective": 99,
    "metrics_latency_threshold": 0.5,
    "metrics_node_exporter": True,
    "metrics_textfile_directory": "/var/lib/prometheus/node-exporter",
    "service_directory": "/srv/shop",
    "service_log_directory": "/var/log/shop",
    "service_monitor": "",
    "service_name": "shop",
    "service_routes": ["/api"],
    "service_runs_here": True,
}


def metrics(**variables: Any) -> Metrics:
    return Metrics({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("variables", "packages", "own"),
    [
        ({}, ["prometheus-node-exporter"], []),
        ({"service_monitor": "eye"}, [], ["prometheus-node-exporter"]),
        ({"metrics_node_exporter": False}, [], []),
        ({"metrics_node_exporter": False, "service_monitor": "eye"}, [], []),
    ],
    ids=["alone", "watched", "without node_exporter", "watched without"],
)
def test_where_there_is_a_monitor_the_role_installs_node_exporter_itself(
    variables: dict[str, Any], packages: list[str], own: list[str]
) -> None:
    site = metrics(**variables)
    assert (site.packages, site.own_packages) == (packages, own)


@pytest.mark.parametrize(
    ("variables", "entry"),
    [
        ({}, True),
        ({"groups": {"app": ["a"], "proxy": ["p"]}}, False),
        ({"groups": {"app": ["a"], "proxy": ["a"]}}, True),
        ({"groups": {"app": ["a"], "proxy": ["p"]}, "service_runs_here": False}, True),
    ],
    ids=["own proxy", "behind a proxy", "proxy itself", "proxy alone"],
)
def test_requests_are_counted_where_they_come_in(variables: dict[str, Any], entry: bool) -> None:
    assert metrics(**variables).settings["entry"] is entry


def test_objectives_are_numbers() -> None:
    assert metrics().settings["objectives"] == {"availability": 99.9, "latency": 99.0, "latency_threshold": 0.5}


def test_the_history_knows_whose_logs_are_where() -> None:
    assert metrics().settings["history"]["logs"] == {"/var/log/shop": "", "/var/log/nginx": "shop."}
    assert metrics(metrics_access_log="").settings["history"]["logs"] == {"/var/log/shop": ""}
    assert metrics(metrics_history="no").settings["history"] is None


def report(**variables: Any) -> Report:
    given = {"report_enabled": True, "report_keep_days": "7", "report_language": "zh", "service_name": "shop"}
    return Report({**given, **variables}.__getitem__)


def test_the_command_that_makes_the_page_knows_each_setting() -> None:
    settings = report().settings
    # nothing is told that nobody reads
    assert settings.keys() == {field.name for field in fields(Settings)}
    assert (settings["keep_days"], settings["language"]) == (7, "zh")
    # the report reads what the metrics record
    assert settings["history"] == metrics().settings["history"]["store"]


def test_the_daily_report_links_to_a_page_that_is_made() -> None:
    assert report().page == "/var/lib/shop-report/report.html"
    assert "cron" in report().packages
    without = report(report_enabled="no")
    assert (without.page, without.packages) == ("", [])
