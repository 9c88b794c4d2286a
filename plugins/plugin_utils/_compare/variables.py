# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of tasks that do not run, each where Ansible's order of precedence has it.

What a play, a role, and the facts of the host come to is Ansible's own answer, asked for once for each role. Above that
come, in this order, the variables of the task, facts and registered results, the parameters of the role and of what
includes the task, and the extra variables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.utils.vars import validate_variable_name
from ansible.vars.reserved import is_reserved_name

from .._ansible import bare_task, host_named, role_in, task_of, templar_of
from .._site.roles import CHECKED
from ..templates import READS_ANY, References, in_order
from .questions import Unanswered

Place = tuple[int, ...]
"""Where a task stands in the play: its number, behind that of the task that includes it."""

# Stands for a variable of a task's own.
_OF_A_TASK = "a task's own"
# Whatever the run, what is compared is what a run would change.
_NO_CHECK = {"ansible_check_mode": False}
# They win over all others.
_MAGIC = frozenset({"groups", "hostvars", "omit", "play_hosts", "playbook_dir", "role_name", "role_path", "vars"})
# Ansible itself gives them other values in each role.
_OF_ROLES = frozenset(
    {"ansible_collection_name", "ansible_parent_role_names", "ansible_parent_role_paths", "ansible_role_name"}
)
# Large, and no templates.
_NO_TEMPLATES = frozenset({"ansible_facts", "groups", "hostvars", "vars", CHECKED})


