# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates that an action renders on the controller: for modules that take many files, and variables that are many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ._ansible import loader_of, templar_of
from ._site.roles import read_of, role_asked

_NAME = re.compile(r"[A-Za-z_]\w*")
# With these a template can read any variable.
READS_ANY = frozenset({"lookup", "query", "q", "vars", "varnames", "include", "import", "extends"})
# Where the lookup searches for files.
_SEARCHED = "ansible_search_path"


class _Variables(dict[str, Any]):
    """The variables that a template is given, of which the lookup makes a deep copy, facts of the host and all.

    It adds names to the copy and changes no value: one level is enough, and saves most of a template's time.
    """

    def __deepcopy__(self, _memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)


def rendered(
    action: ActionBase, name: str, task_vars: Mapping[str, Any] | None, added: Mapping[str, Any] | None = None
) -> str:
    """Render the template of this name, found where ansible.builtin.template finds it; ``added`` are more variables."""
    lookup = lookup_loader.get("ansible.builtin.template", loader=loader_of(action), templar=templar_of(action))
    variables, more = dict(task_vars or {}), dict(added or {})
    path = lookup.find_file_in_search_path(variables, "templates", name)
    # that there is none is the lookup's to say
    source = loader_of(action).get_text_file_contents(path) if path else ""
    given = _Variables(References().of([source, more], variables, {}))
    given[_SEARCHED] = variables.get(_SEARCHED, [])
    text: str = lookup.run([name], variables=given, template_vars=more)[0]
    return text


class References:
    """Which variables a template may read. Ansible copies every variable that it is given, about a thousand, for each
    template: handing over these alone saves a quarter of a comparison's processor time.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, list[str]]] = {}

    def of(self, given: Iterable[Any], variables: Mapping[str, Any], final: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those that the values `given` refer to, themselves or by others of them; all where they may read any.

        The `final` ones are values, and refer to nothing.
        """
        found: dict[str, Any] = {}
        to_come = [*given]
        while to_come:
            for name in self.named(to_come.pop()):
                if name in READS_ANY:
                    return variables
                if name in variables and name not in found:
                    value = found[name] = variables[name]
                    if final.get(name, to_come) is not value:
                        to_come.append(value)
        return found

    def reached(self, given: Any, variables: Mapping[str, Any]) -> set[str]:
        """Return the names of all that the value depends on, itself or by others, and of what no task has found yet."""
        found: set[str] = set()
        to_come = [given]
        while to_come:
            for name in self.named(to_come.pop()):
                if name not in found and (name in variables or name.startswith("__")):
                    found.add(name)
                    to_come += [variables[name]] if name in variables else []
        return found

    def named(self, value: Any) -> list[str]:
        """Return whatever may be a name in the value."""
        # the value is kept: its place in memory is not given to another one
        known, named = self._known.get(id(value), (None, []))
        if known is not value:
            named = _names(value)
            self._known[id(value)] = value, named
        return named


def in_order(names: Iterable[str], variables: Mapping[str, Any]) -> list[str]:
    """The names, and those of the variables that they may refer to, each behind those that it refers to.

    Whoever renders them in this order, and has each value in the place of its template from then on, renders each
    template once: Ansible itself renders it for each that refers to it.
    """
    found: dict[str, None] = {}

    def add(name: str, above: frozenset[str]) -> None:
        if name in found or name in above:
            return
        for other in _names(variables[name]):
            if other in variables:
                add(other, above | {name})
        found[name] = None

    for name in sorted(names):
        add(name, frozenset())
    return list(found)


def _names(value: Any) -> list[str]:
    """The names in a value; in none that is encrypted, which is no template, and not in other hosts' variables."""
    if role := role_asked(value):
        return [*read_of(role)]
    if isinstance(value, str):
        return _NAME.findall(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return [name for one in value for name in _names(one)] if isinstance(value, (list, tuple)) else []
