# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each field of an app changed in turn: it reaches the live process, and a second run leaves all as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from own_pm2 import APP, BIN, FORK, HOME, Pm2, Run, app, converge, listed, own_pm2
from testinfra.host import Host


@pytest.fixture(scope="module", autouse=True)
def pm2(host: Host) -> Iterator[Pm2]:
    yield from own_pm2(host)


@dataclass(frozen=True)
class Case:
    """A field's new value, PM2's key for it, what PM2 then keeps, and the step that brings it there."""

    value: Any
    key: str
    kept: Any
    action: str
    base: dict[str, Any] | None = None


# trace and disable_trace are not here: PM2 downloads packages for the one and keeps nothing of the other. Neither is
# filter_env, whose effect is the environment.
FIELDS: dict[str, Case] = {
    "script": Case("other.js", "pm_exec_path", f"{APP}/other.js", "recreate"),
    "cwd": Case(f"{HOME}/elsewhere", "pm_cwd", f"{HOME}/elsewhere", "recreate"),
    "args": Case(["--one", "two words"], "args", ["--one", "two words"], "reload"),
    "interpreter": Case(f"{BIN}/node", "exec_interpreter", f"{BIN}/node", "recreate", FORK),
    "node_args": Case(["--max-old-space-size=100"], "node_args", ["--max-old-space-size=100"], "reload"),
    "exec_mode": Case("cluster", "exec_mode", "cluster_mode", "recreate", FORK),
    "instances": Case(2, "exec_mode", "cluster_mode", "scale"),
    "env": Case({"LETTER": "b"}, "LETTER", "b", "reload"),
    "port": Case(3999, "PORT", "3999", "reload"),
    "namespace": Case("blue", "namespace", "blue", "recreate"),
    "max_memory_restart": Case("300M", "max_memory_restart", 300 * 1024**2, "reload"),
    "autorestart": Case(False, "autorestart", False, "reload"),
    "autostart": Case(False, "status", "stopped", "recreate"),
    "max_restarts": Case(5, "max_restarts", 5, "reload"),
    "min_uptime": Case("2s", "min_uptime", 2000, "reload"),
    "restart_delay": Case(100, "restart_delay", 100, "reload"),
    "exp_backoff_restart_delay": Case(100, "exp_backoff_restart_delay", 100, "reload"),
    "stop_exit_codes": Case([3, 4], "stop_exit_codes", [3, 4], "reload"),
    "cron_restart": Case("0 4 * * *", "cron_restart", "0 4 * * *", "recreate"),
    "kill_timeout": Case(3000, "kill_timeout", 3000, "reload"),
    "kill_retry_time": Case(200, "kill_retry_time", 200, "reload"),
    "listen_timeout": Case(2000, "listen_timeout", 2000, "reload", {"listen_timeout": None}),
    "wait_ready": Case(True, "wait_ready", True, "reload"),
    "shutdown_with_message": Case(True, "shutdown_with_message", True, "reload"),
    "treekill": Case(False, "treekill", False, "reload"),
    "watch": Case(["lib"], "watch", ["lib"], "recreate"),
    "ignore_watch": Case(["lib"], "ignore_watch", ["lib"], "recreate"),
    "watch_delay": Case(500, "watch_delay", 500, "recreate"),
    "watch_options": Case({"followSymlinks": False}, "watch_options", {"followSymlinks": False}, "recreate"),
    "out_file": Case(f"{HOME}/own.log", "pm_out_log_path", f"{HOME}/own-@id@.log", "recreate"),
    "error_file": Case(f"{HOME}/error.log", "pm_err_log_path", f"{HOME}/error-@id@.log", "recreate"),
    "log_file": Case(f"{HOME}/both.log", "pm_log_path", f"{HOME}/both-@id@.log", "recreate"),
    "pid_file": Case(f"{HOME}/own.pid", "pm_pid_path", f"{HOME}/own-@id@.pid", "recreate"),
    "log_date_format": Case("HH:mm", "log_date_format", "HH:mm", "reload"),
    "log_type": Case("json", "log_type", "json", "reload"),
    "merge_logs": Case(True, "merge_logs", True, "recreate"),
    "time": Case(True, "log_date_format", "YYYY-MM-DDTHH:mm:ss", "reload"),
    "disable_logs": Case(True, "disable_logs", True, "reload"),
    "source_map_support": Case(True, "source_map_support", True, "reload"),
    "disable_source_map_support": Case(True, "disable_source_map_support", True, "reload"),
    "vizion": Case(False, "vizion", False, "reload"),
    "pmx": Case(False, "pmx", False, "reload"),
    "automation": Case(False, "automation", False, "reload"),
    "instance_var": Case("NUMBER", "NUMBER", 0, "recreate"),
    "increment_var": Case("COUNT", "COUNT", 0, "recreate"),
    "post_update": Case(["true"], "post_update", ["true"], "reload"),
}


