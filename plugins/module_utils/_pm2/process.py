# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One process of a PM2 daemon, from what its getMonitorData answers, which is what `pm2 jlist` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import Pm2Error

_INSTANCE_VARIABLE = "NODE_APP_INSTANCE"
DEAD = frozenset({"stopped", "errored"})
# PM2's own, in milliseconds, where an app says nothing
_KILL_TIMEOUT = 1600
# Seconds. What a process is said to need the service's daemon says.
_LONGEST_STOP = 3600.0
# A record of PM2's has about five. What is nested as deeply as Python reads it, it can neither write nor compare.
_MOST_LEVELS = 50
_MB = 1024 * 1024
_UNITS = {"B": 1, "KiB": 1024, "MiB": _MB, "GiB": 1024 * _MB}
_MILLISECONDS = {"ms": 1}


@dataclasses.dataclass(frozen=True)
class Pm2Process:
    name: str
    pm_id: int
    pid: int | None
    status: str
    restarts: int
    started_at: float
    """Seconds since the epoch at which the present operating system process was started; 0 when unknown."""
    heap_used: int | None = None
    """Bytes, as the process told PM2; like `heap_total` missing until it did."""
    heap_total: int | None = None
    event_loop_p50: float | None = None
    """Milliseconds that its event loop is late, as the process told PM2: the median, and below what 95 of 100 are."""
    event_loop_p95: float | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """PM2's own record of it, the environment included: never shown."""

    @property
    def online(self) -> bool:
        return self.status == "online" and self.pid is not None

    @property
    def dead(self) -> bool:
        """PM2 has given it up or was told to stop it: it does not come back by itself."""
        return self.status in DEAD

    @property
    def instance(self) -> int:
        """Its number among the instances of its app, from 0 on, which its successor will have as well."""
        number = self.settings.get(str(self.settings.get("instance_var") or _INSTANCE_VARIABLE))
        return number if isinstance(number, int) else 0

    @property
    def stop_seconds(self) -> float:
        """So long PM2 waits for it to end before it is killed."""
        return min(_seconds(self.settings.get("kill_timeout") or _KILL_TIMEOUT, _KILL_TIMEOUT / 1000), _LONGEST_STOP)

    def report(self) -> dict[str, Any]:
        """What may be shown to people: never the environment."""
        return {
            "name": self.name,
            "pm_id": self.pm_id,
            "pid": self.pid,
            "status": self.status,
            "restarts": self.restarts,
        }


def parse_processes(entries: Any) -> list[Pm2Process]:
    """PM2's own records of its processes. Raises Pm2Error, never quoting them.

    The settings in them are what the daemon says, of whatever types.

    An outgoing worker of a reload, whose id is such as "_old_0", is left out: its number is its successor's already.
    PM2 7.0.4 leaves it out itself (getFormatedProcesses).
    """
    # of an empty text or object there would be no process
    if not isinstance(entries, list):
        raise Pm2Error(f"PM2 gave something else than a process list ({type(entries).__name__})")
    try:
        _require_shallow(entries)
        return [_process(entry) for entry in entries if not str(entry["pm_id"]).startswith("_old_")]
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
        pm_id=int(entry["pm_id"]),
        pid=pid if pid > 0 else None,
        status=status_of(settings),
        restarts=int(settings.get("restart_time") or 0),
        started_at=float(settings.get("pm_uptime") or 0) / 1000,
        heap_used=_bytes(monitor.get("Used Heap Size")),
        heap_total=_bytes(monitor.get("Heap Size")),
        event_loop_p50=_figure(monitor.get("Event Loop Latency"), _MILLISECONDS),
        event_loop_p95=_figure(monitor.get("Event Loop Latency p95"), _MILLISECONDS),
        settings=settings,
    )


def _require_shallow(value: Any) -> None:
    """Raises ValueError for what is nested so deeply that only an attacker can have made it."""
    level = [value]
    for _number in range(_MOST_LEVELS):
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise ValueError


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _seconds(value: Any, otherwise: float) -> float:
    """A number of milliseconds, in seconds; `otherwise` where it is none."""
    try:
        found = float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return otherwise
    # neither negative nor NaN
    return found if found >= 0 else otherwise


def _bytes(metric: Any) -> int | None:
    found = _figure(metric, _UNITS)
    try:
        return None if found is None else round(found)
    except (ValueError, OverflowError):
        return None


def _figure(metric: Any, units: Mapping[str, int]) -> float | None:
    """A figure such as {value: "9.20", unit: MiB}, in the unit that counts as 1; None where it is none."""
    if not isinstance(metric, dict) or metric.get("unit") not in units:
        return None
    try:
        return float(metric["value"]) * units[metric["unit"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def status_of(settings: Mapping[str, Any]) -> str:
    """The status that a process really has, from PM2's own record of it.

    With a back-off PM2 says `waiting restart` of every process that ended, also where it has set no timer and nothing
    restarts it (God.handleExit of PM2 7.0.4): of one that was given up, whose `created_at` it has cleared, and of one
    that is not to be restarted.
    """
    status = str(settings.get("status") or "unknown")
    if status != "waiting restart":
        return status
    if settings.get("created_at", 0) is None:
        return "errored"
    final = stays_stopped(settings.get("exit_code"), settings.get("stop_exit_codes"))
    return "stopped" if final or settings.get("autorestart") in (False, "false") else status


def stays_stopped(code: Any, codes: Any) -> bool:
    """Whether an exit code is one of those after which a process is to stay stopped. Both may be of any type."""
    if codes is None:
        return False
    # PM2 keeps a list of one as the bare number
    return str(code) in map(str, codes if isinstance(codes, list) else [codes])
