# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates that an action renders on the controller: for modules that take many files, and variables that are many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

_NAME = re.compile(r"[A-Za-z_]\w*")


class _Variables(dict[str, Any]):
    """The host's variables, of which the lookup makes a deep copy for each template, facts of the host and all.

    It adds names to the copy and changes no value: one level is enough, and saves most of a template's time.
    """

    def __deepcopy__(self, _memo: dict[int, Any]) -> dict[str, Any]:
        return dict(self)


def rendered(
    action: ActionBase, name: str, task_vars: Mapping[str, Any] | None, added: Mapping[str, Any] | None = None
) -> str:
    """Render the template of this name, found where ansible.builtin.template finds it; ``added`` are more variables."""
    lookup = lookup_loader.get("ansible.builtin.template", loader=action._loader, templar=action._templar)
    text: str = lookup.run([name], variables=_Variables(task_vars or {}), template_vars=dict(added or {}))[0]
    return text


def in_order(names: Iterable[str], variables: Mapping[str, Any]) -> list[str]:
    """The names, and those of the variables that they may refer to, each behind those that it refers to.

    Whoever renders them in this order, and has each value in the place of its template from then on, renders each
    template once: Ansible itself renders it for each that refers to it.
    """
    found: dict[str, None] = {}

    def add(name: str, above: frozenset[str]) -> None:
        if name in found or name in above:
            return
        for other in _NAME.findall(_shown(variables[name])):
            if other in variables:
                add(other, above | {name})
        found[name] = None

    for name in sorted(names):
        add(name, frozenset())
    return list(found)


def _shown(value: Any) -> str:
    """A value that is encrypted, and can't be decrypted, refers to nothing; who renders it hears of it."""
    try:
        return str(value)
    except AnsibleError:
        return ""
