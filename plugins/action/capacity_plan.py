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
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import is_planned

display = Display()


class ActionModule(ValidateVariables):
    """The action ``capacity_plan``."""

    def outcome(self) -> dict[str, t.Any]:
        """Show the plan and return it, or fail with what contradicts itself in it.

        A variable that no plan reads (a secret that is not there yet, the release) may be wrong.
        """
        if problems := self._check_roles(is_planned):
            return self._failure(problems)
        core, problems = self._plan()
        if core is None:
            return self._failure(problems)
        made = self._host_plan(core)
        display.display(made.table(str(self.variables["inventory_hostname"])))
        problems = self._contradictions(made.contradictions)
        return self._failure(problems) if problems else {"plan": made.as_dict(), "msg": core.summary}
