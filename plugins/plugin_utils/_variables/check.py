# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of roles: names nobody knows, values of the wrong type, values against a rule.

Every problem has the variable, what is wrong and, unless it is a secret, the value.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .rules import Rule, expectation, select

Option = t.Mapping[str, t.Any]
_SHOWN_LENGTH = 100
_SECRET_LENGTH = 4  # hiding shorter texts wherever they occur would make messages unreadable


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. ``shown`` is the value as a person may see it, None where there is none to show."""

    name: str
    message: str
    shown: str | None = None

    def line(self, host: str, origin: str = "") -> str:
        value = "" if self.shown is None else f" = {self.shown}"
        where = f", {origin}" if origin else ""
        return f"{self.name}{value} ({host}{where}): {self.message}"


@dataclass
class RoleVariables:
    """What a role declares: its options, the names it derives itself, rules for values and relations between them.

    A relation is a dictionary: ``variable`` is the one to blame when the condition ``that`` does not hold, ``message``
    says why it must.
    """

    role: str
    options: dict[str, Option] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    rules: dict[str, Rule] = field(default_factory=dict)
    relations: list[dict[str, str]] = field(default_factory=list)


def unknown_variables(
    names: t.Iterable[str],
    roles: t.Sequence[RoleVariables],
    collection_roles: t.Iterable[str],
    ignored: t.Sequence[str],
) -> list[Problem]:
    """Return a problem for each name that looks like a variable of one of ``roles`` and is none.

    ``collection_roles`` are all roles there are: a variable of one that is not in the play is no misspelling.
    """
    known: set[str] = set()
    for role in roles:
        known.update(role.options, role.derived)
    options = {role.role: list(role.options) for role in roles}
    others = set(collection_roles) - set(options)
    problems = []
    for name in sorted(set(names) - known):
        if "_" not in name or any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored):
            continue
        prefix, rest = name.split("_", 1)
        nearest: list[str] = []
        if prefix in options:
            nearest = difflib.get_close_matches(name, options[prefix], n=1) or [""]
        elif prefix not in others:
            # A misspelled prefix (ngnix_port) is told from a variable of the user's own by the rest being right.
            near_prefix = difflib.get_close_matches(prefix, options, n=1, cutoff=0.8)
            nearest = [f"{role}_{rest}" for role in near_prefix if f"{role}_{rest}" in options[role]]
        if nearest:
            advice = f"did you mean {nearest[0]}?" if nearest[0] else "see the role's README."
            message = f"no role has this variable; {advice} If it is yours, add it to service_ignored_variables"
            problems.append(Problem(name, message))
    return problems


def check_type(name: str, value: t.Any, option: Option) -> tuple[t.Any, list[Problem]]:
    """Return the value in the option's type and what is wrong with it.

    Strict where Ansible guesses: a list is no text, a boolean is no number.
    """
    kind = option.get("type", "str")
    if problem := _misfit(name, value, kind, option):
        return value, [problem]
    result = ArgumentSpecValidator({name: dict(option)}).validate({name: value}, validate_role_argument_spec=True)
    shown = show(value, option)
    problems = [Problem(name, _sentence(message, value, option), shown) for message in result.error_messages]
    return result.validated_parameters.get(name), problems


def check_rules(role: RoleVariables, values: t.Mapping[str, t.Any]) -> list[Problem]:
    """Return what is against the role's rules. An empty text passes where the default is the empty text."""
    problems = []
    for path, rule in role.rules.items():
        name = re.split(r"[.\[{]", path, maxsplit=1)[0]
        if name not in values:
            continue
        option = _option_at(path, role.options)
        for label, value in select(values[name], path):
            if value == "" and option.get("default") == "":
                continue
            expected = expectation(value, rule)
            if expected:
                problems.append(Problem(label, f"expected {expected}", show(value, option)))
    return problems


def show(value: t.Any, option: Option) -> str:
    """Return ``value`` for a person's eyes: short, and hidden where it is or may hold a secret."""
    if option.get("no_log"):
        return "(hidden)"
    if isinstance(value, dict):
        shown = "a dictionary with " + (", ".join(str(key) for key in value) or "nothing")
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list)) for item in value):
        shown = f"a list of {len(value)}"
    else:
        shown = value if isinstance(value, str) and value.strip() == value != "" else json.dumps(value, default=str)
    shown = shown.replace("\n", "\\n")
    return shown if len(shown) <= _SHOWN_LENGTH else shown[:_SHOWN_LENGTH] + "..."


def secret_texts(value: t.Any, option: Option) -> set[str]:
    """Return the texts inside ``value`` that its option, or a suboption, declares secret."""
    if option.get("no_log"):
        return {text for text in _texts(value) if len(text) >= _SECRET_LENGTH}
    found: set[str] = set()
    suboptions = option.get("options") or {}
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for key, suboption in suboptions.items():
                found |= secret_texts(item.get(key), suboption)
    return found


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _misfit(name: str, value: t.Any, kind: str, option: Option) -> Problem | None:
    """Return a problem where Ansible would convert what nobody meant."""
    if value is None:
        return Problem(name, "has no value; leave it out to get the default")
    if kind in ("str", "path") and isinstance(value, (dict, list, bool)):
        return Problem(name, "expected a text; put it in quotes", show(value, option))
    if kind == "int" and (isinstance(value, bool) or value == ""):
        return Problem(name, "expected a whole number", show(value, option))
    if kind == "list" and not isinstance(value, (list, str)):
        return Problem(name, "expected a list", show(value, option))
    return None


_TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a dictionary",
    "list": "a list",
    "str": "a text",
    "path": "a path",
}


def _sentence(message: str, value: t.Any, option: Option) -> str:
    """Return Ansible's message in words for people; for a secret, words that can't hold its value."""
    kind = str(option.get("type", "str"))
    expected = f"expected {_TYPE_WORDS.get(kind, kind)}"
    if option.get("no_log"):
        return expected
    if "choices" in option and kind != "list" and "must be one of" in message:
        return "expected one of " + ", ".join(str(choice) for choice in option["choices"])
    if kind in ("int", "float", "bool", "dict") and not isinstance(value, dict):
        return expected
    return message


def _option_at(path: str, options: t.Mapping[str, Option]) -> Option:
    """Return the option or suboption that a rule's path leads to; a place below a secret is as secret."""
    option: Option = {"options": options}
    secret = False
    for key in path.replace("[]", "").replace("{}", "").split("."):
        option = (option.get("options") or {}).get(key) or {}
        secret = secret or bool(option.get("no_log"))
    return {**option, "no_log": True} if secret else option
