# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that no session of PostgreSQL's superuser looks a name up where a service may have created one.

There is one place that connects, and one variable for the modules of others: both set the search path before anything
runs. Whoever takes a role on instead of logging in as it stays a superuser to whatever that role's tables call.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from project import entries, load, roles

CLIENT = "plugins/module_utils/_postgresql/client.py"
DRIVER = re.compile(r"psycopg2?(\.\w+)*")
PROGRAM = re.compile(r"(/\S*/)?(psql|createdb|dropdb|createuser|dropuser|pg_dump)")
# Modules that start programs; one that names psql as well gives it the search path.
STARTERS = {"subprocess", "command"}
PATH = "SAFE_PATH"
THEIRS = "community.postgresql."
OPTIONS = "-c search_path=pg_catalog,pg_temp"
# What says as whom a task logs in; it comes from the role's variables alone.
LOGIN = {"connect_params", "login", "login_host", "login_password", "login_unix_socket", "login_user", "session_role"}
ADMIN, OWNER = "admin", "owner"


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


def tasks_log_in_safely(root: Path) -> list[str]:
    """A task of community.postgresql logs in as __<role>_admin or __<role>_owner says, and the first sets the path."""
    problems = []
    for role in roles(root):
        names = {kind: f"__{role.name}_{kind}" for kind in (ADMIN, OWNER)}
        allowed = {f"{{{{ {name} }}}}" for name in names.values()}
        found = [
            f"{path.relative_to(root)}: {task.get('name')}: {problem}"
            for path in role.files("tasks", "handlers")
            for task, defaults in with_defaults(load(path), {})
            for action in task
            if action.startswith(THEIRS)
            for problem in login_problems(task[action], defaults.get(action), allowed)
        ]
        admin = role.constants.get(names[ADMIN], "")
        if OPTIONS not in str(admin) and any(names[ADMIN] in path.read_text("utf-8") for path in role.files("tasks")):
            found.append(f"{role.path.relative_to(root)}/vars/main.yml: {names[ADMIN]} lacks the options {OPTIONS}")
        problems += found
    for path in sorted((root / "playbooks").rglob("*.yml")):
        actions = {action for entry in entries(load(path)) for action in entry if str(action).startswith(THEIRS)}
        problems += [f"{path.relative_to(root)}: {action} belongs in a role" for action in sorted(actions)]
    return problems


def with_defaults(node: Any, defaults: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every task, with the module_defaults that count for it."""
    found = []
    for task in node or []:
        known = {**defaults, **(task.get("module_defaults") or {})}
        found.append((task, known))
        for part in ("block", "rescue", "always"):
            found += with_defaults(task.get(part), known)
    return found


def login_problems(arguments: dict[str, Any], default: Any, allowed: set[str]) -> list[str]:
    given = sorted(LOGIN & arguments.keys())
    problems = [f"sets {', '.join(given)}; the login is the role's variable's"] if given else []
    if default not in allowed:
        problems.append(f"logs in by none of {', '.join(sorted(allowed))} in module_defaults")
    return problems
