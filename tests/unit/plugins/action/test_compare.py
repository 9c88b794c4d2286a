# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the comparison sends to the host along with its questions."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from pathlib import Path

from ansible_collections.workbot.stability.plugins.action.compare import _logic
from places import ROOT

MODULE_UTILS = "ansible_collections.workbot.stability.plugins.module_utils."


def imported(path: Path, prefix: str) -> set[str]:
    """What a file imports by a whole name that begins like this, without that."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    names = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def test_the_logic_of_all_modules_goes_along_and_what_it_needs_of_ansible_s() -> None:
    plugins = ROOT / "plugins"
    with zipfile.ZipFile(io.BytesIO(_logic())) as archive:
        sent = [plugins / name for name in archive.namelist()]
    modules = list((plugins / "modules").glob("*.py"))
    assert {name.split(".")[0] for path in modules for name in imported(path, MODULE_UTILS)} <= {
        path.relative_to(plugins / "module_utils").parts[0] for path in sent
    }
    needed = {name.rpartition(".")[0] for path in (*sent, *modules) for name in imported(path, "ansible.module_utils.")}
    given = imported(plugins / "modules" / "compare.py", "ansible.module_utils.")
    # basic imports the specifications of arguments, what takes secrets out, and what makes text of values
    assert needed - {"", "basic", "common.arg_spec", "common.parameters", "common.text.converters"} <= {
        name.rpartition(".")[0] for name in given
    }


def test_mitogen_knows_every_module_for_one() -> None:
    """It looks for these words; a file without them it runs as a program, for which there is no Ansible on the host."""
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "def main" not in text or re.search(r"from ansible(_collections|\.module_utils)\.", text), path
