# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters ``capacity_plan`` and ``planned_together``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import CapacityError, plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.together import planned_together


def capacity_plan(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the capacity plan for a host and what is desired of it."""
    try:
        return plan(Desired.of(values)).as_dict()
    except CapacityError as error:
        raise AnsibleFilterError(f"The capacity plan has contradictions: {error}") from error
    except (KeyError, TypeError, ValueError, StabilityError) as error:
        raise AnsibleFilterError(f"capacity_plan can't use what it was given: {error!r}") from error


class FilterModule:
    """Registers the filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"capacity_plan": capacity_plan, "planned_together": planned_together}
