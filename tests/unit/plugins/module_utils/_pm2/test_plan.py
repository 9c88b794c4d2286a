# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From declared apps and live processes to steps. The live ones are real output of PM2 7.0.4."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.fields import (
    FIELDS,
    check_app,
    count,
    milliseconds,
    size,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.plan import plan, stop, strongest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process, parse_processes
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES

FIXTURE = FIXTURES / "pm2" / "jlist_cluster_and_fork.json"

APP: dict[str, Any] = {
    "name": "w-1",
    "script": "app.mjs",
    "cwd": "/tmp/x/app",
    "args": ["a", "b c"],
    "node_args": ["--max-old-space-size=200"],
    "exec_mode": "cluster",
    "instances": 2,
    "env": {"PORT": "/tmp/x/1.sock", "NODE_ENV": "production", "N": 3},
    "max_memory_restart": "300M",
    "min_uptime": "10s",
    "exp_backoff_restart_delay": 100,
    "kill_timeout": 5000,
    "listen_timeout": 4000,
    "merge_logs": True,
    "log_date_format": "YYYY-MM-DD HH:mm:ss",
    "error_file": "/tmp/x/error.log",
    "out_file": "/tmp/x/out.log",
    "time": False,
    "watch": False,
    "autorestart": True,
    "max_restarts": 10,
    "wait_ready": True,
}


@pytest.fixture
def live() -> list[Pm2Process]:
    return [process for process in parse_processes(json.loads(FIXTURE.read_text())) if process.name == "w-1"]


def actions(app: dict[str, Any], live: list[Pm2Process], **others: Any) -> list[str]:
    return [step.action for step in plan([app], live, **others)]


def test_the_declared_state_needs_nothing(live: list[Pm2Process]) -> None:
    assert plan([APP], live) == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("script", "other.mjs", ["recreate"]),
        ("cwd", "/tmp/y", ["recreate"]),
        ("exec_mode", "fork", ["recreate"]),
        ("interpreter", "/usr/bin/node", []),
        ("interpreter", "bun", ["recreate"]),
        ("out_file", "/tmp/x/other.log", ["recreate"]),
        ("error_file", None, ["recreate"]),
        ("watch", ["lib"], ["recreate"]),
        ("interpreter", None, []),
        ("script", "app.py", ["recreate"]),
        ("namespace", "blue", ["recreate"]),
        ("args", ["a"], ["reload"]),
        ("args", None, ["recreate"]),
        ("node_args", ["--max-old-space-size=300"], ["reload"]),
        ("max_memory_restart", "301M", ["reload"]),
        ("max_memory_restart", "307200K", []),
        ("max_memory_restart", None, ["recreate"]),
        ("min_uptime", 10000, []),
        ("min_uptime", "11s", ["reload"]),
        ("kill_timeout", 6000, ["reload"]),
        ("watch", True, ["recreate"]),
        ("instances", 3, ["scale"]),
        ("instances", 1, ["scale"]),
        ("env", {"PORT": "/tmp/x/1.sock", "NODE_ENV": "production", "N": "3"}, []),
        ("env", {"PORT": "/tmp/x/2.sock", "NODE_ENV": "production", "N": 3}, ["reload"]),
        ("env", {"PORT": "/tmp/x/1.sock", "NODE_ENV": "production", "N": 3, "NEW": 1}, ["reload"]),
        ("env", {"PORT": "/tmp/x/1.sock", "NODE_ENV": "production"}, ["recreate"]),
    ],
)
def test_one_changed_field(live: list[Pm2Process], field: str, value: Any, expected: list[str]) -> None:
    assert actions({**APP, field: value}, live) == expected


