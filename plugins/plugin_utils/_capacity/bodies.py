# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bodies of requests Nginx takes at a time, from the disk that it writes them to while they arrive.

It knows how long a body will be when it lets a request in, not how much of it will arrive. So a body counts as the
longest of its kind, and small ones, of which there are many, do not wait for the few large ones.
"""

from __future__ import annotations

import typing as t

from .desired import size_mb
from .parts import mount_of

_DIRECTORY = "/var/lib/nginx"
_PART_OF_DISK = 10
_MOST_MB = 4096
# Where the host's facts have no such file system, as in a container.
_UNKNOWN_MB = 1024
# Of the space, and the longest in MB, as the templates tell them apart: up to 100,000 and 1,000,000 bytes.
_SMALLER = (("small", 0.25, 0.1), ("medium", 0.25, 1.0))
_LARGE = 0.5
_LEAST = 16
# A browser has six uploads at a time. Small bodies of an address are limited by its requests.
_LEAST_OF_ADDRESS = 8
_PART_OF_ADDRESS = 4


def bodies_mb(mounts: t.Sequence[t.Mapping[str, t.Any]]) -> int:
    """Return the disk for the bodies of all clients."""
    mount = mount_of(mounts, _DIRECTORY)
    return min(_MOST_MB, int(mount["size_total"]) // 1024**2 // _PART_OF_DISK) if mount else _UNKNOWN_MB


def body_limits(space_mb: int, body_limit: str) -> list[dict[str, t.Any]]:
    """Return how many bodies of each kind all clients and, where that has a limit, an address may have at a time."""
    limits: list[dict[str, t.Any]] = []
    for kind, part, longest in (*_SMALLER, ("large", _LARGE, max(1, size_mb(body_limit)))):
        total = max(_LEAST, int(space_mb * part / longest))
        if kind != "small":
            of_address = max(_LEAST_OF_ADDRESS, total // _PART_OF_ADDRESS)
            limits.append({"name": f"{kind}_senders", "kind": kind, "connections": of_address})
        limits.append({"name": f"{kind}_bodies", "kind": kind, "connections": total})
    return limits
