# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2_client import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2_ecosystem import declaration, read, render
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
