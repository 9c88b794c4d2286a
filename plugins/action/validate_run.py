# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses a run that would do nothing, or something else than was asked for, before it begins."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible import context
from ansible.utils.vars import load_extra_vars
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.check import (
    Option,
    Problem,
    RoleVariables,
    check_rules,
    check_type,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.run import (
    host_problem,
    tag_problems,
    unknown_playbook_variables,
)
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action

_COLLECTION = "workbot.stability."
_PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"


class ActionModule(Action):
    """The action ``validate_run``."""

    _requires_connection = False

    def outcome(self) -> dict[str, t.Any]:
        """Return nothing but success, or fail with all that is wrong."""
        _spec, args = self.validate_argument_spec({"groups": {"type": "list", "elements": "str", "required": True}})
        variables = self.variables
        groups, reached = variables["groups"], variables["ansible_play_hosts_all"]
        sources = [str(source) for source in variables.get("ansible_inventory_sources") or ()]
        if problem := host_problem(args["groups"], groups, reached, sources):
            problems = [problem]
        else:
            host = next(host for name in args["groups"] for host in groups.get(name, ()) if host in reached)
            problems = self._tags(variables) + self._own_variables(variables["hostvars"][host])
        if not problems:
            return {}
        lines = [
            f"{found.name}{'' if found.shown is None else f' = {found.shown}'}: {found.message}" for found in problems
        ]
        return {"failed": True, "msg": "\n".join(["Nothing was changed.", *lines])}

    def _tags(self, variables: t.Mapping[str, t.Any]) -> list[Problem]:
        # A playbook of the user's own that imports this one may have tags of its own.
        foreign = not all(_is_ours(name) for name in context.CLIARGS["args"])
        return [
            problem
            for option, name in (("--tags", "ansible_run_tags"), ("--skip-tags", "ansible_skip_tags"))
            for problem in tag_problems(option, variables.get(name) or (), foreign)
        ]

    def _own_variables(self, variables: t.Mapping[str, t.Any]) -> list[Problem]:
        """Return what is wrong with the playbooks' own variables as they are on a host."""
        declared: dict[str, dict[str, t.Any]] = self._loader.load_from_file(str(_PLAYBOOKS / "vars" / "playbooks.yml"))
        options: dict[str, Option] = {
            name: {key: value for key, value in one.items() if key != "rule"} for name, one in declared.items()
        }
        rules = {
            f"{name}[]" if one["type"] == "list" else name: one["rule"]
            for name, one in declared.items()
            if "rule" in one
        }
        ignored = variables.get("service_ignored_variables") or []
        problems = unknown_playbook_variables(variables, load_extra_vars(self._loader), list(declared), ignored)
        values = {}
        for name in sorted(options.keys() & set(variables)):
            values[name], found = check_type(name, variables[name], options[name])
            problems += found
        wrong = {problem.name for problem in problems}
        good = {name: value for name, value in values.items() if name not in wrong}
        return problems + check_rules(RoleVariables("playbooks", options, rules=rules), good)


def _is_ours(playbook: str) -> bool:
    return playbook.startswith(_COLLECTION) or Path(playbook).resolve().parent == _PLAYBOOKS
