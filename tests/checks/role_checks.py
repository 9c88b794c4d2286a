# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the roles: what they declare, and what they keep their hands off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.plugin_utils._variables.check import check_type
from document_checks import read
from project import INCLUDES, Role, entries, load, roles
from role_defaults import defaults_text

SECRET_WORDS = {"password", "passphrase", "secret", "secrets", "token", "tokens", "key", "keys"}
ALWAYS_SECRET = {"password", "passphrase", "token"}
# Comments are left out: prose may speak of another role.
COMMENT = re.compile(r"^[ \t]*#.*$|\{#[\s\S]*?#\}", re.MULTILINE)


def defaults_are_generated(root: Path) -> list[str]:
    """defaults/main.yml is what tools/role_defaults.py makes of the specification today."""
    return [
        f"role {role.name}: defaults/main.yml is not current, run `make docs`"
        for role in roles(root)
        if read(role.path, "defaults/main.yml") != defaults_text(read(role.path, "meta/argument_specs.yml"))
    ]


def specifications_are_sound(root: Path) -> list[str]:
    """A variable has its role's name in front, and either is required or has a default of its type."""
    problems = []
    for role in roles(root):
        for name, option in role.options.items():
            if not name.startswith(f"{role.name}_"):
                problems.append(f"{name}: a variable of role {role.name} starts with {role.name}_")
            if bool(option.get("required")) == ("default" in option):
                problems.append(f"{name}: must be required or have a default, and not both")
            elif "default" in option and "{{" not in str(option["default"]):
                problems += [problem.line("its default") for problem in check_type(name, option["default"], option)[1]]
    return problems


def variables_are_explained(root: Path) -> list[str]:
    """Each role and each variable says what it is."""
    problems = []
    for role in roles(root):
        # The changelog lists a role as new in the version that it was added in.
        problems += [
            f"role {role.name}: has no {key} in argument_specs.yml"
            for key in ("short_description", "description", "version_added")
            if not role.specification.get(key)
        ]
        problems += undescribed(role.options)
    return problems


def undescribed(options: dict[str, Any], above: str = "") -> list[str]:
    problems = []
    for name, option in options.items():
        if not option.get("description"):
            problems.append(f"{above}{name}: has no description in argument_specs.yml")
        problems += undescribed(option.get("options") or {}, f"{above}{name}.")
    return problems


def secrets_stay_silent(root: Path) -> list[str]:
    """A variable named like a secret says whether it is one, and a password always is."""
    return [problem for role in roles(root) for problem in loud_secrets(role.options)]


def loud_secrets(options: dict[str, Any], above: str = "") -> list[str]:
    problems = []
    for name, option in options.items():
        problems += loud_secrets(option.get("options") or {}, f"{above}{name}.")
        words = name.split("_")
        # Numbers, switches and paths on the controller hold no secret whatever their name.
        if option.get("type") in ("int", "float", "bool", "path") or not SECRET_WORDS.intersection(words):
            continue
        if "no_log" not in option:
            problems.append(f"{above}{name}: is named like a secret: say no_log true or false in argument_specs.yml")
        elif words[-1] in ALWAYS_SECRET and not option["no_log"]:
            problems.append(f"{above}{name}: is a secret: no_log must be true")
    return problems


def rules_name_variables(root: Path) -> list[str]:
    """`__<role>_rules` names variables, and places inside them (`name`, `name[].key`, `name{}`), that exist.

    `__<role>_relations` does as well.
    """
    problems = []
    for role in roles(root):
        targets = list(role.constants.get(f"__{role.name}_rules") or {})
        targets += [relation["variable"] for relation in role.constants.get(f"__{role.name}_relations") or []]
        for target in targets:
            problems += [f"role {role.name}: {problem}" for problem in place_problems(target, role.options)]
    return problems


