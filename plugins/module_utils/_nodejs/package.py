# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release needs of the Node.js that is installed: its version, and the ABI of its native addons."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from .._host.command import Identity, clean_environment, run
from .._host.errors import StabilityError
from .._host.service_tree import entries, open_directory, read

# npm's own rules, from the npm that lies beside node: what npm calls satisfied is satisfied.
_ENGINE = """
const [npm, range] = process.argv.slice(1);
const semver = require('module').createRequire(require('fs').realpathSync(npm))('semver');
const valid = semver.validRange(range) !== null;
const satisfied = valid && semver.satisfies(process.version, range, { includePrerelease: true });
console.log(JSON.stringify({ valid, satisfied, version: process.versions.node }));
"""
_TIMEOUT = 30
_MANIFEST_BYTES = 8 << 20
# Addons that are made with Node-API run under any ABI. The others export `node_register_module_v<ABI>`, or register
# themselves and are known by what Node.js says when it loads them.
_ADDON_BYTES = 1 << 30
_ELF = b"\x7fELF"
_NODE_API = re.compile(rb"napi_register_module_v\d|napi_module_register")
_NAMED = re.compile(rb"node_register_module_v(\d+)")


def node_abi(bin_directory: Path) -> str:
    """Version of the binary interface (NODE_MODULE_VERSION) that native addons are built for, such as `137`."""
    return _node(bin_directory, "--print", "process.versions.modules").strip()


def manifest(release: Path, user: Identity) -> dict[str, Any] | None:
    """package.json of a release as its user reads it, None without one. Raises StabilityError when it is broken."""
    try:
        found = json.loads(read(release / "package.json", _MANIFEST_BYTES, user))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StabilityError(
            f"The release's package.json can't be read by the user {user.name}: {error.strerror}"
        ) from error
    except ValueError as error:
        raise StabilityError(f"The release's package.json is no valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise StabilityError("The release's package.json is no JSON object.")
    return found


def require_engine(release: Path, bin_directory: Path, user: Identity) -> None:
    """Raise StabilityError when package.json has an engines.node that the installed Node.js does not satisfy."""
    engines = (manifest(release, user) or {}).get("engines")
    desired = engines.get("node") if isinstance(engines, dict) else None
    if not desired:
        return
    found = json.loads(_node(bin_directory, "--eval", _ENGINE, str(bin_directory / "npm"), str(desired)))
    if not found["valid"]:
        raise StabilityError(f"The engines.node of package.json, {desired!r}, is no range of versions, such as '>=22'.")
    if not found["satisfied"]:
        raise StabilityError(
            f"The release needs Node.js {desired} (engines.node of package.json), but {bin_directory}/node is "
            f"{found['version']}: set nodejs_version, or deploy a release for {found['version']}."
        )


def _node(bin_directory: Path, *arguments: str) -> str:
    environment = clean_environment("/nonexistent", bin_directory, {})
    return run([bin_directory / "node", *arguments], cwd="/", environment=environment, timeout=_TIMEOUT)


def addons(release: Path) -> list[Path]:
    """The release's native addons for this kind of system that only one ABI of Node.js can load."""
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
