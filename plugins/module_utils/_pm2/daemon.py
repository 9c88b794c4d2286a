# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PM2 daemon itself: which versions it runs as, which are installed, and bringing it to these."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .._host import proc
from .._host.command import quiet_run
from .client import Pm2Client, unit_of
from .converge import save
from .errors import Pm2Error
from .process import Pm2Process
from .rpc import live_processes

_TITLE = re.compile(r"PM2 v(\S+): God Daemon")
_NODE_SECONDS = 20.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Daemon:
    """One running daemon. A version that is not known is empty."""

    pid: int
    unit: str
    """The systemd service that owns it; empty when it is in none."""
    pm2: str
    installed_pm2: str
    other_node: bool
    """It runs another program than the installed Node.js, though perhaps of the same version."""
    node: str = ""
    installed_node: str = ""

    @property
    def outdated(self) -> bool:
        return self.other_node or bool(self.pm2 and self.installed_pm2 and self.pm2 != self.installed_pm2)

    def difference(self) -> tuple[str, ...]:
        """What is outdated, for people."""
        pairs = (("PM2", self.pm2, self.installed_pm2), ("Node.js", self.node, self.installed_node))
        changed = tuple(
            f"{name}: {running} -> {installed}" for name, running, installed in pairs if running != installed
        )
        return changed or (("Node.js: another directory",) if self.other_node else ())


def daemon_of(client: Pm2Client) -> Daemon | None:
    """The daemon, or None when none runs, without the versions of Node.js. Never starts one."""
    pid = client.daemon_pid()
    if pid is None:
        return None
    return Daemon(pid, unit_of(pid), _running_pm2(pid), installed_pm2(client.pm2), client.outdated_node())


def with_versions(client: Pm2Client, daemon: Daemon) -> Daemon:
    """Asks both programs, which takes a moment. A daemon's can be asked even when its file has been deleted."""
    nodes = (f"/proc/{daemon.pid}/exe", client.node)
    running, installed = (client.said([node, "--version"], _NODE_SECONDS).removeprefix("v") for node in nodes)
    return replace(daemon, node=running, installed_node=installed)


def package_directory(pm2: str) -> Path:
    """Where PM2 is installed. Raises Pm2Error when the command is not the one of its package."""
    directory = Path(pm2).resolve().parent.parent
    if not (directory / "lib" / "Common.js").is_file():
        raise Pm2Error(
            f"{pm2} is no link into PM2's package: {directory} holds no lib/Common.js; name PM2's own command"
        )
    return directory


def installed_pm2(pm2: str) -> str:
    try:
        stated = json.loads((package_directory(pm2) / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, Pm2Error):
        return ""
    return str(stated.get("version", "")) if isinstance(stated, dict) else ""


def _running_pm2(pid: int) -> str:
    found = _TITLE.search(proc.text(pid, "cmdline"))
    return found[1] if found else ""


def update(client: Pm2Client, daemon: Daemon, wait: float) -> list[Pm2Process]:
    """Bring the daemon to what is installed; all apps that it had are there again afterwards. Raises Pm2Error.

    Every process is restarted: PM2 cannot hand its children over to another daemon.
    """
    processes = live_processes(client)
    before = {process.name for process in processes}
    save(client)
    if daemon.unit:
        _restart_unit(daemon.unit, client.stop_limit(processes))
    else:
        client.run("update", stops=processes)
    _wait_for_another(client, daemon, wait)
    if before - {process.name for process in live_processes(client)}:
        # the unit starts only what is declared for the boot
        client.run("resurrect")
    after = live_processes(client)
    _verify(client, before, after)
    return after


def _restart_unit(unit: str, limit: float) -> None:
    try:
        done = quiet_run(["systemctl", "restart", unit], limit)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Pm2Error(f"{unit} could not be restarted within {limit:g} s: {type(error).__name__}") from error
    if done.returncode != 0:
        raise Pm2Error(f"{unit} could not be restarted: {done.stderr.strip()}")


def _wait_for_another(client: Pm2Client, daemon: Daemon, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            if client.require_daemon() != daemon.pid:
                return
            problem = f"process {daemon.pid} still runs"
        except Pm2Error as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise Pm2Error(f"no other PM2 daemon answers {wait:g} s after the update: {problem}")
        time.sleep(_POLL_SECONDS)


def _verify(client: Pm2Client, before: set[str], after: Sequence[Pm2Process]) -> None:
    missing = before - {process.name for process in after}
    if missing:
        names = ", ".join(sorted(missing))
        raise Pm2Error(f"after the update of the daemon PM2 lacks {names}; the saved list has them")
    now = daemon_of(client)
    if now is None or now.outdated:
        what = ", ".join(with_versions(client, now).difference()) if now else "it is gone"
        where = f"see ExecStart of {now.unit}" if now and now.unit else f"see what {client.pm2} and {client.node} are"
        raise Pm2Error(f"the PM2 daemon was restarted and is still not what is installed ({what}): {where}")
