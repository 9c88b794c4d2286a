# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Native addons of a release that only one binary interface (ABI, NODE_MODULE_VERSION) of Node.js can load.

Those that are made with Node-API run under any. The others export `node_register_module_v<ABI>`, or register themselves
and are known by what Node.js says when it loads them.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from .._host.service_tree import entries, open_directory, read

_ADDON_BYTES = 1 << 30
_ELF = b"\x7fELF"
_NODE_API = re.compile(rb"napi_register_module_v\d|napi_module_register")
_NAMED = re.compile(rb"node_register_module_v(\d+)")


def addons(release: Path) -> list[Path]:
    """Files of the release that are addons for this kind of system and not made with Node-API."""
    found: list[Path] = []
    with contextlib.suppress(FileNotFoundError), open_directory(release) as top:
        found += [Path(entry.path) for entry in entries(top, str(release)) if entry.is_file]
    return sorted(path for path in found if path.suffix == ".node" and _bound(path))


def built_for(addon: Path) -> str:
    """The ABI that an addon names; "" when it names none."""
    found = _NAMED.search(read(addon, _ADDON_BYTES))
    return found[1].decode() if found else ""


def _bound(path: Path) -> bool:
    content = read(path, _ADDON_BYTES)
    return content.startswith(_ELF) and not _NODE_API.search(content)
