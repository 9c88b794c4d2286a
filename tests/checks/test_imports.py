# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contracts of pyproject.toml (`make lint-imports`) refuse imports that go upwards; programs hold what they use."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._program import build
from project import ROOT

WATCHDOG = "_programs.watchdog.cli:run"
SENTENCES = "_postgresql/slow_queries.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The plugins under their own name, in a place that is found before the checkout's."""
    plugins = tmp_path / "ansible_collections/workbot/stability/plugins"
    shutil.copytree(ROOT / "plugins", plugins, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ansible_collections/__init__.py").touch()
    return plugins


def judged(copy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["lint-imports", "--no-cache", "--no-logo", ROOT / "pyproject.toml"],
        env={**os.environ, "PYTHONPATH": str(copy.parents[3]), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("_host/errors.py", "from .._pm2 import plan\n", "_host is not allowed to import"),
        ("_nginx/plan.py", "from .._postgresql import client\n", "_nginx is not allowed to import"),
        ("_programs/watchdog/model.py", "from ..diagnose import samples\n", "watchdog is not allowed to import"),
        ("_checks/findings.py", "from ...plugin_utils import _program\n", "module_utils is not allowed to import"),
        ("_new/thing.py", "", "_new"),
    ],
)
def test_an_import_that_goes_upwards_is_refused(copy: Path, file: str, line: str, broken: str) -> None:
    path = copy / "module_utils" / file
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    source = path.read_text() if path.exists() else "from __future__ import annotations\n"
    path.write_text(source + line)
    said = judged(copy)
    assert said.returncode != 0
    assert broken in said.stdout + said.stderr


@pytest.mark.parametrize("name", ["module_utils", "plugin_utils"])
def test_every_directory_is_a_package(name: str) -> None:
    """What is none, import-linter passes over and ansible-test's pylint takes for a module of another name."""
    sources = (ROOT / "plugins" / name).rglob("*.py")
    assert [path for path in sources if not (path.parent / "__init__.py").exists()] == []


def test_every_file_of_module_utils_is_in_a_component() -> None:
    assert [path.name for path in (ROOT / "plugins/module_utils").glob("*.py")] == ["__init__.py"]


def test_one_file_knows_ansible_module() -> None:
    knowing = [
        str(path.relative_to(ROOT / "plugins/module_utils"))
        for path in (ROOT / "plugins/module_utils").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "ansible.module_utils.basic"
    ]
    assert knowing == ["_host/module.py"]


def test_a_sentence_about_slow_queries_changes_the_diagnosis_and_not_the_watchdog(copy: Path) -> None:
    """What restarts a watchdog is a change of the watchdog."""
    code = copy / "module_utils"
    programs = (WATCHDOG, "_programs.diagnose.cli:run")
    before = [build(code, program, {}, "/usr/bin/python3 -I") for program in programs]
    path = code / SENTENCES
    path.write_text(path.read_text().replace("slow", "lame"))
    watchdog, diagnosis = (build(code, program, {}, "/usr/bin/python3 -I") for program in programs)
    assert watchdog == before[0]
    assert diagnosis != before[1]
