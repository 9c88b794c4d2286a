# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parser against what PM2 7.0.4 really printed (environments replaced by a marker), and against garbage."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import (
    Pm2Process,
    parse_processes,
    select,
    status_of,
)
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES

MARKER = "this-must-not-leave-the-parser"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["pid", "name", "pm_id", "pm2_env"]), inner),
    max_leaves=8,
)


def mixed() -> list[dict[str, Any]]:
    """Records of four processes."""
    found: list[dict[str, Any]] = json.loads((FIXTURES / "jlist_mixed.txt").read_text())
    return found


def test_online_errored_and_stopped_are_told_apart() -> None:
    states = [(process.name, process.status, process.online) for process in parse_processes(mixed())]
    assert states == [
        ("workbot-abc123def456", "online", True),
        ("workbot-abc123def456", "online", True),
        ("workbot-broken", "errored", False),
        ("workbot-stopped", "stopped", False),
    ]


def test_what_pm2_gave_up_is_errored_although_pm2_says_that_it_waits() -> None:
    """Captured after the tenth exit in the first seconds, with a back-off: no timer of PM2's is left."""
    given_up = (FIXTURES / "jlist_given_up.txt").read_text()
    assert '"status":"waiting restart"' in given_up
    assert [(process.status, process.dead) for process in parse_processes(json.loads(given_up))] == [
        ("online", False),
        ("errored", True),
    ]


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ({"status": "waiting restart", "created_at": 1, "autorestart": True, "exit_code": 1}, "waiting restart"),
        ({"status": "waiting restart", "created_at": 1, "autorestart": False}, "stopped"),
        ({"status": "waiting restart", "created_at": 1, "stop_exit_codes": 0, "exit_code": 0}, "stopped"),
        ({"status": "waiting restart", "created_at": 1, "stop_exit_codes": ["0", 3], "exit_code": 3}, "stopped"),
        ({"status": "waiting restart", "created_at": 1, "stop_exit_codes": [0], "exit_code": 1}, "waiting restart"),
        ({"status": "waiting restart", "created_at": 1, "stop_exit_codes": [0]}, "waiting restart"),
        ({"status": "waiting restart", "created_at": None, "autorestart": False}, "errored"),
        # what is being started again has no creation time for a moment
        ({"status": "launching", "created_at": None}, "launching"),
        ({"status": "waiting restart"}, "waiting restart"),
        ({}, "unknown"),
    ],
)
def test_what_pm2_will_not_restart_does_not_wait(record: dict[str, Any], status: str) -> None:
    assert status_of(record) == status


def test_heap_figures_are_bytes() -> None:
    first = parse_processes(mixed())[0]
    assert first.heap_used is not None
    assert first.heap_total is not None
    assert 1 << 20 < first.heap_used < first.heap_total < 1 << 30


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ({"unit": "ms", "value": "13.78"}, 13.78),
        ({"unit": "ms", "value": 0.5}, 0.5),
        ({"unit": "s", "value": 1}, None),
        ({"unit": "ms", "value": "soon"}, None),
        (None, None),
    ],
)
def test_how_late_the_event_loop_is(told: Any, known: float | None) -> None:
    entries = mixed()
    entries[0]["pm2_env"]["axm_monitor"] = {"Event Loop Latency p95": told}
    first = parse_processes(entries)[0]
    assert (first.event_loop_p50, first.event_loop_p95) == (None, known)


def test_the_environment_is_never_shown() -> None:
    processes = parse_processes(mixed())
    assert MARKER in str(processes[0].settings)
    assert MARKER not in repr(processes)
    assert MARKER not in repr([process.report() for process in processes])


@pytest.mark.parametrize("gone", [0, 1])
def test_a_worker_that_a_reload_replaces_is_not_taken_for_its_successor(gone: int) -> None:
    """While the new one starts, and when it is lost."""
    entries = mixed()
    outgoing = {**entries[0], "pm_id": "_old_0", "pid": 4711}
    found = parse_processes([*entries[gone:], outgoing])
    assert found == parse_processes(entries[gone:])
    assert [process.pid for process in found if process.pm_id == 0] == [entries[0]["pid"]][gone:]


def test_apps_are_chosen_by_name_or_prefix() -> None:
    processes = parse_processes(mixed())
    assert len(select(processes, ["workbot-broken"], "")) == 1
    assert len(select(processes, [], "workbot-")) == 4
    assert select(processes, [], "") == []


