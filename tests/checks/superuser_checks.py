# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that no session of PostgreSQL's superuser looks a name up where a service may have created one.

There is one place that connects, and it sets the search path before anything runs. Whoever takes a role on instead of
logging in as it stays a superuser to whatever that role's tables call.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from project import entries, load, roles

CLIENT = "plugins/module_utils/_postgresql/client.py"
DRIVER = re.compile(r"psycopg2?(\.\w+)*")
PROGRAM = re.compile(r"(/\S*/)?(psql|createdb|dropdb|createuser|dropuser|pg_dump)")
# Modules that start programs; one that names psql as well gives it the search path.
STARTERS = {"subprocess", "command"}
PATH = "SAFE_PATH"
THEIRS = "community.postgresql."


def one_place_connects(root: Path) -> list[str]:
    """A driver of PostgreSQL is loaded by the client alone, and psql is started with the client's search path."""
    problems = []
    for path in sorted((root / "plugins").rglob("*.py")):
        name = str(path.relative_to(root))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        imported = {part for node in nodes for part in imports(node)}
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        drivers = sorted(text for text in {*imported, *texts} if DRIVER.fullmatch(text))
        if drivers and name != CLIENT:
            problems.append(f"{name}: loads {drivers[0]}; connect through session() of {CLIENT}")
        starts = STARTERS & {part.rpartition(".")[2] for part in imported}
        if starts and any(PROGRAM.fullmatch(text) for text in texts) and PATH not in imported:
            problems.append(f"{name}: starts a client of PostgreSQL without the search path {PATH}")
    return problems


def imports(node: ast.AST) -> list[str]:
    """What an import brings, modules and names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(alias.name for alias in node.names)]
    return []


def modules_of_others_connect_nowhere(root: Path) -> list[str]:
    """No task logs in by a module that looks names up where it likes."""
    paths = [path for role in roles(root) for path in role.files("tasks", "handlers")]
    return [
        f"{path.relative_to(root)}: {action} connects without the search path {PATH}"
        for path in [*paths, *sorted((root / "playbooks").rglob("*.yml"))]
        for action in sorted({str(key) for entry in entries(load(path)) for key in entry})
        if action.startswith(THEIRS)
    ]
