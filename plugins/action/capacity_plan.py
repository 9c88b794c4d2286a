# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the whole capacity plan of a host on the controller, and shows it."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display
from ansible_collections.workbot.stability.plugins.action.validate_variables import (
    ActionModule as ValidateVariables,
)
from ansible_collections.workbot.stability.plugins.action.validate_variables import contradictions_of, settings_of
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.host import host_plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import is_planned

display = Display()


class ActionModule(ValidateVariables):
    """The action ``capacity_plan``."""

    def _judge(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Show the plan and return it, or fail with what contradicts itself in it.

        A variable that no plan reads (a secret that is not there yet, the release) may be wrong.
        """
        roles = [self._load(name) for name in self._role_names(variables)]
        problems = self._unknown(roles, variables)
        values: dict[str, t.Any] = {}
        for role in roles:
            problems += [found for found in self._check_role(role, variables, values) if is_planned(found.name)]
        if problems:
            return self._failure(problems, variables)
        core, problems = self._plan(variables)
        if core is None:
            return self._failure(problems, variables)
        made = host_plan(core, settings_of(roles, variables, values))
        display.display(made.table(str(variables["inventory_hostname"])))
        problems = contradictions_of(made, roles, values)
        return self._failure(problems, variables) if problems else {"plan": made.as_dict(), "msg": core.summary}
