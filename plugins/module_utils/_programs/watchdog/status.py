# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog publishes: its status file for programs, made of the state, the assessment and the readings."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._host.atomic import save
from ..._service.active import release_of
from ..codes import Code
from .model import TARGETS, Assessment, Remedy
from .readings import Readings, Worker
from .settings import Settings
from .state_files import Pause
from .state_machine import State
from .usage import MB

_LONGEST_LAG = 60.0
"""Seconds that an event loop can be late: a worker that does not answer is replaced long before."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """The same moment by two clocks: seconds since boot, which the state uses, and since the epoch."""

    boot: float
    wall: float

    def to_wall(self, boot: float) -> float:
        return round(self.wall - (self.boot - boot), 3)


def describe(
    settings: Settings,
    state: State,
    seen: Assessment,
    readings: Readings,
    *,
    pause: Pause | None,
    moment: Moment,
    steps: Mapping[Remedy, int],
) -> dict[str, Any]:
    """The content of status.json; times in seconds since the epoch. `steps`: how many the watchdog has begun."""
    since = max((target.since for target in state.targets.values() if target.phase is state.phase), default=0.0)
    return {
        "service": settings.service,
        "host": socket.gethostname(),
        "time": round(moment.wall, 3),
        "state": "paused" if pause else state.phase,
        "since": pause.since if pause else moment.to_wall(since),
        "paused_until": pause.until if pause else None,
        "paused_by": pause.by if pause else None,
        "targets": {target: _target(target, state, seen, moment) for target in TARGETS},
        "problems": _problems(state, seen, moment),
        "diagnosed": None if seen.diagnosed is None else moment.to_wall(seen.diagnosed),
        "diagnosis": _diagnosis(settings, seen, moment),
        "budget": _budget(settings, state, moment),
        "limits": {"heap": settings.heap_limit_mb * MB or None, "memory": settings.memory_restart_mb * MB or None},
        "actions_total": state.actions_total,
        "steps": {remedy.value: steps.get(remedy, 0) for remedy in Remedy},
        "live": _live(settings, readings),
        "deployments": {result: dataclasses.asdict(one) for result, one in readings.deployed.items()},
        "watchdog": dataclasses.asdict(readings.own),
        "readings": _readings(readings),
    }


def _target(target: str, state: State, seen: Assessment, moment: Moment) -> dict[str, Any]:
    condition, inhibition = seen.conditions.get(target), seen.inhibitions.get(target)
    return {
        "phase": state.targets[target].phase,
        "since": moment.to_wall(state.targets[target].since),
        "condition": {"code": condition.code, "message": condition.message} if condition else None,
        "inhibition": {"code": inhibition.code, "message": inhibition.message} if inhibition else None,
    }


def _problems(state: State, seen: Assessment, moment: Moment) -> list[dict[str, Any]]:
    """Those that were reported and are not over, in the words of the last probe where it has seen them."""
    now = {problem.key: problem.message for problem in seen.problems if problem.seen}
    for target, condition in seen.conditions.items():
        if condition:
            now[target] = condition.message
    for target, inhibition in seen.inhibitions.items():
        if inhibition:
            now[f"{target}.{inhibition.code}"] = inhibition.message
    return [
        {
            "key": key,
            "code": item.problem.code,
            "severity": item.problem.severity,
            "since": moment.to_wall(item.since),
            "message": now.get(key, item.problem.message),
            # a spent budget is the watchdog's own, which no probe sees
            "seen": key in now or item.problem.code == Code.BUDGET_SPENT,
        }
        for key, item in sorted(state.problems.items())
    ]


def _budget(settings: Settings, state: State, moment: Moment) -> dict[str, Any]:
    """Each target has its own."""
    used = {
        name: sum(moment.boot - begun < settings.restart_budget_window for begun in state.targets[name].actions)
        for name in TARGETS
    }
    return {"used": used, "limit": settings.restart_budget, "window": settings.restart_budget_window}


def _diagnosis(settings: Settings, seen: Assessment, moment: Moment) -> dict[str, Any]:
    """The last run that found anything out, if there was one since the watchdog was started."""
    interval = {"interval": settings.diagnosis_interval or None}
    if not seen.diagnosis:
        return interval
    return {**interval, **dataclasses.asdict(seen.diagnosis), "ended": moment.to_wall(seen.diagnosis.ended)}


def _live(settings: Settings, readings: Readings) -> dict[str, str] | None:
    """None where nothing is active, and of a service that has no releases of these roles."""
    if settings.existing or not readings.activation:
        return None
    return {"release": release_of(readings.activation), "activation": readings.activation}


def _readings(readings: Readings) -> dict[str, Any]:
    answers = readings.answers
    proxy = readings.proxy
    return {
        "release": readings.activation,
        "daemon": {
            "state": readings.daemon.state,
            "pid": readings.daemon.pid,
            "rss": readings.daemon_mb * MB or None,
        },
        "workers": [
            {
                "pm_id": worker.number,
                "pid": worker.process.pid,
                "status": worker.process.status,
                "online": worker.process.online,
                "age": None if worker.age is None else round(worker.age, 1),
                "restarts": worker.process.restarts,
                "rss": worker.usage.rss or None,
                "cpu_seconds": worker.usage.cpu_seconds,
                "open_files": worker.usage.open_files,
                "heap_used": worker.process.heap_used,
                "heap_size": worker.process.heap_total,
                "event_loop_ms": _event_loop(worker),
                "answer_ms": answers.answer_ms.get(worker.process.pid or 0),
                "problem": answers.answers.get(worker.process.pid or 0, ""),
                "pool": answers.pools.get(worker.process.pid or 0),
            }
            for worker in readings.workers
        ],
        "proxy": {"kind": proxy.kind, "problem": proxy.problem} if proxy else None,
        "restarts": readings.restarts,
        "surplus": list(readings.surplus),
        "memory_percent": readings.memory_percent,
        "host": {"available": readings.memory_available, "total": readings.memory_total},
        "disk": {path: dataclasses.asdict(room) for path, room in readings.room.items()},
        "log_bytes": readings.log_bytes,
        "changing": readings.changing,
        "deployment": readings.deployment,
        "probe_seconds": round(readings.seconds, 3),
    }


def _event_loop(worker: Worker) -> dict[str, float | None]:
    """Return how late it is, in milliseconds, without what can't be.

    A loop is not late for longer than its process is old, nor for so long that the worker was replaced before: a host
    or a container that was suspended makes such a reading, or whoever writes to PM2's daemon.
    """
    most = min(worker.age or 0.0, _LONGEST_LAG) * 1000
    lags = {"p50": worker.process.event_loop_p50, "p95": worker.process.event_loop_p95}
    return {share: lag if lag is not None and lag <= most else None for share, lag in lags.items()}


def publish(path: Path, status: dict[str, Any]) -> None:
    """Replace the file atomically. Raises OSError. What is in it may quote statements, so that others can't read it."""
    text = json.dumps(status, ensure_ascii=False) + "\n"
    # what workers say of themselves may be no text at all
    save(path, text.encode("utf-8", "replace"), 0o640)
