# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the inventory's groups alone, on which defaults of role service depend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from .._fleet.inventory import GROUPS, Groups, Variables, address_of
from .base import Site


class ServiceFleet(Site):
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str

    @cached_property
    def has_others(self) -> bool:
        """Return whether there are hosts that the service's hosts have to know of."""
        return any(self._elsewhere)

    @cached_property
    def runs_here(self) -> bool:
        """Return whether the service runs here: not on one that is only its proxy, its database server, its monitor or
        its repository host.
        """
        name = self.inventory_hostname
        return name in self.groups.get("app", ()) or not any(name in hosts for hosts in self._elsewhere)

    @cached_property
    def monitor(self) -> str:
        """Return the host that watches all others, the one in the group monitor; "" where there is none."""
        return next(iter(self.groups.get("monitor", ())), "")

    @cached_property
    def database(self) -> str:
        """Return the address of the host in the group database, for the others.

        The whole fleet is not looked up for it: every host's variables take Ansible milliseconds.
        """
        servers = self.groups.get("database", ())
        if not servers or self.inventory_hostname in servers:
            return ""
        return address_of(servers[0], self.hostvars[servers[0]])

    @cached_property
    def _elsewhere(self) -> list[list[str]]:
        return [[*self.groups.get(group, ())] for group in GROUPS if group != "app"]
