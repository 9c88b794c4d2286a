# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks have in common: the files of the project, and its roles, plugins, playbooks and tags.

Every check is a function from the root of a checkout to a list of sentences, one for each thing that is wrong.
An empty list is a pass. Checks take the root so that a test can hand them a small broken project.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "workbot.stability"
INCLUDES = ("import_tasks", "include_tasks")
ROLE_ACTIONS = ("import_role", "include_role")


class Loader(yaml.SafeLoader):
    """Reads Ansible's YAML: the tags !vault and !unsafe are taken as plain text."""


def plain_text(loader: Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


for tag in ("!vault", "!unsafe"):
    Loader.add_constructor(tag, plain_text)


def load(path: Path) -> Any:
    """The content of a YAML file, None when there is no such file."""
    if not path.is_file():
        return None
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)


def tracked(root: Path) -> list[Path]:
    """The files that are, or would be, in the repository; every file where there is no repository."""
    if not (root / ".git").exists():
        return sorted(path for path in root.rglob("*") if path.is_file())
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return sorted(path for name in set(listing.split("\0")) if name and (path := root / name).is_file())


@dataclass(frozen=True)
class Role:
    """One role: where it is, what it declares and what it promises."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def defaults(self) -> dict[str, Any]:
        return load(self.path / "defaults/main.yml") or {}

    @property
    def constants(self) -> dict[str, Any]:
        files = [self.path / "vars/main.yml", *sorted((self.path / "vars/main").glob("*.yml"))]
        return {name: value for file in files for name, value in (load(file) or {}).items()}

    @property
    def specification(self) -> dict[str, Any]:
        """The entry `main` of meta/argument_specs.yml."""
        content = load(self.path / "meta/argument_specs.yml") or {}
        return (content.get("argument_specs") or {}).get("main") or {}

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        return self.specification.get("options") or {}

    def files(self, *folders: str) -> list[Path]:
        return sorted(path for folder in folders for path in (self.path / folder).rglob("*") if path.is_file())


def roles(root: Path) -> list[Role]:
    return [Role(path) for path in sorted((root / "roles").glob("*")) if path.is_dir()]


def plugins(root: Path, kind: str) -> set[str]:
    """Names of the plugins of one kind: modules, action, filter ..."""
    # a file may have several filters: each is called as its documentation is
    pattern = "*.yml" if kind == "filter" else "*.py"
    return {path.stem for path in (root / "plugins" / kind).glob(pattern) if path.stem != "__init__"}


def public_modules(root: Path) -> set[str]:
    """The modules that are for users: all but those with the documentation fragment `internal`."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (root / "plugins/modules").glob("*.py")}
    return {name for name, text in texts.items() if f"{COLLECTION}.internal" not in text}


def short(name: str) -> str:
    """A name of this collection without the collection in front."""
    return name.removeprefix(COLLECTION + ".")


def playbooks(root: Path) -> dict[str, list[dict[str, Any]]]:
    """The plays of each playbook, and of the parts that it names: files that begin with an underscore."""
    return {path.stem: _plays(path) for path in sorted((root / "playbooks").glob("[!_]*.yml"))}


def _plays(path: Path) -> list[dict[str, Any]]:
    plays = load(path) or []
    imported = " ".join(play.get("ansible.builtin.import_playbook", "") for play in plays)
    parts = re.findall(r"\b_\w+\.yml", imported)
    return [*plays, *(play for part in parts for play in _plays(path.with_name(part)))]


def entries(node: Any) -> list[dict[str, Any]]:
    """Every mapping below a node of a playbook: plays, blocks, tasks and roles alike."""
    if isinstance(node, list):
        return [found for item in node for found in entries(item)]
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in entries(value))]
    return []


def playbook_roles(root: Path) -> set[str]:
    """Roles of this collection that a playbook applies, as a list entry or by a task."""
    named = [item for plays in playbooks(root).values() for item in entries(plays)]
    lists = [item["roles"] for item in named if isinstance(item.get("roles"), list)]
    found = [role for roles in lists for role in roles if isinstance(role, str)]
    found += [item["role"] for item in named if isinstance(item.get("role"), str)]
    for item in named:
        for action in ROLE_ACTIONS:
            call = item.get(f"ansible.builtin.{action}")
            found += [call["name"]] if isinstance(call, dict) else []
    return {short(name) for name in found}


def playbook_tags(root: Path) -> set[str]:
    found = [item.get("tags") or [] for plays in playbooks(root).values() for item in entries(plays)]
    tags = {tag for tags in found for tag in ([tags] if isinstance(tags, str) else tags)}
    return tags - {"always", "never"}
