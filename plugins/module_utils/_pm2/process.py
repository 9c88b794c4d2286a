# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a PM2 daemon as checks need them: read without ever starting a daemon, and without any environment.

`pm2 jlist` starts a daemon where none answers, and prints every process's whole environment. So the daemon is asked for
on its own socket first, and nothing of pm2_env but the named figures leaves the parser.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from .client import Pm2Client, Pm2Error, status_of

_MB = 1024 * 1024
_UNITS = {"B": 1, "KiB": 1024, "MiB": _MB, "GiB": 1024 * _MB}


@dataclasses.dataclass(frozen=True)
class Pm2Process:
    name: str
    pm_id: int
    pid: int | None
    status: str
    restarts: int
    unstable_restarts: int
    started_at: float
    """Seconds since the epoch; 0 when unknown."""
    heap_used: int | None = None
    """Bytes, as the process told PM2; like `heap_total` missing until it did."""
    heap_total: int | None = None

    @property
    def online(self) -> bool:
        return self.status == "online" and self.pid is not None


def read_pm2(client: Pm2Client) -> list[Pm2Process]:
    """Every process of the daemon. Raises Pm2Error."""
    if client.missing:
        raise Pm2Error(client.missing)
    return parse_jlist(client.run("jlist"))


def parse_jlist(output: str) -> list[Pm2Process]:
    """The last line that `pm2 jlist` prints; notices may come before it. Raises Pm2Error, never quoting the output."""
    lines = output.strip().splitlines()
    if not lines or not lines[-1].startswith("["):
        raise Pm2Error("`pm2 jlist` printed no process list")
    try:
        return parse_processes(json.loads(lines[-1]))
    except (ValueError, RecursionError) as error:
        raise Pm2Error(f"`pm2 jlist` printed something else than a process list ({type(error).__name__})") from None


def parse_processes(entries: Any) -> list[Pm2Process]:
    """PM2's own records of its processes, as it prints them or tells them. Raises Pm2Error, never quoting them."""
    try:
        return [_process(entry) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Pm2Error(f"PM2 gave something else than a process list ({type(error).__name__})") from None


def select(processes: Iterable[Pm2Process], apps: Iterable[str], prefix: str) -> list[Pm2Process]:
    """Those of the named apps and those whose name begins with `prefix`."""
    names = set(apps)
    return [process for process in processes if process.name in names or (prefix and process.name.startswith(prefix))]


def _process(entry: Mapping[str, Any]) -> Pm2Process:
    settings = entry["pm2_env"]
    monitor = settings.get("axm_monitor") or {}
    pid = int(entry.get("pid") or 0)
    return Pm2Process(
        name=str(entry["name"]),
        # during a reload the outgoing worker is listed with an id such as "_old_0"
        pm_id=int(str(entry["pm_id"]).removeprefix("_old_")),
        pid=pid if pid > 0 else None,
        status=status_of(settings),
        restarts=int(settings.get("restart_time") or 0),
        unstable_restarts=int(settings.get("unstable_restarts") or 0),
        started_at=float(settings.get("pm_uptime") or 0) / 1000,
        heap_used=_bytes(monitor.get("Used Heap Size")),
        heap_total=_bytes(monitor.get("Heap Size")),
    )


def _bytes(metric: Any) -> int | None:
    """A figure such as {value: "9.20", unit: MiB}."""
    if not isinstance(metric, dict) or metric.get("unit") not in _UNITS:
        return None
    try:
        return round(float(metric["value"]) * _UNITS[metric["unit"]])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
