# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role alerting, on tables of inventories."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.config import Config
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import decode
from ansible_collections.workbot.stability.plugins.plugin_utils._site.alerting import Alerting

ROLE = Path(__file__).parents[5] / "roles/alerting"
FLEET = {"app": {"a1": "192.0.2.1", "B2": "192.0.2.2"}, "proxy": {"a1": "192.0.2.1"}, "monitor": {"eye": "192.0.2.3"}}
PLAIN: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
    "service_fleet": FLEET,
    "service_is_monitor": False,
    "service_monitor": "",
    "service_name": "shop",
    "service_paths": {"config": "/etc/shop"},
    "service_runs_here": True,
}
WATCHED = {"service_monitor": "eye"}
MONITOR = {"service_is_monitor": True, "service_monitor": "eye"}
APART = {**MONITOR, "service_runs_here": False}


def alerting(**variables: Any) -> Alerting:
    return Alerting({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("shop", "shop-alert"),
        ("s" * 25, f"{'s' * 25}-alert"),
        ("s" * 26, f"{'s' * 18}-4b4ad1-alert"),
    ],
)
def test_its_user_has_a_name_that_useradd_takes(name: str, user: str) -> None:
    assert alerting(service_name=name).user == user
    assert len(user) <= 31


@pytest.mark.parametrize("variables", [{}, WATCHED, MONITOR, APART], ids=["alone", "watched", "monitor", "apart"])
def test_the_command_knows_each_setting(variables: dict[str, Any]) -> None:
    site = alerting(**variables)
    # nothing is told that nobody reads; the host says its name itself
    assert {*site.settings, "host"} == {field.name for field in fields(Config)}
    known = decode(Config, {**site.settings, "host": "h1"})
    assert known.secrets.parent == Path(site.config_file["path"]).parent
    assert site.command_file["program"]["arguments"] == {"config": site.config_file["path"]}


def test_texts_become_numbers() -> None:
    settings = alerting(alerting_repeat_interval_minutes="30", alerting_actions="no").settings
    assert (settings["repeat_interval_minutes"], settings["actions"]) == (30, False)


def test_a_monitor_asks_alertmanager_and_takes_no_events() -> None:
    alone, monitor = alerting(), alerting(**MONITOR)
    assert [Path(file["path"]).suffix for file in alone.unit_files] == [".service", ".timer", ".path"]
    assert [Path(file["path"]).suffix for file in monitor.unit_files] == [".service", ".timer"]
    assert alone.settings["watched_units"] == ["shop-watchdog.service"]
    assert monitor.settings["watched_units"] == ["prometheus.service", "prometheus-alertmanager.service"]
    assert alone.settings["monitor"] is None
    assert monitor.settings["monitor"]["hosts"] == ["a1", "B2", "eye"]
    assert (alerting(**WATCHED).settings["reported_by"], monitor.settings["reported_by"]) == ("eye", "")


def test_a_host_that_is_only_the_monitor_has_a_directory_of_its_own() -> None:
    assert (alerting(**MONITOR).directories, alerting(**APART).directories) == ([], [{"path": "/etc/shop-alert"}])
    assert alerting(**APART).settings["secrets"] == "/etc/shop-alert/alert-secrets.json"
