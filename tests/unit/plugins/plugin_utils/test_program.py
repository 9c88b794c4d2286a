# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive is built from this collection's own sources and run as a program of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._program import _imported, build
from places import ROOT

SOURCES = ROOT / "plugins/module_utils"
DIAGNOSE = "_programs.diagnose.cli:run"


def test_the_same_sources_give_the_same_bytes() -> None:
    first, second = (build(SOURCES, DIAGNOSE, {"config": "/x.json"}, "/usr/bin/python3 -I") for _time in range(2))
    assert first == second
    assert first.startswith(b"#!/usr/bin/python3 -I\n")


def test_the_archive_runs_on_its_own(tmp_path: Path) -> None:
    path = tmp_path / "diagnose"
    path.write_bytes(build(SOURCES, DIAGNOSE, {"config": "/no\"where'.json"}, sys.executable + " -I"))
    path.chmod(0o755)
    done = subprocess.run([path], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no\"where'.json" in done.stderr
    help_text = subprocess.run([path, "--help"], cwd="/", env={}, capture_output=True, text=True, check=True).stdout
    assert "--check" in help_text


def test_imports_are_read_as_python_reads_them() -> None:
    for path in SOURCES.rglob("*.py"):
        source, folder = path.read_bytes(), path.relative_to(SOURCES).parent
        expected = []
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                start = Path(folder, *[".."] * (node.level - 1), *(node.module or "").split("."))
                expected += [start / alias.name for alias in node.names] if (SOURCES / start).is_dir() else [start]
        found = _imported(SOURCES, str(path.relative_to(SOURCES)), source)
        assert [(SOURCES / name).resolve() for name in found] == [
            (SOURCES / f"{name}.py").resolve() for name in expected
        ]


def test_only_what_is_imported_is_packed(tmp_path: Path) -> None:
    for name, source in {
        "_tool/cli.py": "from .._host.b import x\nfrom . import c\nimport json\nfrom .checks import e\n",
        "_host/b.py": "from .._tool.cli import y\n",
        "_tool/c.py": "",
        "_tool/d.py": "unused = 1\n",
        "_tool/checks/e.py": "from ..c import z\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    path = tmp_path / "program"
    path.write_bytes(build(tmp_path, "_tool.cli:run", {}, "/usr/bin/python3"))
    with zipfile.ZipFile(path) as archive:
        assert {name for name in archive.namelist() if not name.endswith("__init__.py")} == {
            "__main__.py",
            "stability/_host/b.py",
            "stability/_tool/c.py",
            "stability/_tool/checks/e.py",
            "stability/_tool/cli.py",
        }


@pytest.mark.parametrize(
    ("entry_point", "interpreter", "message"),
    [
        ("_programs.diagnose.cli", "/usr/bin/python3", "module:function"),
        ("../x:run", "/usr/bin/python3", "module:function"),
        ("_nosuch:run", "/usr/bin/python3", "No such file"),
        (DIAGNOSE, "python3", "absolute path"),
    ],
)
def test_what_cannot_be_built_is_told(entry_point: str, interpreter: str, message: str) -> None:
    with pytest.raises(StabilityError, match=message):
        build(SOURCES, entry_point, {}, interpreter)
