# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be so before anything is started: memory, the Node.js that the release needs, addons that it can load."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .._host import proc
from .._nodejs.package import addons, built_for, require_engine
from .._pm2.client import Pm2Client
from .._pm2.daemon import Daemon, daemon_of, with_versions
from .actual import Actual
from .context import Context
from .model import ActivationError
from .plan import Decision

_NODE_SECONDS = 20.0
_LOAD = "try { process.dlopen({ exports: {} }, process.argv[1]) } catch (error) { console.log(error.message) }"
_ANOTHER_ABI = re.compile(r"NODE_MODULE_VERSION (\d+)")
_LEAST_MB = 100


def check_host(context: Context, actual: Actual, decision: Decision) -> None:
    """What is looked at before anything is started, in check mode too: `engines` of the release, and memory for it."""
    release = context.places.release(decision.release)
    if release.is_dir():
        require_engine(release, Path(context.client.node).parent, context.user)
    old = context.places.app_name(actual.active) if actual.active else ""
    resident = [_resident_mb(process.pid) for process in actual.processes(old) if process.pid]
    # what is stopped first makes room
    available = _available_mb() + (0 if context.desired.overlap else sum(resident))
    require_memory(context.desired.instances, resident, available)


def require_memory(instances: int, resident: list[int], available: int) -> None:
    """Raise ActivationError when so many new processes, each as large as the running ones, would not fit.

    Sizes are in MB, as they are now, whatever the plan says.
    """
    each = max([_LEAST_MB, *resident])
    needed = instances * each
    if needed > available:
        measured = "as large as the largest that runs now" if each > _LEAST_MB else "the least that Node.js needs"
        raise ActivationError(
            f"not enough memory to start the new processes: {instances} x {each} MB ({measured})"
            f" = {needed} MB, and {available} MB are available. Free memory, or set service_instances lower"
        )


def _available_mb() -> int:
    return _megabytes(proc.fields(Path("/proc/meminfo").read_text(encoding="utf-8")), "MemAvailable")


def _resident_mb(pid: int) -> int:
    return _megabytes(proc.status(pid), "VmRSS")


def _megabytes(table: Mapping[str, str], name: str) -> int:
    return int(table.get(name, "0").split()[0]) // 1024


def outdated_daemon(client: Pm2Client) -> Daemon | None:
    """The daemon when it is not what is installed, else None."""
    daemon = daemon_of(client)
    return with_versions(client, daemon) if daemon and daemon.outdated else None


def require_addons(client: Pm2Client, release: Path, daemon: int | None, outdated: Daemon | None) -> None:
    """Raise ActivationError when the release has native addons that its Node.js can't load.

    daemon is the process whose Node.js the cluster workers run under; None when that is the installed one.
    outdated tells that another one is installed since.
    """
    files = addons(release)
    node = f"/proc/{daemon}/exe" if daemon else client.node
    running = _said(client, [node, "--print", "process.versions.modules"]) if files else ""
    for path in files:
        built = built_for(path) or _refused(client, node, path)
        if running and built and built != running:
            raise ActivationError(
                f"release {release.name} can't run here: its native addon {path.relative_to(release)} was built for a"
                f" Node.js of ABI {built}, and {_advice(running, daemon, outdated)}"
            )


def _advice(running: str, daemon: int | None, outdated: Daemon | None) -> str:
    if outdated and outdated.other_node and daemon:
        return (
            f"the PM2 daemon, and so every cluster worker, still runs under {outdated.node} (ABI {running}), where"
            f" {outdated.installed_node} is installed. Have the daemon restarted (the service is down meanwhile) by"
            " pm2_restart_outdated_daemon: true"
        )
    return (
        f"the processes run under ABI {running}. Deploy it from its source again, which builds it again, or one that"
        " was built elsewhere for this Node.js"
    )


def _refused(client: Pm2Client, node: str, addon: Path) -> str:
    """ABI that an addon which does not name it was built for, when Node.js refuses it for that; else ""."""
    found = _ANOTHER_ABI.search(_said(client, [node, "--eval", _LOAD, str(addon)]))
    return found[1] if found else ""


def _said(client: Pm2Client, argv: list[str]) -> str:
    try:
        done = client.as_user(argv, _NODE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
