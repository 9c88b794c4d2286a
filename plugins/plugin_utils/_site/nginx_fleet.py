# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role nginx takes from the groups of an inventory, and of which its variables' defaults are made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .._fleet.inventory import Groups, Variables, address_of, upstream_servers
from .base import Site


class NginxFleet(Site):
    """The groups are asked first: looking up every host's address takes seconds where there are many."""

    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str
    service_runs_here: bool

    @cached_property
    def is_proxy(self) -> bool:
        """One of the inventory, that is no app host, passes requests on to all app hosts; these believe it."""
        return self.inventory_hostname in self.groups.get("proxy", ()) and not self.service_runs_here

    @cached_property
    def servers(self) -> list[dict[str, Any]]:
        return upstream_servers(self._addresses(self.groups.get("app", ())), self.hostvars) if self.is_proxy else []

    @cached_property
    def is_behind(self) -> bool:
        """Whether the inventory's proxies ask this host."""
        return bool(self._proxies)

    @cached_property
    def proxies(self) -> list[str]:
        """Their addresses."""
        return [*self._addresses(self._proxies).values()]

    @cached_property
    def _proxies(self) -> list[str]:
        apps = self.groups.get("app", ())
        return [name for name in self.groups.get("proxy", ()) if name not in apps and self.inventory_hostname in apps]

    def _addresses(self, names: Any) -> dict[str, str]:
        return {name: address_of(name, self.hostvars[name]) for name in names}