@dataclass(frozen=True)
class Turn:
    """Every field changed in an app of its own, in the order of the runs."""

    predicted: Run
    changed: Run
    live: list[dict[str, Any]]
    seen: dict[str, dict[str, Any]]
    again: Run
    restored: Run
    live_restored: list[dict[str, Any]]
    restored_again: Run


@pytest.fixture(scope="module")
def turn(host: Host, pm2: Pm2) -> Turn:
    # PM2 is asked once for several steps in a row that are alike
    cases = sorted(FIELDS.items(), key=lambda item: item[1].action)
    base = [app(f"f-{name}", **(case.base or {})) for name, case in cases]
    new = [app(f"f-{name}", **{**(case.base or {}), name: case.value}) for name, case in cases]
    converge(base)
    predicted = converge(new, "--check")
    changed = converge(new)
    live = listed(pm2)
    seen = {
        name: json.loads(host.file(f"{APP}/seen-f-{name}.json").content_string)
        for name in ("args", "node_args", "env", "port", "instance_var")
    }
    again = converge(new)
    restored = converge(base)
    live_restored = listed(pm2)
    restored_again = converge(base)
    converge([{"name": app["name"]} for app in base], state="absent")
    return Turn(predicted, changed, live, seen, again, restored, live_restored, restored_again)


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_reaches_the_live_process(turn: Turn, field: str) -> None:
    case = FIELDS[field]
    found = [process for process in turn.live if process["name"] == f"f-{field}"]
    assert len(found) == (2 if field == "instances" else 1)
    kept = found[0]["pm2_env"].get(case.key)
    assert kept == (case.kept.replace("@id@", str(found[0]["pm_id"])) if isinstance(case.kept, str) else case.kept)
    assert turn.changed.steps()[f"f-{field}"] == case.action


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_declared_any_more_is_gone(turn: Turn, field: str) -> None:
    case = FIELDS[field]
    found = [process for process in turn.live_restored if process["name"] == f"f-{field}"]
    assert len(found) == 1
    if case.action != "scale":
        assert found[0]["pm2_env"].get(case.key) != case.kept
        assert turn.restored.steps()[f"f-{field}"] in ("reload", "recreate")


def test_check_mode_predicts_exactly(turn: Turn) -> None:
    assert turn.predicted.result["steps"] == turn.changed.result["steps"]
    assert turn.predicted.result["changed"] is True


def test_the_diff_shows_each_field_and_no_value_of_the_environment(turn: Turn) -> None:
    for output in (turn.predicted.output, turn.changed.output):
        for field in FIELDS:
            assert re.search(rf'^\+ +"{"PORT" if field == "port" else field}":', output, re.MULTILINE), field
        assert '"LETTER": "(hidden, another one)"' in output
        assert '"3999"' not in output


@pytest.mark.parametrize("runs", [("changed", "again"), ("restored", "restored_again")])
def test_a_second_run_changes_nothing(turn: Turn, runs: tuple[str, str]) -> None:
    first, second = (getattr(turn, name) for name in runs)
    assert second.result["steps"] == []
    assert second.result["changed"] is False
    assert second.pids() == first.pids()


def test_the_process_itself_got_it(turn: Turn) -> None:
    assert turn.seen["args"]["argv"] == ["--one", "two words"]
    assert "--max-old-space-size=100" in turn.seen["node_args"]["execArgv"]
    assert turn.seen["env"]["env"]["LETTER"] == "b"
    assert turn.seen["port"]["env"]["PORT"] == "3999"
    assert turn.seen["instance_var"]["env"]["NUMBER"] == "0"
