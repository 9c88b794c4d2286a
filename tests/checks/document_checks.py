# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the documents: they name what exists, name all of it, and say the same in both languages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project import COLLECTION, ROOT, load, playbook_tags, playbooks, plugins, public_modules, roles

READMES = ("README.md", "README.zh-CN.md")
# A comment line names the table below it, the same in both languages: <!-- table: roles -->
TABLE = re.compile(r"<!-- table: (\w+) -->\n\n?((?:\|.*\n)+)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AAR_DOC = Path(sys.executable).with_name("aar-doc")


def read(root: Path, name: str) -> str:
    path = root / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def first_cells(table: str) -> list[str]:
    """The first cell of each row below a table's head."""
    return [row.split("|")[1].strip() for row in table.strip().splitlines()[2:]]


def named_tables(text: str) -> dict[str, list[str]]:
    """Names in the first column of each marked table, code marks taken off."""
    return {name: re.findall(r"`([^`]+)`", "\n".join(first_cells(rows))) for name, rows in TABLE.findall(text)}


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each code block, without comments: these are translated."""
    return [(language, re.sub(r"[ \t]*(?<!\S)#(?!!).*", "", body)) for language, body in FENCE.findall(text)]


def role_tables_are_current(root: Path) -> list[str]:
    """The table of variables in each role's README.md is what aar-doc makes of the specification today."""
    problems = []
    for role in roles(root):
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / role.name
            shutil.copytree(role.path, copy)
            run = subprocess.run([AAR_DOC, copy, "markdown"], cwd=ROOT, capture_output=True, text=True, check=False)
            written, made = read(role.path, "README.md"), read(copy, "README.md")
        if run.returncode:
            problems.append(f"role {role.name}: aar-doc says: {(run.stdout + run.stderr).strip().splitlines()[-1]}")
        elif written != made:
            problems.append(f"role {role.name}: README.md is not current, run `make docs`")
    return problems


# What must be equal in both languages.
SHAPES: dict[str, Callable[[str], list[Any]]] = {
    "levels of headings": lambda text: re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE),
    "code blocks": code_blocks,
    "tables": lambda text: list(named_tables(text).items()),
    "table rows": lambda text: [len(rows.splitlines()) for rows in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)],
}


def languages_agree(root: Path) -> list[str]:
    """README.md and README.zh-CN.md have the same headings, code and tables."""
    english, chinese = (read(root, name) for name in READMES)
    problems = []
    for what, view in SHAPES.items():
        if not view(english):
            problems.append(f"README.md: no {what}")
        for one, other in zip(view(english), view(chinese), strict=False):
            if one != other:
                problems.append(f"README.zh-CN.md: other {what} than README.md: {other!r}, not {one!r}")
        if len(view(english)) != len(view(chinese)):
            problems.append(f"README.zh-CN.md: {len(view(chinese))} {what}, README.md has {len(view(english))}")
    return problems


def readmes_name_everything(root: Path) -> list[str]:
    """The tables of roles, modules, playbooks and tags list what exists, all of it and nothing else."""
    existing = {
        "roles": {role.name for role in roles(root)},
        "modules": public_modules(root),
        "playbooks": set(playbooks(root)),
        "tags": playbook_tags(root),
    }
    problems = []
    for document in READMES:
        tables = named_tables(read(root, document))
        for kind, names in existing.items():
            listed = set(tables.get(kind, []))
            problems += [f"{document}: the table of {kind} lacks {name}" for name in sorted(names - listed)]
            problems += [
                f"{document}: the table of {kind} has {name}, which is not there" for name in sorted(listed - names)
            ]
    return problems


def readmes_name_what_exists(root: Path) -> list[str]:
    """Variables, names of the collection, tags, make targets and links in the documents are real."""
    variables = {name for role in roles(root) for name in role.options}
    members = {role.name for role in roles(root)} | set(playbooks(root))
    members |= {name for kind in ("modules", "action", "callback", "filter", "lookup") for name in plugins(root, kind)}
    targets = set(re.findall(r"^([a-z][\w-]*):", read(root, "Makefile"), re.MULTILINE))
    tags = playbook_tags(root)
    role_names = "|".join(role.name for role in roles(root)) or "(?!)"
    problems = []
    for document in (
        *READMES,
        "CONTRIBUTING.md",
        *(f"docs/{path.name}" for path in sorted((root / "docs").glob("*.md"))),
    ):
        text = read(root, document)
        code = "\n".join(
            re.findall(r"`([^`\n]+)`", FENCE.sub("", text)) + [body for language, body in FENCE.findall(text)]
        )
        for kind, named, known in (
            (
                "variable",
                # the metrics begin like the role nodejs
                re.findall(rf"(?<![\w./-])(?!nodejs_service_)((?:{role_names})_[a-z_]+)\b(?!\.\w|\()", code),
                variables | members,
            ),
            ("part of the collection", re.findall(rf"{re.escape(COLLECTION)}\.(\w+)", code), members),
            ("tag", [tag for tags in re.findall(r"--tags (\S+)", code) for tag in tags.split(",")], tags),
            ("make target", re.findall(r"^(?:\$ )?make ([a-z][\w-]*)", code, re.MULTILINE), targets),
        ):
            problems += [
                f"{document}: names the {kind} {name}, which is not there" for name in sorted(set(named) - known)
            ]
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", FENCE.sub("", text)):
            if not (root / document).parent.joinpath(link).exists():
                problems.append(f"{document}: links to {link}, which is not there")
    return problems


def changes_are_recorded(root: Path) -> list[str]:
    """The version in galaxy.yml is a released one with entries, or fragments for the next release are there."""
    version = str((load(root / "galaxy.yml") or {}).get("version"))
    releases = (load(root / "changelogs/changelog.yaml") or {}).get("releases") or {}
    fragments = list((root / "changelogs/fragments").glob("*.yml"))
    if version in releases or fragments:
        return []
    return [f"changelogs: neither the release {version} nor a fragment for it is there"]
