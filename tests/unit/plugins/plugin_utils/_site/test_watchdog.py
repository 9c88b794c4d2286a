# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role watchdog, on tables of inventories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.settings import Settings
from ansible_collections.workbot.stability.plugins.plugin_utils._site.watchdog import Watchdog

ROLE = Path(__file__).parents[5] / "roles/watchdog"
PATHS = ("active", "config", "ecosystem_file", "pm2_bin", "pm2_home")
PLAIN: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
    "watchdog_url": "http://127.0.0.1:80/health",
    "service_activation_unit": "shop@.service",
    "service_database_enabled": False,
    "service_directory": "/srv/shop",
    "service_existing": {},
    "service_external_recovery": False,
    "service_external_unit": "",
    "service_health_path": "/health",
    "service_is_external": False,
    "service_log_directory": "/var/log/shop",
    "service_name": "shop",
    "service_paths": {name: f"/srv/shop/{name}" for name in PATHS},
    "service_plan": {"memory_restart_mb": 512, "heap_limit_mb": 384},
    "service_renewal_unit": "shop-renewal.service",
    "service_unit": "shop.service",
    "service_user": "shop",
}
ELSEWHERE = {
    "service_existing": {"supervisor": "systemd", "unit": "old.service", "url": "http://127.0.0.1:3000/"},
    "service_external_unit": "old.service",
    "service_is_external": True,
}


def watchdog(**variables: Any) -> Watchdog:
    return Watchdog({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize("variables", [{}, ELSEWHERE], ids=["own", "existing service"])
def test_the_command_knows_each_setting(variables: dict[str, Any]) -> None:
    site = watchdog(**variables)
    known = Settings.of(site.settings)
    # nothing is told that nobody reads
    assert site.settings.keys() <= Settings.__dataclass_fields__.keys()
    assert (known.service, known.disk_minimum) == ("shop", 50)


def test_a_setting_keeps_its_name() -> None:
    own = {name.removeprefix("watchdog_") for name in Watchdog.variables() if name.startswith("watchdog_")}
    assert own <= watchdog().settings.keys()
    assert watchdog(watchdog_failure_threshold="7").settings["failure_threshold"] == 7


def test_a_service_that_runs_under_something_else_has_limits_that_nobody_has_told() -> None:
    settings = watchdog(**ELSEWHERE).settings
    assert (settings["memory_restart_mb"], settings["heap_limit_mb"]) == (0, 0)
    assert (settings["recovers"], settings["pm2_unit"]) == (False, "old.service")


@pytest.mark.parametrize(
    ("variables", "unit", "renewal", "proxy"),
    [
        ({}, "shop@.service", "shop-renewal.service", "yes"),
        (ELSEWHERE, "", "", ""),
        ({**ELSEWHERE, "service_external_recovery": "yes"}, "old.service", "", ""),
    ],
    ids=["own", "existing service", "existing service that may be restarted"],
)
def test_the_helper_restarts_what_it_was_allowed_to(
    variables: dict[str, Any], unit: str, renewal: str, proxy: str
) -> None:
    allowed = watchdog(**variables).helper_arguments
    assert (allowed["pm2_unit"], allowed["renewal_unit"], allowed["restarts_proxy"]) == (unit, renewal, proxy)


@pytest.mark.parametrize(
    ("variables", "home", "written", "after"),
    [
        ({}, "yes", "/run", "shop.service"),
        ({"service_directory": "/home/shop/app"}, "no", "/run", "shop.service"),
        (ELSEWHERE, "read-only", "-/srv/shop/pm2_home", "old.service"),
        ({**ELSEWHERE, "service_paths": {"pm2_home": ""}}, "read-only", "/run", "old.service"),
    ],
)
def test_its_unit_may_write_where_pm2_is(variables: dict[str, Any], home: str, written: str, after: str) -> None:
    site = watchdog(**variables)
    assert site.protects_home == home
    # a mount of a directory goes with it: the one around the logs stays
    assert site.written == f"{written} -/var/log -/var/lib/shop-diagnose"
    assert site.after == f"network.target {after} nginx.service shop-watchdog-act.socket"
