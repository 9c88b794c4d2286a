# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release needs of the Node.js that is installed: its version, and the ABI of its native addons."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from .._host.command import Identity, clean_environment, run
from .._host.errors import StabilityError
from .._host.service_tree import Entry, entries, open_directory, read
from .._host.small_file import open_regular

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
_ADDON_BYTES = 256 << 20
_ELF = b"\x7fELF"
_NODE_API = re.compile(rb"napi_register_module_v\d|napi_module_register")
# A name in an ELF file ends with a NUL.
_NAMED = re.compile(rb"node_register_module_v(\d{1,9})\0")
_PIECE = 1 << 20
_LONGEST_NAME = 64


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
    except (ValueError, RecursionError) as error:
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


def other_manager(release: Path, bin_directory: Path, manager: str, user: Identity) -> str:
    """Return what to say where package.json asks for another version of the package manager than the host's, or ""."""
    name, _at, asked = str((manifest(release, user) or {}).get("packageManager")).partition("@")
    # what follows the plus is a digest
    asked = asked.partition("+")[0]
    if name != manager:
        return ""
    environment = clean_environment(user.home, bin_directory, {})
    found = run(
        [bin_directory / manager, "--version"], cwd="/", environment=environment, timeout=_TIMEOUT, identity=user
    )
    if asked == found.strip():
        return ""
    return (
        f"package.json asks for {manager} {asked} (packageManager), and the host has {manager} {found.strip()}:"
        f" set nodejs_{manager}_version to {asked}."
    )


def _node(bin_directory: Path, *arguments: str) -> str:
    environment = clean_environment("/nonexistent", bin_directory, {})
    return run([bin_directory / "node", *arguments], cwd="/", environment=environment, timeout=_TIMEOUT)


def addons(release: Path, made: float) -> dict[Path, str]:
    """The release's native addons for this kind of system that only one ABI of Node.js can load.

    Each with the ABI that it names, "" when it names none. made is when the release was declared whole, in seconds
    since the epoch, 0 where nobody has: where the service may write, only what is as it was then belongs to the
    release. By an addon of its own the service could otherwise have it refused for ever.
    """
    found = {}
    # what can't be read is no reason to refuse a release: whether it runs, the health check finds out
    with contextlib.suppress(OSError), open_directory(release) as top:
        for entry in entries(top, str(release), whole=False):
            if _belongs(entry, made) and (abi := _abi(entry)) is not None:
                found[Path(entry.path)] = abi
    return dict(sorted(found.items()))


def _belongs(entry: Entry, made: float) -> bool:
    """Whether it is a file named as an addon that the service has not made, or changed, since the release was made."""
    seen = entry.found
    if not entry.is_file or Path(entry.path).suffix != ".node" or seen.st_size > _ADDON_BYTES:
        return False
    # Nobody but the kernel sets the time of the last change: that of the content, the owner, the mode or a name.
    return seen.st_uid in (0, os.geteuid()) or seen.st_ctime <= made


def _abi(entry: Entry) -> str | None:
    """The ABI that an addon is for, "" when it names none; None when it is for any, or for another kind of system."""
    try:
        with open_regular(f"/proc/self/fd/{entry.handle}", follow=True) as file:
            return _abi_in(file)
    except OSError:
        return None


def _abi_in(file: BinaryIO) -> str | None:
    if file.read(len(_ELF)) != _ELF:
        return None
    named, before = "", b""
    # the file may grow meanwhile
    for _number in range(_ADDON_BYTES // _PIECE):
        piece = file.read(_PIECE)
        if not piece:
            break
        # a name may be in two pieces
        text = before + piece
        if _NODE_API.search(text):
            return None
        if not named and (match := _NAMED.search(text)):
            named = match[1].decode()
        before = text[-_LONGEST_NAME:]
    return named