@pytest.mark.parametrize("garbled", [None, 7, "", {}, MARKER, [MARKER], [1], [None], [{"pm2_env": {"name": MARKER}}]])
def test_what_is_no_process_list_is_an_error_that_does_not_quote_it(garbled: Any) -> None:
    with pytest.raises(Pm2Error) as caught:
        parse_processes(garbled)
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("levels", [60, 900, 9000])
@pytest.mark.parametrize("key", ["name", "status", "env"])
def test_what_is_nested_without_measure_is_no_process_list(key: str, levels: int) -> None:
    """Python reads such a value, but neither writes nor compares it."""
    deep: list[Any] = []
    for _level in range(levels):
        deep = [deep]
    with pytest.raises(Pm2Error, match="process list"):
        parse_processes([{"name": "a", "pm_id": 0, key: deep, "pm2_env": {key: deep}}])


@given(ANYTHING | ANYTHING.map(lambda value: [value]))
def test_anything_is_a_list_or_an_error(value: Any) -> None:
    with contextlib.suppress(Pm2Error):
        assert isinstance(parse_processes(value), list)


@given(st.dictionaries(st.sampled_from(["status", "restart_time", "pm_uptime", "axm_monitor"]), ANYTHING))
def test_odd_fields_are_a_process_or_an_error(settings: dict[str, Any]) -> None:
    entry = {"name": "a", "pm_id": 0, "pid": 5, "pm2_env": settings}
    with contextlib.suppress(Pm2Error):
        assert len(parse_processes([entry])) == 1


def client(home: Path) -> Pm2Client:
    """Its pm2 would leave a file behind if it were called."""
    pm2 = home / "pm2"
    pm2.write_text(f"#!/bin/sh\ntouch {home}/called\n")
    pm2.chmod(0o755)
    return Pm2Client(home=home, pm2=str(pm2), node="/bin/sh", user=None, timeout=5)


def test_pm2_is_not_called_without_a_daemon(tmp_path: Path) -> None:
    with pytest.raises(Pm2Error, match="no PM2 daemon runs"):
        client(tmp_path).run("save")
    # a pid file that is left over names a process that is something else
    (tmp_path / "pm2.pid").write_text(str(os.getpid()))
    with pytest.raises(Pm2Error, match="no PM2 daemon runs"):
        client(tmp_path).run("save")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("content", ["", "x", "1", "4194305"])
def test_a_pid_file_of_another_program_names_no_daemon(content: str, tmp_path: Path) -> None:
    (tmp_path / "pm2.pid").write_text(content)
    assert client(tmp_path).daemon_pid() is None


def test_pm2_is_called_only_when_the_daemon_takes_connections(tmp_path: Path) -> None:
    titled = ["PM2 v7.0.4: God Daemon", "-c", "echo ready; read line"]
    with subprocess.Popen(titled, executable="/bin/sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        (tmp_path / "pm2.pid").write_text(str(daemon.pid))
        with pytest.raises(Pm2Error, match="can't be reached"):
            client(tmp_path).run("save")
        assert not (tmp_path / "called").exists()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "rpc.sock"))
            listener.listen()
            client(tmp_path).run("save")
        assert (tmp_path / "called").exists()


def test_each_process_has_a_number_among_its_app_s_instances() -> None:
    real = json.loads((FIXTURES / "pm2/jlist_cluster_and_fork.json").read_text())
    assert [(process.name, process.instance) for process in parse_processes(real)] == [
        ("w-1", 0),
        ("f-1", 0),
        ("w-1", 1),
    ]


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({"NODE_APP_INSTANCE": 3}, 3),
        ({"instance_var": "WORKER", "WORKER": 4, "NODE_APP_INSTANCE": 3}, 4),
        ({"instance_var": "WORKER", "NODE_APP_INSTANCE": 3}, 0),
        ({"instance_var": None, "NODE_APP_INSTANCE": 3}, 3),
        ({"NODE_APP_INSTANCE": "3"}, 0),
        ({}, 0),
    ],
)
def test_the_number_is_in_the_variable_that_the_app_names(settings: dict[str, Any], number: int) -> None:
    assert Pm2Process("shop-a", 9, 1, "online", 0, 0, settings=settings).instance == number
