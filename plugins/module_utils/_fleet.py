# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a fleet by what they do, and the addresses at which they reach each other."""

from __future__ import annotations

import typing as t

GROUPS = ("app", "proxy", "database")
Fleet = dict[str, dict[str, str]]


def address_of(name: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return where the other hosts reach this one: what its variables say, else its name."""
    return str(variables.get("service_address") or variables.get("ansible_host") or name)


def fleet_of(hostvars: t.Mapping[str, t.Mapping[str, t.Any]], groups: t.Mapping[str, t.Sequence[str]]) -> Fleet:
    """Return each group's hosts with their addresses. A group that the inventory does not have is empty.

    Read from the inventory, not from the play: with --limit and serial the fleet is the same.
    """
    return {group: {name: address_of(name, hostvars[name]) for name in groups.get(group, ())} for group in GROUPS}
