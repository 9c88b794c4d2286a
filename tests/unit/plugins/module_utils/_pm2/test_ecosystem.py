# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import (
    declaration,
    declared_instances,
    read,
    render,
    shown,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from hypothesis import given
from hypothesis import strategies as st

ENVIRONMENT = {"HOME": "/srv/a", "LANG": "C.UTF-8", "PATH": "/opt/a/bin", "PM2_HOME": "/srv/a/.pm2"}


def test_a_declaration_is_complete_and_keeps_the_caller_out() -> None:
    stated = declaration(
        {"name": "a", "script": "a.js", "args": None, "min_uptime": "10s", "env": {"ON": True, "N": 3, "HOME": "/h"}},
        ENVIRONMENT,
    )
    assert stated["env"] == {"HOME": "/h", "LANG": "C.UTF-8", "PATH": "/opt/a/bin", "ON": "true", "N": "3"}
    assert stated["filter_env"] == [""]
    assert stated["min_uptime"] == 10000
    assert "args" not in stated


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_what_is_written_is_read_back(env: dict[str, str]) -> None:
    text = render([{"name": "b", "env": env}, {"name": "a", "env": {}}])
    head, _marker, body = text.partition("module.exports = ")
    assert head.startswith("//")
    assert body.endswith(";\n")


def test_apps_are_ordered_by_name_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "ecosystem.config.cjs"
    apps: list[dict[str, Any]] = [{"name": "b", "env": {"X": "module.exports = ;"}}, {"name": "a"}]
    path.write_text(render(apps))
    assert read(path) == (render(apps), [apps[1], apps[0]])


def test_no_file_is_no_app(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ("", [])


@pytest.mark.parametrize("content", ["module.exports = {apps: []}", "// x\nmodule.exports = {}", "{}", "// module.exp"])
def test_a_file_of_someone_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ecosystem.config.cjs"
    path.write_text(content)
    with pytest.raises(Pm2Error, match="move it away"):
        read(path)


def test_the_port_wins_and_numbers_are_resolved() -> None:
    stated = declaration(
        {"name": "a", "port": 80, "env": {"PORT": "1"}, "instances": "2", "watch": "True"}, ENVIRONMENT
    )
    assert (stated["env"]["PORT"], stated["instances"], stated["watch"]) == ("80", 2, True)
    assert "port" not in stated


def test_another_user_has_its_own_home() -> None:
    assert declaration({"name": "a", "uid": "root", "env": {"HOME": "/h"}}, ENVIRONMENT)["env"]["HOME"] == "/root"
    assert declaration({"name": "a", "uid": "nobody-has-this-name"}, ENVIRONMENT)["env"]["HOME"] == "/srv/a"


def test_what_is_shown_holds_names_and_differences_but_no_value() -> None:
    old, new = (
        render([{"name": "a", "env": {"X": "s1", "Y": "s2"}}]),
        render([{"name": "a", "env": {"X": "s1", "Y": "s3"}}]),
    )
    before, after = shown(old, new)
    assert '"X": "(hidden)"' in before
    assert '"X": "(hidden)"' in after
    assert '"Y": "(hidden, another one)"' in after
    assert not any(value in before + after for value in ("s1", "s2", "s3"))
    assert shown("", "")[0] == ""
    assert "s1" not in "".join(shown("const secret = 's1'", old))


@given(st.text(), st.text())
def test_anything_can_be_shown(before: str, after: str) -> None:
    assert len(shown(before, after)) == 2


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (render([{"name": "a", "instances": 3}, {"name": "b", "instances": 2}]), 3),
        (render([{"name": "a"}]), 1),
        (render([{"name": "b", "instances": 2}]), 0),
        (render([{"name": "a", "instances": "many"}]), 0),
        ("// module.exports = {apps: [1]}", 0),
        ('// by hand\nmodule.exports = {"apps": [{"instances": 2}, 7]};', 0),
        (None, 0),
    ],
)
def test_how_many_processes_an_app_is_to_have_is_read(tmp_path: Path, text: str | None, number: int) -> None:
    path = tmp_path / "ecosystem.config.cjs"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert declared_instances(path, "a") == number