def test_mild_steps_combine_and_a_hard_one_covers_them(live: list[Pm2Process]) -> None:
    assert actions({**APP, "args": ["z"], "instances": 3}, live) == ["reload", "scale"]
    assert actions({**APP, "args": ["z"], "instances": 3, "cwd": "/tmp/y"}, live) == ["recreate"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("node_args", 5),
        ("args", {"a": 1}),
        ("env", "x"),
        ("env", ["x"]),
        ("stop_exit_codes", "abc"),
        ("stop_exit_codes", [None]),
        ("stop_exit_codes", [float("inf")]),
        ("min_uptime", "zz"),
        ("min_uptime", "9" * 5000),
        ("max_memory_restart", [1]),
        ("watch", "perhaps"),
        ("uid", "a\0b"),
        ("gid", "\ud800"),
    ],
)
def test_a_live_value_that_can_not_be_understood_has_its_process_replaced(
    live: list[Pm2Process], key: str, value: Any
) -> None:
    """Any program of the service's user may stand in for its daemon."""
    garbled = dataclasses.replace(live[0], settings={**live[0].settings, key: value})
    assert actions(APP, [garbled, live[1]]) == ["recreate"]


LIVE = st.sampled_from(sorted({"env", "exit_code", *(field.live for field in FIELDS.values())}))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(LIVE, ANYTHING), st.sampled_from(["online", "stopped"]))
def test_whatever_a_live_process_is_said_to_have_can_be_compared(settings: dict[str, Any], status: str) -> None:
    told = json.loads(FIXTURE.read_text())
    for entry in told:
        entry["pm2_env"] |= {"status": status, **settings}
    live = [process for process in parse_processes(told) if process.name == "w-1"]
    assert all(step.report() for step in plan([APP], live))


@pytest.mark.parametrize("fields", [{"node_args": 5}, {"min_uptime": "zz"}, {"stop_exit_codes": ["abc"]}])
def test_a_declared_value_that_can_not_be_understood_is_an_error(
    live: list[Pm2Process], fields: dict[str, Any]
) -> None:
    with pytest.raises(Pm2Error):
        plan([{**APP, **fields}], live)


def test_live_processes_count_not_what_pm2_says_it_wants(live: list[Pm2Process]) -> None:
    assert live[0].settings["instances"] == 2
    assert actions(APP, live[:1]) == ["scale"]


def test_an_app_that_is_not_there_is_started() -> None:
    assert actions(APP, []) == ["start"]


@pytest.mark.parametrize("status", ["stopped", "errored"])
def test_only_dead_processes_are_restarted(live: list[Pm2Process], status: str) -> None:
    dead = dataclasses.replace(live[1], status=status)
    steps = plan([APP], [live[0], dead])
    assert [(step.action, step.ids) for step in steps] == [("restart", (dead.pm_id,))]


def test_a_newer_input_file_reloads_older_processes(live: list[Pm2Process]) -> None:
    assert actions(APP, live, newest_input=live[0].started_at + 60) == ["reload"]
    assert actions(APP, live, newest_input=live[0].started_at - 60) == []


def test_what_is_gone_goes_last(live: list[Pm2Process]) -> None:
    steps = plan([{**APP, "name": "w-2"}], live, gone={"w-1", "never-there"})
    assert [(step.action, step.name) for step in steps] == [("start", "w-2"), ("delete", "w-1")]
    assert strongest(steps) == "delete"


def test_fork_mode_recreates_for_another_number() -> None:
    fork = [process for process in parse_processes(json.loads(FIXTURE.read_text())) if process.name == "f-1"]
    app = {
        "name": "f-1",
        "script": "app.mjs",
        "cwd": "/tmp/x/app",
        "interpreter": "node",
        "env": {
            "PORT": "/tmp/x/2.sock",
            "HOME": "/tmp/x",
            "PATH": "/opt/workbot/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        },
    }
    assert actions(app, fork) == []
    assert actions({**app, "instances": 2}, fork) == ["recreate"]


def test_no_value_of_the_environment_is_shown(live: list[Pm2Process]) -> None:
    settings = copy.deepcopy(dict(live[0].settings))
    settings["env"]["TOKEN"] = "hunter2hunter2"
    changed = [dataclasses.replace(live[0], settings=settings), live[1]]
    steps = plan([{**APP, "env": {**APP["env"], "PORT": "very-private"}}], changed)
    assert "hunter2" not in repr(steps)
    assert "very-private" not in repr(steps)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"script": "node_modules/.bin/tsx"}, "EADDRINUSE"),
        ({"script": "/usr/bin/npm"}, "only starts another process"),
        ({"interpreter": "python3"}, "Node.js only"),
        ({"exec_mode": "fork", "script": "src/server.ts"}, "bun"),
        ({"max_memory_restart": "1.5G"}, "1.5G"),
        ({"max_memory_restart": "0"}, "no size"),
        ({"min_uptime": "soon"}, "soon"),
        ({"script": ""}, "script is missing"),
        ({"instances": "many"}, "'many' is neither a whole number nor max"),
        ({"watch": "perhaps"}, "'perhaps' is neither true, false nor a list"),
        ({"name": "cron_restart"}, "taken for the setting"),
        ({"env": {"status": 1}}, "taken for the setting"),
        ({"name": "a b"}, "space or comma"),
    ],
)
def test_what_pm2_accepts_but_cannot_run_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Pm2Error, match=words):
        check_app({**APP, **fields})


