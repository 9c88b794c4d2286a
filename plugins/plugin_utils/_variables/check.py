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
import math
import re
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._host.console import visible
from ...module_utils._net.download import without_secrets
from .names import Names
from .rules import Rule, expectation, select

Option = t.Mapping[str, t.Any]
# The texts that filter bool and argument specs understand alike; y, t and the like only the latter take for true.
_BOOLEANS = {"true", "yes", "on", "1", "false", "no", "off", "0"}
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
        return visible(f"{self.name}{value} ({host}{where}): {self.message}")


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
    known = {name for role in roles for name in (*role.options, *role.derived)}
    options = Names(name for role in roles for name in role.options)
    own = {role.role for role in roles}
    others = set(collection_roles) - own
    problems = []
    for name in sorted(set(names) - known):
        prefix = name.partition("_")[0]
        near = "" if prefix in others else options.nearest(name) if prefix in own else options.meant(name)
        if (near or (prefix in own and prefix != name)) and not is_ignored(name, ignored):
            advice = f"did you mean {near}?" if near else "see the role's README."
            message = f"no role has this variable; {advice} If it is yours, add it to service_ignored_variables"
            problems.append(Problem(name, message))
    return problems


def is_ignored(name: str, ignored: t.Iterable[str]) -> bool:
    """Return whether service_ignored_variables has the name, itself or by a wildcard."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)


def check_type(name: str, value: t.Any, option: Option) -> tuple[t.Any, list[Problem]]:
    """Return the value in the option's type and what is wrong with it, at whichever place inside.

    Strict where Ansible guesses: a text is no list and a boolean no number, since the roles read the value as it is.
    """
    if problems := list(_misfits(name, value, option)):
        return value, problems
    # Ansible would take ~ for the home of whoever runs it here, and the host has the value as it is
    spec = {**option, "type": "str" if option.get("type") == "path" else option.get("type")}
    result = ArgumentSpecValidator({name: spec}).validate({name: value}, validate_role_argument_spec=True)
    # Ansible's message may have the value in it.
    said = ["is wrong"] if option.get("no_log") else result.error_messages
    problems = [Problem(name, message, show(value, option)) for message in said if result.error_messages]
    return result.validated_parameters.get(name), problems


def check_rules(role: RoleVariables, values: t.Mapping[str, t.Any], inventory_directory: str = "") -> list[Problem]:
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
            expected = expectation(value, rule, inventory_directory)
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
    shown = without_secrets(shown.replace("\n", "\\n"))
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


def _misfits(place: str, value: t.Any, option: Option) -> t.Iterator[Problem]:
    """Yield what is wrong with the types in a value, each with its place, such as ``nginx_rate_limits[0].requests``."""
    kind, hidden = str(option.get("type", "str")), bool(option.get("no_log"))
    if value is None:
        text = (
            "is required and has no value"
            if option.get("required")
            else "has no value; leave it out to get the default"
        )
        yield Problem(place, text)
    elif not _fits(value, kind):
        form = "" if hidden or kind not in ("list", "dict") else _right_form(value, kind)
        yield Problem(place, f"expected {_TYPE_WORDS[kind]}{form}", show(value, option))
    elif "choices" in option and kind != "list" and str(value) not in map(str, option["choices"]):
        yield Problem(place, f"expected one of {', '.join(map(str, option['choices']))}", show(value, option))
    elif kind == "list":
        element = {key: option[key] for key in ("options", "required_if", "choices", "no_log") if key in option}
        for index, item in enumerate(value):
            yield from _misfits(f"{place}[{index}]", item, {**element, "type": option.get("elements", "raw")})
    elif kind == "dict" and option.get("options"):
        suboptions: t.Mapping[str, Option] = option["options"]
        for key in value:
            if key not in suboptions:
                near = difflib.get_close_matches(str(key), suboptions, 1)
                meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(suboptions)}"
                yield Problem(f"{place}.{key}", f"is not known; {meant}")
        known = {key: suboption.get("default") for key, suboption in suboptions.items()} | value
        required = {key for name, text, keys in option.get("required_if", ()) if known[name] == text for key in keys}
        for key, suboption in suboptions.items():
            if key in value:
                yield from _misfits(f"{place}.{key}", value[key], {"no_log": hidden, **suboption})
            elif suboption.get("required") or key in required:
                yield Problem(f"{place}.{key}", "is required and not set")


def _fits(value: t.Any, kind: str) -> bool:
    """Whether a value is what its type's name says, or a text that everything reads alike."""
    if kind in ("str", "path"):
        return not isinstance(value, (dict, list, bool))
    if kind in ("list", "dict"):
        return isinstance(value, list if kind == "list" else dict)
    if kind in ("int", "float"):
        return not isinstance(value, bool) and _is_number(value, kind)
    if kind == "bool":
        return str(value).lower() in _BOOLEANS
    return True


def _is_number(value: t.Any, kind: str) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and (kind == "float" or re.fullmatch(r"[+-]?[0-9]+(\.0+)?", str(value)) is not None)


def _right_form(value: t.Any, kind: str) -> str:
    """How to write a value that was given as a text: on the command line only JSON makes a list of it."""
    if not isinstance(value, (str, int)):
        return ""
    if kind == "dict":
        return ", such as {NAME: value}"
    return f", such as {json.dumps(re.split(r'[, ]+', str(value)))}; after -e as JSON"


_TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a dictionary",
    "list": "a list",
    "str": "a text; put it in quotes",
    "path": "a path; put it in quotes",
}


def _option_at(path: str, options: t.Mapping[str, Option]) -> Option:
    """Return the option or suboption that a rule's path leads to; a place below a secret is as secret."""
    option: Option = {"options": options}
    secret = False
    for key in path.replace("[]", "").replace("{}", "").split("."):
        option = (option.get("options") or {}).get(key) or {}
        secret = secret or bool(option.get("no_log"))
    return {**option, "no_log": True} if secret else option
