# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``proxy_capacity``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.connections import (
    choose_rlimit,
    choose_websockets,
    websocket_room,
)


def proxy_capacity(values: t.Mapping[str, t.Any]) -> dict[str, int]:
    """Return the limits of a proxy, chosen where they are "auto"."""
    try:
        connections = int(values["worker_connections"])
        room = websocket_room(int(values["workers"]), connections, int(values["keepalive"]))
        return {
            "websockets": choose_websockets(values["websockets"], int(values["websockets_of_processes"]), room),
            "worker_rlimit_nofile": choose_rlimit(values["worker_rlimit_nofile"], connections),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"proxy_capacity can't use what it was given: {error!r}") from error


class FilterModule:
    """Registers the filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"proxy_capacity": proxy_capacity}
