# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PM2 daemon that is not what is installed: cluster workers run under the Node.js that the daemon runs under."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ._activation import ActivationError
from ._pm2_client import Pm2Client
from ._pm2_daemon import Daemon, daemon_of, with_versions
from ._release import MARK

_NODE_SECONDS = 20.0


def outdated_daemon(client: Pm2Client) -> Daemon | None:
    """The daemon when it is not what is installed, else None."""
    daemon = daemon_of(client)
    return with_versions(client, daemon) if daemon and daemon.outdated else None


def require_abi(client: Pm2Client, daemon: Daemon, release: Path) -> None:
    """Raise ActivationError when the release was built for another Node.js than this daemon's workers run under."""
    built = _built_for(release)
    if not built or not daemon.other_node:
        return
    running = _abi(client, daemon)
    if running and running != built:
        raise ActivationError(
            f"release {release.name} was built for Node.js {daemon.installed_node} (ABI {built}), but the PM2 daemon,"
            f" and so every cluster worker, still runs under {daemon.node} (ABI {running}). Have the daemon restarted"
            " (the service is down meanwhile) by pm2_restart_outdated_daemon: true"
        )


def _built_for(release: Path) -> str:
    try:
        return str(json.loads((release / MARK).read_text(encoding="utf-8")).get("node_abi", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _abi(client: Pm2Client, daemon: Daemon) -> str:
    try:
        done = client.as_user([f"/proc/{daemon.pid}/exe", "--print", "process.versions.modules"], _NODE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