class Variables:
    """Those of each task; `given` are the ones of the action's own task, of which the `extra` win over all others."""

    def __init__(self, action: ActionBase, given: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        if constants.DEFAULT_HASH_BEHAVIOUR != "replace":
            raise AnsibleError("variables are merged (hash_behaviour)")
        own = task_of(action)
        manager = own.get_variable_manager()
        host = host_named(given["inventory_hostname"], manager)
        self._asked = partial(manager.get_vars, play=own.play, host=host)
        self._play = own.play
        self._extra = extra
        names = [name for name in given if not is_reserved_name(name)]
        probe = bare_task(own.play, None, [])
        probe.vars = dict.fromkeys(names, _OF_A_TASK)
        probed = self._asked(task=probe)
        self._facts = {name: given[name] for name in names if probed[name] is not _OF_A_TASK} | _NO_CHECK
        """What wins over the variables of tasks."""
        below = {name: value for name, value in given.items() if name not in own.get_vars()}
        if len(below) < len(given):
            below = {**self._asked(task=bare_task(own.play, None, [])), **below}
        self._common = {**below, **_NO_CHECK}
        self._data = {name: given[name] for name in _NO_TEMPLATES if name in given}
        self._by_role: dict[tuple[int, ...], tuple[dict[str, Any], set[str]]] = {}
        self._learned: list[tuple[Place, str, Any]] = []
        self._references = References()
        self._foreseen = set(_OF_ROLES | _MAGIC | {"environment", "role_names", "role_uuid"})
        """What tasks were known to have values of their own for when the common variables were rendered."""
        self._rendered: dict[str, Any] = {}
        self._rendered_from: dict[str, set[str]] = {}
        """The names of what is rendered that each name is part of."""

    def render(self, action: ActionBase, prefixes: tuple[str, ...], to_come: set[str]) -> None:
        """Render once, not for each task, the common variables whose names begin like this.

        Those that refer to a name that is `to_come` are left: most of their tasks have a value of their own for it.
        """
        looked: list[bool] = []
        self._foreseen |= to_come
        variables = {**self._common, **dict.fromkeys(to_come, Unanswered(lambda: looked.append(True)))}
        templar = templar_of(action)
        parts: dict[str, frozenset[str]] = {}
        templates = {name: value for name, value in self._common.items() if name not in _NO_TEMPLATES}
        chosen = {name for name in templates if name.strip("_").startswith(prefixes)}
        for name in in_order(chosen, templates):
            named = frozenset(self._references.named(templates[name]))
            parts[name] = named.union({name}, *(parts[other] for other in named if other in parts))
            if name not in chosen or not parts[name].isdisjoint(to_come):
                continue
            final = {**self._data, **self._rendered}
            templar.available_variables = self._references.of([variables[name]], variables, final)
            looked.clear()
            with contextlib.suppress(AnsibleError):
                value = templar.template(variables[name])
                if not looked:
                    variables[name] = self._rendered[name] = value
                    for part in parts[name]:
                        self._rendered_from.setdefault(part, set()).add(name)

    def learn(self, place: Place, values: Mapping[str, Any]) -> None:
        """Have what a task gives from its place on. Raises AnsibleError where a name is none."""
        for name in values:
            validate_variable_name(name)
        self._learned += [(place, name, value) for name, value in values.items()]

    def of(self, task: Task, place: Place, to_come: Iterable[tuple[Place, str, Unanswered]]) -> dict[str, Any]:
        """Return the task's, with what stands for what is `to_come` of tasks that are put off."""
        base, differing = self._of_role(task)
        own, learned, given = task.get_vars(), self._seen_from(place, to_come), self._parameters(task)
        others = {*differing, *own, *learned, *given}
        stale = set[str]().union(*(self._rendered_from.get(name, ()) for name in others))
        if not others <= self._foreseen:
            # a lookup may read what it does not name
            stale = stale.union(*(self._rendered_from.get(name, ()) for name in READS_ANY))
        variables = {
            **base,
            **self._rendered,
            **{name: base[name] for name in stale},
            **own,
            **self._facts,
            **learned,
            **given,
            **self._extra,
            **_NO_CHECK,
            "ansible_search_path": task.get_search_path(),
        }
        return {**variables, "vars": variables}

    def referred(self, given: Iterable[Any], variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those of a task's variables that the values `given` refer to."""
        values = {name: value for _place, name, value in self._learned}
        return self._references.of(given, variables, {**self._data, **self._rendered, **values})

    def strange(self, task: Task) -> str:
        """Say which variable of Ansible's own the task, its role or an earlier task gives a value to, "" for none."""
        _base, differing = self._of_role(task)
        names = {*task.get_vars(), *self._parameters(task), *(name for _place, name, _value in self._learned)}
        strange = [name for name in names if name in _MAGIC or is_reserved_name(name)]
        strange += [name for name in names | differing if name.startswith("ansible_") and name not in _OF_ROLES]
        return f"{min(strange)} is Ansible's own" if strange else ""

    def _parameters(self, task: Task) -> dict[str, Any]:
        role = role_in(task)
        of_role = role.get_role_params(task.get_dep_chain()) if role else {}
        return {**of_role, **task.get_include_params()}

    def _seen_from(self, place: Place, to_come: Iterable[tuple[Place, str, Unanswered]]) -> dict[str, Any]:
        latest: dict[str, tuple[Place, Any]] = {}
        for given_at, name, value in (*self._learned, *to_come):
            if given_at <= place and given_at >= latest.get(name, (given_at,))[0]:
                latest[name] = given_at, value
        return {name: value for name, (_place, value) in latest.items()}

    def _of_role(self, task: Task) -> tuple[dict[str, Any], set[str]]:
        """What the task's role has, and the names of what differs from what all have."""
        role, chain = role_in(task), task.get_dep_chain() or []
        if role is None:
            return self._common, set()
        key = tuple(map(id, (role, *chain)))
        if key not in self._by_role:
            asked = self._asked(task=bare_task(self._play, role, chain)) | _NO_CHECK
            del asked["vars"]
            differing = {name for name, value in asked.items() if self._is_other(name, value)}
            self._by_role[key] = {**self._common, **{name: asked[name] for name in differing}}, differing
        return self._by_role[key]

    def _is_other(self, name: str, value: Any) -> bool:
        # what is in both is most often the same object
        return name not in self._common or (self._common[name] is not value and self._common[name] != value)
