# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role pm2, on tables of inventories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.plugin_utils._site.pm2 import Pm2

ROLE = Path(__file__).parents[5] / "roles/pm2"
PLACES = ("active", "bin", "config")
PLAIN: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
    "pm2_out_file": "/var/log/shop/out.log",
    "pm2_error_file": "/var/log/shop/error.log",
    "ansible_check_mode": False,
    "service_activation_unit": "shop@.service",
    "service_begins_ahead": False,
    "service_database_enabled": True,
    "service_directory": "/srv/shop",
    "service_group": "shop",
    "service_health_path": "/health",
    "service_mode": "production",
    "service_name": "shop",
    "service_overlap": True,
    "service_paths": {"environment_file": "/srv/shop/env", **{name: f"/srv/shop/{name}" for name in PLACES}},
    "service_plan": {"instances": 3, "heap_limit_mb": 384, "memory_restart_mb": 512, "pool_max": 9},
    "service_renewal_unit": "shop-renewal.service",
    "service_run_directory": "/run/shop",
    "service_supervisor": "collection",
    "service_unit": "shop.service",
    "service_user": "shop",
}
MIGRATES = {"pm2_migrate": ["npm", "run", "migrate"]}


def pm2(**variables: Any) -> Pm2:
    return Pm2({**PLAIN, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("mode", "loaded"),
    [("cluster", ["reopen-logs.cjs", "own-socket.cjs"]), ("fork", ["own-socket.cjs"])],
)
def test_what_is_loaded_before_the_service_is_installed_and_read_at_its_start(mode: str, loaded: list[str]) -> None:
    site, paths = pm2(pm2_exec_mode=mode, pm2_node_args=["--trace-warnings"]), [f"/srv/shop/config/{x}" for x in loaded]
    assert site.read_at_start == site.desired["preloads"] == [*paths, "/etc/systemd/system/shop@.service"]
    installed = {file["path"]: file for file in site.files}
    assert all(path in installed for path in site.read_at_start)
    # the service, which does not own them, reads them by its group
    assert {(installed[path]["group"], installed[path]["mode"]) for path in paths} == {("shop", "0640")}
    required = [word for path in paths for word in ("--require", path)]
    assert site.desired["app"]["node_args"] == ["--max-old-space-size=384", *required, "--trace-warnings"]


def test_each_template_is_there() -> None:
    templates = {file["template"] for file in pm2().files if "template" in file}
    assert templates == {path.name for path in (ROLE / "templates").iterdir()}


def test_the_app_is_of_the_plan_and_has_pm2_s_own_units() -> None:
    app = pm2(pm2_kill_timeout="7", pm2_environment={"DEBUG": "shop"}, pm2_options={"vizion": False}).desired["app"]
    assert (app["instances"], app["max_memory_restart"]) == (3, "512M")
    assert (app["kill_timeout"], app["listen_timeout"]) == (7000, 30000)
    assert app["env"] == {"NODE_ENV": "production", "DEBUG": "shop"}
    assert app["vizion"] is False


def test_a_log_without_dates_has_no_format_of_one() -> None:
    site = pm2(pm2_log_date_format="")
    assert "log_date_format" not in site.desired["app"]
    assert site.own_fields == pm2().own_fields
    assert {*pm2().desired["app"], "name", "cwd"} == {*site.own_fields}


@pytest.mark.parametrize(("instances", "seconds"), [(0, 20), (1, 30), (2, 30), (3, 40), (4, 40)])
def test_the_daemon_stops_two_processes_at_a_time(instances: int, seconds: int) -> None:
    assert pm2(service_plan={"instances": instances}).stop_timeout == seconds


@pytest.mark.parametrize(
    ("variables", "goes_on"),
    [
        ({}, True),
        ({"service_begins_ahead": False}, False),
        # hosts take turns with it
        (MIGRATES, False),
        ({"ansible_check_mode": True}, False),
    ],
)
def test_hosts_that_take_turns_and_check_mode_wait_for_the_activation(variables: dict[str, Any], goes_on: bool) -> None:
    assert pm2(**{"service_begins_ahead": True, **variables}).goes_on is goes_on


@pytest.mark.parametrize(
    ("variables", "turns", "migrate"),
    [
        ({}, 0, []),
        (MIGRATES, 1, MIGRATES["pm2_migrate"]),
        ({**MIGRATES, "pm2_migrates": "no"}, 0, []),
        ({"pm2_migrates": True}, 0, []),
    ],
)
def test_never_two_hosts_migrate_at_once(variables: dict[str, Any], turns: int, migrate: list[str]) -> None:
    site = pm2(**variables)
    assert (site.turns, site.desired["migrate"]) == (turns, migrate)


@pytest.mark.parametrize(
    ("hooks", "seconds"),
    [
        ({}, 3660),
        ({"after_start": [["node", "warm.mjs"]], "after_stop": [["a"], ["b"]]}, 5460),
        # wrong, of which the check of the variables tells
        ({"after_start": 5}, 4260),
    ],
)
def test_what_goes_on_has_the_time_of_its_steps(hooks: dict[str, Any], seconds: int) -> None:
    assert pm2(pm2_hooks=hooks).longest == seconds


def test_the_proxy_is_asked_for_a_site_that_has_a_name() -> None:
    assert pm2().desired["proxy_headers"] == {}
    assert pm2(pm2_proxy_host_name="shop.test").desired["proxy_headers"] == {"Host": "shop.test"}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"service_supervisor": "pm2"},
            ["the pool (9 connections)", "--env-file=/srv/shop/env", "512M, by pm2 delete"],
        ),
        ({"service_supervisor": "systemd", "service_database_enabled": False}, ["its settings", "EnvironmentFile="]),
        ({"service_supervisor": "process"}, ["node --env-file=/srv/shop/env --max-old-space-size=384 ..."]),
    ],
)
def test_an_existing_service_is_told_what_its_next_start_can_take(variables: dict[str, Any], words: list[str]) -> None:
    advice = pm2(**variables).advice
    assert advice.startswith("shop goes on as it is.") and advice.endswith(".")
    assert all(word in advice for word in words)


def test_what_a_run_finds_before_the_role_is_no_part_of_it() -> None:
    """Else the check of the variables can't compute it once, and the comparison waits for the host's answers."""
    assert {"pm2_release", "pm2_discard_failed", "pm2_tools_pending"}.isdisjoint(Pm2.variables())
