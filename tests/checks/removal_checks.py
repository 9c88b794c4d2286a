# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of the removal: it takes away what the documents say is on a host, and they say what it takes away."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from document_checks import read

LAYOUT = "docs/layout-on-the-host.md"
LIST = "plugins/module_utils/_service/footprint.py"


def documented(text: str) -> list[str]:
    """The paths in the first columns of the tables; a name without a directory is in that of the path before it."""
    found: list[str] = []
    for row in re.findall(r"^\|(.*?)\|", text, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", row):
            path = name if name.startswith("/") else f"{found[-1].rpartition('/')[0]}/{name}"
            found.append(path.rstrip("/"))
    return found


def removal_knows_the_layout(root: Path) -> list[str]:
    """What lands on a host is in the list by which a service is removed (or is shared), and the other way round."""
    paths = documented(read(root, LAYOUT))
    listed: list[str] = runpy.run_path(str(root / LIST))["documented"]()

    def covers(place: str, path: str) -> bool:
        return path == place or path.startswith(f"{place}/")

    return [
        f"{LAYOUT}: {path} is not in {LIST}, so a removal would leave it"
        for path in paths
        if not any(covers(place, path) for place in listed)
    ] + [f"{LIST}: {place} is not in {LAYOUT}" for place in listed if not any(covers(place, path) for path in paths)]
