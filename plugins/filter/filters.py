# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All filters of the collection; each is documented in the file that has its name."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import DotenvError, dump
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import environment_text
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import CapacityError, plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.together import planned_together
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import fleet_of
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.places import controller_path

_Made = t.TypeVar("_Made")


def _names_itself(function: t.Callable[[t.Any], _Made]) -> t.Callable[[t.Any], _Made]:
    """Have the filter's error say which one it is of. It shows what was given: not for what may hold secrets."""

    @functools.wraps(function)
    def called(given: t.Any) -> _Made:
        try:
            return function(given)
        except (KeyError, TypeError, ValueError, ZeroDivisionError, StabilityError) as error:
            raise AnsibleFilterError(f"{function.__name__} can't use what it was given: {error!r}") from error

    return called


@_names_itself
def capacity_plan(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the capacity plan for a host and what is desired of it."""
    try:
        return plan(Desired.of(values)).as_dict()
    except CapacityError as error:
        raise AnsibleFilterError(f"The capacity plan has contradictions: {error}") from error


def dotenv(environment: t.Mapping[str, t.Any]) -> str:
    """Return the lines of an environment file. No error has a value in it, it may be a secret."""
    texts: dict[str, str] = {}
    for name, value in environment.items():
        text = environment_text(value)
        if text is None:
            raise AnsibleFilterError(f"{name} is not text, a number or a boolean")
        texts[str(name)] = text
    try:
        return dump(texts)
    except DotenvError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Registers the filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "capacity_plan": capacity_plan,
            "controller_path": controller_path,
            "dotenv": dotenv,
            "fleet": fleet_of,
            "planned_together": planned_together,
        }
