# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of a host, as a class for each role."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ansible.module_utils.parsing.convert_bool import boolean

Read = Callable[[str], Any]
"""Gives the value of a variable by its name. Raises KeyError where the play does not know it."""

# As an inventory may have them: -e gives texts.
_TYPES: dict[str, Callable[[Any], Any]] = {"bool": boolean, "float": float, "int": int, "str": str}


class UnknownError(Exception):
    """The play does not know the variable: it has not the role of it, or no facts."""


class Site:
    """A role's subclass annotates the variables that it reads, each by its own name and with the type that it has here.

    What tasks have registered, and other sites, have names that Python changes in a class: `also_read` has these.

    Every cached property whose name has no underscore in front is for the role's tasks and templates.
    """

    also_read: ClassVar[tuple[str, ...]] = ()

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Read a variable when it is needed first: many plays know only a part of them."""
        if name not in self.variables():
            raise AttributeError(name)
        convert = _TYPES.get(self.variables()[name])
        value = self._value(name)
        known = self.__dict__[name] = convert(value) if convert else value
        return known

    def fact(self, name: str) -> Any:
        """Return one of the host's facts."""
        facts = self._value("ansible_facts")
        if name not in facts:
            raise UnknownError(name)
        return facts[name]

    def _registered(self, name: str) -> Mapping[str, Any]:
        """Return what a task has found out, {} where none has been there."""
        try:
            found: Mapping[str, Any] = self._value(name)
        except UnknownError:
            return {}
        return found

    def _value(self, name: str) -> Any:
        try:
            if name not in self._known:
                self._known[name] = self._read(name)
        except KeyError as error:
            raise UnknownError(name) from error
        return self._known[name]

    def named(self, prefix: str) -> dict[str, Any]:
        """Return the variables with this prefix, without it: a setting keeps its name to the program on the host."""
        return {name.removeprefix(prefix): getattr(self, name) for name in self.variables() if name.startswith(prefix)}

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the names of the variables that it reads, and of their types."""
        return {**cls.__annotations__, **dict.fromkeys(cls.also_read, "Any")}

    def known(self) -> dict[str, Any]:
        """Return what follows from the variables, without what needs one that the play does not know."""
        found = {}
        for name, _property in inspect.getmembers_static(type(self), _is_derived):
            if not name.startswith("_"):
                try:
                    found[name] = getattr(self, name)
                except UnknownError:
                    continue
        return found


def _is_derived(member: object) -> bool:
    return isinstance(member, functools.cached_property)
