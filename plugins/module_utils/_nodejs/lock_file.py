# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a lock file of npm's that the packages of a toolchain need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._host.errors import StabilityError

_MODULES = "node_modules/"
_DEPENDENCIES = ("dependencies", "optionalDependencies", "peerDependencies")


def locked(lock: Mapping[str, Any], desired: Mapping[str, str]) -> dict[str, Any]:
    """The lock file's entries of those desired packages that it has at the desired version, and of all they depend on.

    Raises StabilityError. Without the addresses: which registry is asked is the host's matter.
    """
    if not lock:
        return {}
    packages = lock.get("packages")
    if lock.get("lockfileVersion") not in (2, 3) or not isinstance(packages, dict):
        raise StabilityError(
            "nodejs_lock_file: it has no lockfileVersion 2 or 3 and no packages: make it with npm 7 or newer."
        )
    found: dict[str, Any] = {}
    versions = {place: entry.get("version") for place, entry in packages.items()}
    places = [_MODULES + name for name, version in desired.items() if versions.get(_MODULES + name) == version]
    while places:
        place = places.pop()
        if place in found:
            continue
        entry = packages[place]
        if not entry.get("inBundle") and not str(entry.get("integrity", "")).startswith("sha512-"):
            raise StabilityError(f"nodejs_lock_file: {place} has no integrity with a sha512 digest.")
        found[place] = {name: value for name, value in entry.items() if name != "resolved"}
        names = (name for kind in _DEPENDENCIES for name in entry.get(kind, {}))
        places += [one for name in names if (one := _resolve(packages, place, name))]
    return dict(sorted(found.items()))


def _resolve(packages: Mapping[str, Any], place: str, name: str) -> str:
    """Where Node.js finds a package for the one in `place`; "" for an optional one that is nowhere."""
    while True:
        candidate = f"{place}/{_MODULES}{name}" if place else _MODULES + name
        if candidate in packages:
            return candidate
        if not place:
            return ""
        place = place.rpartition(_MODULES)[0].rstrip("/")
