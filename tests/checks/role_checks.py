# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the roles: what they declare, and what they keep their hands off."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from project import INCLUDES, Role, entries, load, roles

TYPES: dict[str, tuple[type[Any], ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "raw": (object,),
    "str": (str,),
}
SECRET_WORDS = {"password", "passphrase", "secret", "secrets", "token", "tokens", "key", "keys"}
ALWAYS_SECRET = {"password", "passphrase", "token"}
# Comments are left out: prose may speak of another role.
COMMENT = re.compile(r"^[ \t]*#.*$|\{#[\s\S]*?#\}", re.MULTILINE)


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def same(left: Any, right: Any) -> bool:
    """Equal in value and type: YAML's `true`, `1` and `"1"` are three things."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def type_problems(name: str, value: Any, option: dict[str, Any]) -> list[str]:
    """Where a default is not of the type that the specification states, its parts included."""
    if is_expression(value) or value is None:
        return []
    kind = option.get("type", "str")
    if kind not in TYPES:
        return [f"{name}: unknown type {kind}"]
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind not in ("bool", "raw")):
        return [f"{name}: the default {value!r} is no {kind}"]
    if kind == "list":
        element = {"type": option.get("elements", "str"), "options": option.get("options")}
        return [problem for item in value for problem in type_problems(f"{name}[]", item, element)]
    if kind == "dict" and option.get("options"):
        return part_problems(name, value, option["options"])
    return []


def part_problems(name: str, value: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Where the keys of a dictionary are not those that the specification lists."""
    problems = [f"{name}: the key {key} is not in the specification" for key in sorted(value.keys() - options.keys())]
    for key, option in options.items():
        if key in value:
            problems += type_problems(f"{name}.{key}", value[key], option)
        elif option.get("required"):
            problems.append(f"{name}: the required key {key} is missing in the default")
    return problems


def variable_problems(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """Where one variable's default and its specification disagree."""
    if option.get("required"):
        return [f"{name}: is required and has a default"] if name in defaults or "default" in option else []
    if name not in defaults:
        return [f"{name}: is in argument_specs.yml, not in defaults/main.yml"]
    value = defaults[name]
    if not same(value, option.get("default")):
        return [f"{name}: default {value!r}, in argument_specs.yml {option.get('default')!r}"]
    problems = type_problems(name, value, option)
    choices = option.get("choices")
    if choices and not is_expression(value) and value not in choices:
        problems.append(f"{name}: the default {value!r} is none of the choices {choices}")
    return problems


def defaults_match_specifications(root: Path) -> list[str]:
    """defaults/main.yml and meta/argument_specs.yml agree in names, types and values."""
    problems = []
    for role in roles(root):
        defaults, options = role.defaults, role.options
        public = {name for name in defaults if not name.startswith("__")}
        problems += [
            f"{name}: is in defaults/main.yml, not in argument_specs.yml" for name in sorted(public - options.keys())
        ]
        problems += [
            f"{name}: a variable of role {role.name} starts with {role.name}_"
            for name in sorted(public | options.keys())
            if not name.startswith(f"{role.name}_")
        ]
        for name, option in options.items():
            problems += variable_problems(name, option, defaults)
    return problems


def variables_are_explained(root: Path) -> list[str]:
    """Each role and each variable says what it is: in the specification, and above the variable's default."""
    problems = []
    for role in roles(root):
        path = role.path / "defaults/main.yml"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for above, line in zip(["", *lines], lines, strict=False):
            variable = re.match(r"([a-z]\w*):", line)
            if variable and not above.startswith("#"):
                problems.append(f"{variable[1]}: has no comment above it in defaults/main.yml")
        # The changelog lists a role as new in the version that it was added in.
        problems += [
            f"role {role.name}: has no {key} in argument_specs.yml"
            for key in ("short_description", "version_added")
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