def place_problems(target: str, options: dict[str, Any]) -> list[str]:
    name, *steps = re.findall(r"^[^.\[{]+|\[\]|\{\}|\.[^.\[{]+", target)
    option = options.get(name)
    if option is None:
        return [f"there is no variable {name}"]
    if "[]" in steps[:1] and option.get("type") != "list":
        return [f"{target}: {name} is no list"]
    for step in steps:
        parts = option.get("options")
        if not step.startswith(".") or not parts:
            continue
        if step[1:] not in parts:
            return [f"{target}: there is no key {step[1:]}"]
        option = parts[step[1:]]
    return []


def booleans_may_be_text(root: Path) -> list[str]:
    """A condition on a boolean variable says `| bool`: `-e name=true` hands over a text, which no condition takes."""
    everyone = roles(root)
    names = "|".join(name for role in everyone for name, option in role.options.items() if option.get("type") == "bool")
    condition = r"(?:\b(?:if|and|or|not)\s+|\b(?:when|that):\s+|\(|^\s*-\s+)"
    end = r"\s*(?:$|[)}\]%\"]|\b(?:and|or|else)\b)"
    bare = re.compile(rf"{condition}({names or '(?!)'})\b(?={end})", re.MULTILINE)
    problems = []
    for role in everyone:
        for path in role.files("tasks", "templates", "handlers", "vars"):
            text = COMMENT.sub("", path.read_text(encoding="utf-8"))
            problems += [f"{path.relative_to(root)}: {name} needs | bool" for name in sorted(set(bare.findall(text)))]
    return problems


def main_only_includes(root: Path) -> list[str]:
    """tasks/main.yml is a table of contents: a reader sees the phases, the phases have the tasks."""
    allowed = {f"ansible.builtin.{action}" for action in INCLUDES} | {"name", "when", "vars", "loop", "loop_control"}
    problems = []
    for role in roles(root):
        tasks = load(role.path / "tasks/main.yml")
        if not tasks:
            problems.append(f"role {role.name}: has no tasks/main.yml")
        for task in tasks or []:
            extra = sorted(task.keys() - allowed)
            if extra:
                problems.append(f"role {role.name}: tasks/main.yml has more than includes: {', '.join(extra)}")
    return problems


def roles_have_no_tags(root: Path) -> list[str]:
    """Tags are the playbook's."""
    return [
        f"{path.relative_to(root)}: the task {task.get('name')!r} has tags; they are set in the playbook"
        for role in roles(root)
        for path in role.files("tasks", "handlers")
        for task in entries(load(path))
        if "tags" in task
    ]


def roles_keep_apart(root: Path) -> list[str]:
    """A role reads its own variables and service_*; never another role's, and nobody's internal ones."""
    everyone = roles(root)
    return [problem for role in everyone for problem in foreign_reads(root, role, everyone)]


def foreign_reads(root: Path, role: Role, everyone: list[Role]) -> list[str]:
    others = [other for other in everyone if other.name != role.name]
    public = [name for other in others if other.name != "service" for name in {*other.options, *other.defaults}]
    internal = [rf"__{other.name}_\w+" for other in others]
    # A dot or a dash in front makes it a module's name, a file's or a key of something else.
    foreign = re.compile(rf"(?<![\w./-])(?:{'|'.join([*public, *internal]) or '(?!)'})(?![\w-])")
    problems = []
    for path in role.files("tasks", "templates", "defaults", "handlers", "vars"):
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
        for name in sorted(set(foreign.findall(text))):
            problems.append(f"{path.relative_to(root)}: reads {name}, which belongs to another role")
    return problems


def templates_say_who_writes(root: Path) -> list[str]:
    """Each template starts with the note that Ansible manages the file. JSON has no comments."""
    head = re.compile(r"(#jinja2:.*\n|#!.*\n)*\{\{ ansible_managed \| comment(\(.*?\))? \}\}\n")
    return [
        f"{path.relative_to(root)}: does not start with {{{{ ansible_managed | comment }}}}"
        for role in roles(root)
        for path in role.files("templates")
        if not path.name.endswith(".json.j2") and not head.match(path.read_text(encoding="utf-8"))
    ]
