# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the toolchains on the host a release can run under.

package.json may say which Node.js it needs, and native addons are built for one kind of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .._host.command import Identity
from .._host.errors import StabilityError
from .._nodejs.package import addons, require_engine
from .._pm2.client import Pm2Client
from .._release.store import Releases
from .model import ActivationError

_NODE_SECONDS = 20.0
_LOAD = "try { process.dlopen({ exports: {} }, process.argv[1]) } catch (error) { console.log(error.message) }"
_ANOTHER_ABI = re.compile(r"NODE_MODULE_VERSION (\d+)")


def tools_for(installed: Pm2Client, release: Path, user: Identity) -> Pm2Client:
    """The installed Node.js and PM2; for a release that can't run under these the youngest on the host that it can.

    Raises StabilityError, with what is wrong with the installed ones, where there is none.
    """
    try:
        _require(installed, release, user)
    except StabilityError:
        for tools in _others(installed):
            with contextlib.suppress(StabilityError):
                _require(tools, release, user)
                return tools
        raise
    return installed


def _others(installed: Pm2Client) -> Iterator[Pm2Client]:
    """The other toolchains of the service, the youngest first; not what is half made, nor what was found damaged."""
    link = Path(installed.node).parent
    if not link.is_symlink():
        return
    whole = [path for path in link.resolve().parent.parent.glob("[!.]*/bin") if ".damaged" not in path.parent.name]
    for binaries in sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True):
        if binaries != link.resolve():
            yield replace(installed, pm2=str(binaries / "pm2"), node=str(binaries / "node"))


def _require(tools: Pm2Client, release: Path, user: Identity) -> None:
    require_engine(release, Path(tools.node).parent, user)
    found = addons(release, _made(release))
    running = tools.said([tools.node, "--print", "process.versions.modules"], _NODE_SECONDS) if found else ""
    for path, named in found.items():
        built = named or _refused(tools, path)
        if running and built and built != running:
            raise ActivationError(
                f"release {release.name} can't run here: its native addon {path.relative_to(release)} was built for a"
                f" Node.js of ABI {built}, and the installed one has ABI {running}. Deploy it from its source again,"
                " which builds it again, or one that was built elsewhere for this Node.js"
            )


def _made(release: Path) -> float:
    """When root has declared the release whole, in seconds since the epoch; 0 where it has no such mark of its own."""
    mark = Releases(release.parent, active_link=Path()).get(release.name)
    # a service that may write in its releases can give one the mark of another
    return mark.created if mark and mark.id == release.name else 0.0


def _refused(tools: Pm2Client, addon: Path) -> str:
    """ABI that an addon which does not name it was built for, when Node.js refuses it for that; else ""."""
    found = _ANOTHER_ABI.search(tools.said([tools.node, "--eval", _LOAD, str(addon)], _NODE_SECONDS))
    return found[1] if found else ""
