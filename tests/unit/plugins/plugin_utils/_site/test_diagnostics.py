# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role diagnostics, on tables of inventories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.plugin_utils._site.diagnostics import Diagnostics

ROLE = Path(__file__).parents[5] / "roles/diagnostics"
PLAN = {"instances": 4, "hosts": 2, "pool_max": 9, "generations": 2, "memory_restart_mb": 512, "heap_limit_mb": 384}
PLAIN: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
    "diagnostics_disk_paths": ["/"],
    "service_activation_unit": "shop@.service",
    "service_database_enabled": True,
    "service_database_is_local": True,
    "service_database_name": "shop",
    "service_database_user": "shop",
    "service_existing": {},
    "service_external_logs": ["/home/old/app.log"],
    "service_external_units": ["old.service"],
    "service_health_path": "/health",
    "service_is_external": False,
    "service_log_directory": "/var/log/shop",
    "service_name": "shop",
    "service_paths": dict.fromkeys(("active", "config", "current", "environment_file", "pm2_bin", "pm2_home"), "/a"),
    "service_plan": PLAN,
    "service_required_secrets": ["TOKEN"],
    "service_secret_min_length": "16",
    "service_user": "shop",
    "service_websocket_paths": ["/ws"],
}


def diagnostics(**variables: Any) -> Diagnostics:
    return Diagnostics({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("variables", "units"),
    [
        ({}, ["cron.service", "nginx.service", "shop@*.service", "postgresql@*.service"]),
        ({"service_database_is_local": False}, ["cron.service", "nginx.service", "shop@*.service"]),
        ({"service_is_external": True, "service_database_is_local": False}, ["cron.service", "old.service"]),
    ],
    ids=["own", "server elsewhere", "existing service"],
)
def test_the_units_that_have_to_run(variables: dict[str, Any], units: list[str]) -> None:
    assert diagnostics(**variables).usual_units == units


def test_psycopg_asks_a_database() -> None:
    assert "python3-psycopg" in diagnostics().packages
    assert "python3-psycopg" not in diagnostics(service_database_enabled="no").packages


def test_the_command_is_told_what_the_plan_gives() -> None:
    settings = diagnostics(diagnostics_timeout_ms="1600").settings
    assert settings["timeout_ms"] == 1600
    assert settings["pm2"]["instances"] == 4
    assert settings["memory"] == {"heap_limit_mb": 384, "memory_restart_mb": 512}
    service = settings["database"]["service"]
    assert (service["hosts"], service["pool_max"], service["overlap"]) == (2, 9, 2)
    assert settings["logs"]["external_logs"] == []
    assert settings["secrets"]["secret_min_length"] == 16


def test_an_existing_service_has_limits_and_logs_of_its_own() -> None:
    settings = diagnostics(service_is_external=True).settings
    assert settings["memory"] == {"heap_limit_mb": 0, "memory_restart_mb": 0}
    assert settings["logs"]["external_logs"] == ["/home/old/app.log"]