@given(st.text())
def test_sizes_and_periods_are_numbers_or_errors(value: str) -> None:
    for read in (size, milliseconds):
        try:
            assert read(value) >= 0
        except Pm2Error as error:
            assert repr(value) in str(error)


def test_a_log_file_that_differs_in_a_number_only(live: list[Pm2Process]) -> None:
    merged = {**APP, "error_file": "/tmp/x/error-1.log"}
    assert actions(merged, live) == ["recreate"]
    numbered = [dataclasses.replace(item, settings={**item.settings, "merge_logs": False}) for item in live]
    assert actions({**merged, "merge_logs": False}, numbered) == []


@pytest.mark.parametrize(
    ("fields", "settings", "left_alone"),
    [
        ({"autorestart": False}, {"exit_code": 0}, True),
        ({"autorestart": False}, {"exit_code": 1}, False),
        ({"autostart": False}, {}, True),
        ({"stop_exit_codes": [3]}, {"exit_code": 3}, True),
        ({"stop_exit_codes": [3]}, {"exit_code": 4}, False),
        ({}, {"exit_code": 0}, False),
    ],
)
def test_what_is_done_is_not_started_again(
    live: list[Pm2Process], fields: dict[str, Any], settings: dict[str, Any], left_alone: bool
) -> None:
    done = [
        dataclasses.replace(item, status="stopped", settings={**item.settings, **fields, **settings}) for item in live
    ]
    assert actions({**APP, **fields}, done) == ([] if left_alone else ["restart"])


@pytest.mark.parametrize(
    ("asked", "changes", "expected"),
    [
        ("restarted", {}, ["restart"]),
        ("restarted", {"instances": 3}, ["restart", "scale"]),
        # PM2's restart of processes takes no new setting
        ("restarted", {"args": ["z"]}, ["recreate"]),
        ("reloaded", {}, ["reload"]),
        ("reloaded", {"args": ["z"]}, ["reload"]),
        ("reloaded", {"cwd": "/tmp/y"}, ["recreate"]),
    ],
)
def test_what_is_asked_for(live: list[Pm2Process], asked: Any, changes: dict[str, Any], expected: list[str]) -> None:
    assert actions({**APP, **changes}, live, asked=asked) == expected


def test_only_what_runs_is_stopped(live: list[Pm2Process]) -> None:
    dead = dataclasses.replace(live[1], status="errored")
    assert [(step.action, step.ids) for step in stop(["w-1", "other"], [live[0], dead])] == [("stop", (live[0].pm_id,))]
    assert stop(["other"], live) == []


def test_the_user_is_compared_by_number(live: list[Pm2Process]) -> None:
    root = [dataclasses.replace(item, settings={**item.settings, "uid": 0, "gid": 0}) for item in live]
    assert actions({**APP, "uid": "root"}, root) == []
    assert actions({**APP, "uid": "root"}, live) == ["recreate"]
    assert actions(APP, root) == ["recreate"]


@pytest.mark.parametrize(("declared", "cpus"), [("max", 4), (0, 4), (-1, 3), (-9, 1), (2, 2), ("3", 3), (None, 1)])
def test_instances(declared: Any, cpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert count(declared) == cpus
