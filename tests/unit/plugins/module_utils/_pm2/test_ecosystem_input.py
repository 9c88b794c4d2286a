# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ecosystem files as users write them; PM2's own parser reads them, which the scenario `deploy` tests."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2 import ecosystem_input
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem_input import app_options, read_file
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from hypothesis import given
from hypothesis import strategies as st

FILE = Path("/srv/shop/ecosystem.config.cjs")
HOME = Path("/srv/shop/.pm2")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("", "ended the program that reads it"),
        ("undefined", "exports nothing that can be written as JSON"),
        ("[" * 100_000, "exports nothing that can be written as JSON"),
        ("null", "declares no apps"),
    ],
    ids=["nothing", "a function", "brackets", "null"],
)
def test_whatever_a_file_has_its_reader_say(tmp_path: Path, said: str, problem: str) -> None:
    for name in ("lib/Common.js", "bin/pm2", "answer", "shop.config.cjs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "answer").write_text(said and ecosystem_input._MARK + said)
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    node.chmod(0o755)
    client = Pm2Client(tmp_path, str(tmp_path / "bin/pm2"), str(node), None, 5)
    with pytest.raises(Pm2Error, match=f"^ecosystem: {tmp_path}/shop.config.cjs {problem}"):
        read_file(client, tmp_path / "shop.config.cjs", "")


def options(app: dict[str, Any], environment: str = "") -> dict[str, Any]:
    """The options that are set, without the defaults of those that the file need not have."""
    found = app_options(app, environment, FILE, HOME)
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ({"script": "./api.js"}, {"name": "api", "cwd": "/srv/shop", "exec_mode": "fork", "instances": 1}),
        ({"script": "a.js", "instances": "max"}, {"exec_mode": "cluster", "instances": "max"}),
        ({"script": "a.js", "instances": 2, "exec_mode": "fork_mode"}, {"exec_mode": "fork"}),
        ({"script": "a.py", "instances": 2}, {"exec_mode": "fork"}),
        ({"script": "a.js", "instances": 2, "interpreter": "/usr/bin/python3"}, {"exec_mode": "fork"}),
        ({"script": "a.js", "cwd": "web"}, {"cwd": "/srv/shop/web"}),
        ({"script": "a.js", "cwd": "/opt/web"}, {"cwd": "/opt/web"}),
        ({"exec": "a.js", "interpreterArgs": "--inspect --x='a b'"}, {"node_args": ["--inspect", "--x='a b'"]}),
        ({"cmd": "a.js", "args": "-a 'b c' \"d\""}, {"script": "a.js", "args": ["-a", "b c", "d"]}),
        ({"script": "a.js", "stop_exit_codes": 3}, {"stop_exit_codes": [3]}),
        (
            {"script": "a.js", "killTimeout": "3000", "cron": "0 4 * * *"},
            {"kill_timeout": 3000, "cron_restart": "0 4 * * *"},
        ),
        ({"script": "a.js", "log": True}, {"log_file": "/srv/shop/.pm2/logs/a.log"}),
        ({"script": "a.js", "out": "o.log", "err": "e.log"}, {"out_file": "o.log", "error_file": "e.log"}),
        ({"script": "a.js", "max_memory_restart": 1024}, {"max_memory_restart": "1024"}),
        ({"script": "a.js", "watch": ["lib"], "force": True, "windowsHide": True}, {"watch": ["lib"]}),
        (
            {"script": "a.js", "env": {"N": 3, "B": True, "O": {"a": 1}, "Z": None}},
            {"env": {"N": "3", "B": "true", "O": '{"a": 1}'}},
        ),
    ],
)
def test_names_and_forms_that_pm2_takes(app: dict[str, Any], expected: dict[str, Any]) -> None:
    found = options(app)
    assert {key: found.get(key) for key in expected} == expected


def test_the_chosen_environment_wins() -> None:
    app = {
        "name": "a",
        "script": "a.js",
        "env": {"X": "1", "Y": "1"},
        "env_production": {"X": "2"},
        "append_env_to_name": True,
    }
    assert options(app)["env"] == {"X": "1", "Y": "1"}
    found = options(app, "production")
    assert (found["name"], found["env"]) == ("a-production", {"X": "2", "Y": "1"})
    with pytest.raises(Pm2Error, match="app a has no env_staging; it has production"):
        options(app, "staging")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_memory_restrt": "1G"},
            "no field max_memory_restrt and would pass over it; did you mean max_memory_restart?",
        ),
        ({"kill_timeout": "soon"}, "app a: .*kill_timeout"),
        ({"exec_mode": "both"}, "app a: .*exec_mode"),
        ({"env": "X=1"}, "env is no object"),
        ({"port": "INFINITY"}, "app a: a number is infinite"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Pm2Error, match=words):
        options({"name": "a", "script": "a.js", **fields})


ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "script", "args", "env", "cwd", "instances", "log", "watch", "port"]), ANYTHING
    )
)
def test_any_app_is_options_or_an_error(app: dict[str, Any]) -> None:
    with contextlib.suppress(Pm2Error):
        assert app_options(app, "", FILE, HOME)["exec_mode"] in ("fork", "cluster")
