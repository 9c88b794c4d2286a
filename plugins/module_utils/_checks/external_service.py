# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that runs under something else than the roles: a PM2 made by hand, a systemd unit, a shell. Reads only.

Its processes are told as a PM2 daemon's are, so that everything that judges those judges these as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .._host import proc
from .._host.processes import ProcessError, load_library, pid_of_file, process_of_unit
from .._host.units import UnitError
from .._pm2.client import Pm2Client
from .._pm2.process import Pm2Process
from .._pm2.rpc import ABSENT, WELL, DaemonReading, read_daemon

PM2, SYSTEMD, PROCESS = "pm2", "systemd", "process"
_DEFAULT_PORT = 80


@dataclasses.dataclass(frozen=True)
class Existing:
    """Where it is. What the supervisor does not need is empty."""

    supervisor: str
    """pm2, systemd or process."""
    url: str
    """Its own health address, past every proxy."""
    app: str = ""
    pm2_home: str = ""
    unit: str = ""
    pid_file: str = ""
    """Of a process of its own; empty: whatever listens on the URL's port."""
    instances: int = 0
    """Processes that there should be; 0: as many as its supervisor has."""

    @classmethod
    def of(cls, section: Mapping[str, Any] | None) -> Existing | None:
        """None where the roles run the service themselves. Raises TypeError where the section is something else."""
        return cls(**section) if section else None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or _DEFAULT_PORT


def read_existing(existing: Existing, client: Pm2Client, timeout: float) -> DaemonReading:
    """Its supervisor and its processes, within `timeout` seconds."""
    if existing.supervisor == PM2:
        daemon = read_daemon(client, timeout)
        own = tuple(process for process in daemon.processes if process.name == existing.app)
        return dataclasses.replace(daemon, processes=own)
    try:
        process = _of_unit(existing.unit) if existing.supervisor == SYSTEMD else _of_pid(existing)
    except (ProcessError, UnitError) as error:
        return DaemonReading(ABSENT, str(error))
    return DaemonReading(WELL, "", None, (process,))


def _of_unit(unit: str) -> Pm2Process:
    """Raises ProcessError and UnitError."""
    return _process(unit, *process_of_unit(unit))


def _of_pid(existing: Existing) -> Pm2Process:
    """Raises ProcessError."""
    if existing.pid_file:
        return _process(Path(existing.pid_file).name, pid_of_file(existing.pid_file))
    return _process(f"port {existing.port}", listener(existing.port))


def _process(name: str, pid: int, restarts: int = 0) -> Pm2Process:
    """Raises ProcessError."""
    psutil = load_library("psutil", "python3-psutil")
    try:
        started = float(psutil.Process(pid).create_time())
    except psutil.Error as error:
        raise ProcessError(f"process {pid} of {name} has just ended, or is another user's") from error
    return Pm2Process(name, 0, pid, "online", restarts, started)


def listener(port: int) -> int:
    """The process that listens on a TCP port: of several that share it, the one that started the others.

    Raises ProcessError, also where it belongs to a user into whose processes one may not look.
    """
    psutil = load_library("psutil", "python3-psutil")
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    if not listening:
        raise ProcessError(f"nothing listens on port {port}; start the service")
    pids: set[int] = {connection.pid for connection in listening if connection.pid}
    if not pids:
        raise ProcessError(f"port {port} is another user's: service_user must be the user that runs the service")
    return min(pids, key=_started)


def _started(pid: int) -> tuple[float, int]:
    found = proc.stat(pid)
    return found.started if found else float("inf"), pid
