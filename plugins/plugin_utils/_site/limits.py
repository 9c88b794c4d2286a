# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capacity plan's limits, as modules and the programs on the host are given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def limits_mb(plan: Mapping[str, Any], is_external: bool) -> dict[str, int]:
    """Return the capacity plan's limits; 0 of an existing service, whose own limits are unknown."""
    return {name: 0 if is_external else int(plan[name]) for name in ("heap_limit_mb", "memory_restart_mb")}


def consumer(plan: Mapping[str, Any], name: str, role: str, database: str) -> dict[str, Any]:
    """Return what the service's pools may open of the server's connections."""
    numbers = {"instances": "instances", "hosts": "hosts", "pool_max": "pool_max", "overlap": "generations"}
    return {"name": name, "role": role, "database": database, **{key: int(plan[of]) for key, of in numbers.items()}}
