# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that one file alone uses names that Ansible keeps to itself: another version may have others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from superuser_checks import imports

KNOWING = "plugins/plugin_utils/_ansible.py"
# What Ansible documents for a plugin that uses it of itself.
OF_PLUGINS = {
    *("_connection", "_display", "_loader", "_play_context", "_requires_connection", "_shared_loader_obj", "_task"),
    *("_execute_module", "_make_tmp_path", "_remove_tmp_path", "_templar", "_transfer_file"),
}
# Python's own.
OF_PYTHON = {"_exit", "_replace", "_value_"}
BY_TEXT = {"delattr", "getattr", "hasattr", "setattr"}


def one_file_knows_what_is_ansible_s_own(root: Path) -> list[str]:
    """A plugin takes a private name from nothing but itself, and imports none of Ansible's; a test imports none."""
    nodes = {
        str(path.relative_to(root)): list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for folder in ("molecule", "plugins", "tests", "tools")
        for path in sorted((root / folder).rglob("*.py"))
    }
    plugins = {name: nodes[name] for name in nodes if name.startswith("plugins/")}
    own = OF_PLUGINS.union(*(defined(node) for found in plugins.values() for node in found))
    used = [(name, part) for name in nodes for node in nodes[name] for part in imported(node)]
    used += [(name, part) for name in plugins for node in plugins[name] for part in taken(node, own)]
    return [
        f"{name}: uses {part}, which is Ansible's own; {KNOWING} is for that" for name, part in used if name != KNOWING
    ]


def imported(node: ast.AST) -> Iterator[str]:
    """Yield Ansible's private modules and names that an import brings."""
    module = node.module or "" if isinstance(node, ast.ImportFrom) and not node.level else ""
    of_ansible = isinstance(node, ast.Import) or module.partition(".")[0] == "ansible"
    for name in imports(node) if of_ansible else ():
        if any(is_private(part) for part in name.split(".")) and f"{module}.{name}".lstrip(".").startswith("ansible."):
            yield name


def taken(node: ast.AST, own: set[str]) -> Iterator[str]:
    """Yield the private names that are taken from something, but for a plugin's own from itself."""
    if isinstance(node, ast.Attribute) and is_private(node.attr):
        is_of_itself = isinstance(node.value, ast.Name) and node.value.id in {"cls", "self"}
        if node.attr not in (own if is_of_itself else OF_PYTHON):
            yield ast.unparse(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BY_TEXT:
        name = node.args[1]
        if isinstance(name, ast.Constant) and is_private(name.value):
            yield ast.unparse(node)


def defined(node: ast.AST) -> set[str]:
    """Return the name that the node gives to something."""
    if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.attr if isinstance(node, ast.Attribute) else node.id}
    return {node.name} if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else set()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
