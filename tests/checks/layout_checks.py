# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the layout: playbooks and their roles, molecule scenarios, the size and the portability of files."""

from __future__ import annotations

import re
from pathlib import Path

from project import load, playbook_roles, roles, tracked

LINES_AT_MOST = 400
CODE = {".cjs", ".j2", ".js", ".mjs", ".py", ".sh", ".sql", ".ts", ".yaml", ".yml", ""}
LOCK_FILES = {"LICENSE", "changelog.yaml", "package-lock.json", "pnpm-lock.yaml"}
FIXTURES = "tests/unit/fixtures/"

# What ties a file to one machine or one network. Built from parts, so that this file passes its own check.
FOREIGN_PLACES = {
    "an absolute path of one machine": re.compile(r"(?<![\w.$}-])/(?:" + "|".join(["work", "tmp/v"]) + ")/"),
    "a package registry": re.compile(
        "|".join(
            re.escape(".".join(parts)) for parts in (("registry", "npmjs"), ("pypi", "org"), ("deb", "debian", "org"))
        )
    ),
}


def playbooks_apply_every_role(root: Path) -> list[str]:
    """A role that a playbook names exists, and a role that exists is applied by a playbook."""
    existing = {role.name for role in roles(root)}
    applied = playbook_roles(root)
    return [f"playbooks name the role {name}, which does not exist" for name in sorted(applied - existing)] + [
        f"role {name}: no playbook applies it" for name in sorted(existing - applied)
    ]


def scenarios_converge_and_verify(root: Path) -> list[str]:
    """A scenario without a verify passes in silence. `default` only makes and removes the hosts."""
    problems = []
    for settings in sorted((root / "molecule").glob("*/molecule.yml")):
        folder = settings.parent
        if folder.name == "default":
            missing = [name for name in ("create.yml", "destroy.yml") if not (folder / name).is_file()]
        else:
            verified = (folder / "verify.yml").is_file() or any(folder.glob("tests/test_*.py"))
            missing = [] if (folder / "converge.yml").is_file() else ["converge.yml"]
            missing += [] if verified else ["verify.yml or tests/test_*.py"]
        problems += [f"molecule scenario {folder.name}: has no {name}" for name in missing]
    return problems


def files_are_short(root: Path) -> list[str]:
    """A file that is longer than one sitting wants to be two."""
    problems = []
    for path in tracked(root):
        name = str(path.relative_to(root))
        if path.suffix not in CODE or path.name in LOCK_FILES or name.startswith(FIXTURES):
            continue
        count = len(path.read_bytes().splitlines())
        if count > LINES_AT_MOST:
            problems.append(f"{name}: {count} lines, at most {LINES_AT_MOST}")
    return problems


def modules_import_whole_names(root: Path) -> list[str]:
    """Mitogen runs a module as a program of its own, which is in no package and has no neighbours."""
    return [
        f"{path.relative_to(root)}:{number}: imports from its neighbours; name the collection"
        for path in sorted((root / "plugins/modules").glob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r"\s*from \.", line)
    ]


def modules_end_in_one_place(root: Path) -> list[str]:
    """`Module` escapes whatever a module ends with, for the terminal. The answers of `compare` are data."""
    return [
        f"{path.relative_to(root)}: uses AnsibleModule; `Module` of module_utils/_host/module.py is to be used"
        for path in sorted((root / "plugins/modules").glob("*.py"))
        if path.name != "compare.py" and re.search(r"\bAnsibleModule\b", path.read_text(encoding="utf-8"))
    ]


def files_are_portable(root: Path) -> list[str]:
    """No file knows the machine it was written on, or where packages come from: that is the host's to say."""
    problems = []
    for path in tracked(root):
        text = path.read_bytes().decode(errors="replace")
        for what, pattern in FOREIGN_PLACES.items():
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path.relative_to(root)}:{line}: names {what}: {match[0]}")
    return problems


def dependencies_are_declared(root: Path) -> list[str]:
    """Each foreign collection that a role or playbook calls is in galaxy.yml, and none is there for nothing."""
    galaxy = load(root / "galaxy.yml") or {}
    declared = set(galaxy.get("dependencies") or {})
    files = [path for role in roles(root) for path in role.files("tasks", "handlers")]
    files += sorted((root / "playbooks").glob("*.yml"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    called = {match[1] for match in re.finditer(r"^\s*(?:- )?([a-z_]+\.[a-z_]+)\.\w+:", text, re.MULTILINE)}
    own = f"{galaxy.get('namespace')}.{galaxy.get('name')}"
    called -= {"ansible.builtin", own}
    return [f"galaxy.yml: does not declare {name}, whose modules are called" for name in sorted(called - declared)] + [
        f"galaxy.yml: declares {name}, which nothing calls" for name in sorted(declared - called)
    ]
