# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters ``fleet``, ``upstream_servers``, ``monitor_targets``, ``backup_stanzas`` and ``backup_clients``."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.clients import clients_of
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import fleet_of, upstream_servers
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.stanzas import stanzas_of
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.targets import targets_of


class FilterModule:
    """Registers the filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "fleet": fleet_of,
            "upstream_servers": upstream_servers,
            "monitor_targets": targets_of,
            "backup_stanzas": stanzas_of,
            "backup_clients": clients_of,
        }
