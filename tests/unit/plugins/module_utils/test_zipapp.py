# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive is built from this collection's own sources and run as a program of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._zipapp import ZipappError, build

SOURCES = Path(__file__).parents[4] / "plugins/module_utils"


def test_the_same_sources_give_the_same_bytes() -> None:
    first, second = (
        build(SOURCES, "_diagnose:run", {"config": "/x.json"}, "/usr/bin/python3 -I") for _time in range(2)
    )
    assert first == second
    assert first.startswith(b"#!/usr/bin/python3 -I\n")


def test_the_archive_runs_on_its_own(tmp_path: Path) -> None:
    path = tmp_path / "diagnose"
    path.write_bytes(build(SOURCES, "_diagnose:run", {"config": "/no\"where'.json"}, sys.executable + " -I"))
    path.chmod(0o755)
    done = subprocess.run([path], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no\"where'.json" in done.stderr
    help_text = subprocess.run([path, "--help"], cwd="/", env={}, capture_output=True, text=True, check=True).stdout
    assert "--check" in help_text


def test_only_what_is_imported_is_packed(tmp_path: Path) -> None:
    (tmp_path / "_a.py").write_text("from ._b import x\nfrom . import _c as c\nimport json\n")
    (tmp_path / "_b.py").write_text("from ._a import y\n")
    (tmp_path / "_c.py").write_text("")
    (tmp_path / "_d.py").write_text("unused = 1\n")
    archive = build(tmp_path, "_a:run", {}, "/usr/bin/python3")
    assert all(name in archive for name in (b"stability/_a.py", b"stability/_b.py", b"stability/_c.py"))
    assert b"_d.py" not in archive


@pytest.mark.parametrize(
    ("entry_point", "interpreter", "message"),
    [
        ("_diagnose", "/usr/bin/python3", "module:function"),
        ("../x:run", "/usr/bin/python3", "module:function"),
        ("_nosuch:run", "/usr/bin/python3", "No such file"),
        ("_diagnose:run", "python3", "absolute path"),
    ],
)
def test_what_cannot_be_built_is_told(entry_point: str, interpreter: str, message: str) -> None:
    with pytest.raises(ZipappError, match=message):
        build(SOURCES, entry_point, {}, interpreter)
