# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Four weeks of a service that never was, the same ones each time: what a report of it is made of."""

from __future__ import annotations

import bisect
import math
import random
from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._programs.history import (
    DAY,
    MINUTE,
    WEEKS,
    Event,
    History,
    Kept,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.text import BOUNDS
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.facts import Facts
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.series import SPANS

NOW = 1_764_082_500.0
"""2025-11-25 14:55 UTC."""
MB = 1024 * 1024
_LEAK = (NOW - 7 * 3600, NOW - 2.4 * 3600)
_OUTAGE = (NOW - 9.6 * DAY, NOW - 9.6 * DAY + 1500)
_BROKEN = "20251120-1155-0d1e5ab"
_SLOW = (NOW - 19.5 * 3600, NOW - 18.7 * 3600)


def _within(time: float, span: tuple[float, float]) -> bool:
    return span[0] <= time < span[1]


def minute(time: int, chance: random.Random) -> dict[str, tuple[float, float]]:
    """What is recorded of one minute."""
    hour = time % DAY / 3600
    busy = 0.35 + 0.65 * max(0.0, math.sin((hour - 5) / 18 * math.pi)) if hour >= 5 else 0.35
    rate = 42 * busy * (0.75 if time // DAY % 7 in (2, 3) else 1.0) * chance.uniform(0.85, 1.15)
    down, slow = _within(time, _OUTAGE), _within(time, _SLOW)
    found = {**_requests(round(rate * MINUTE), down, slow, chance), **_workers(time, busy, slow, chance)}
    healthy = not down and not _within(time, (NOW - 2.4 * 3600, NOW - 2.38 * 3600))
    found |= {
        "healthy": float(healthy),
        "daemon.rss": 74 * MB,
        "memory.host": 52 + 6 * busy,
        "connections.limit": 40,
        "connections.open": round(8 + 14 * busy * chance.uniform(0.8, 1.2) + (12 if slow else 0)),
        "disk./": 71 + (time - NOW + WEEKS) / WEEKS * 15,
        "log.bytes": rate * MINUTE * 420 * chance.uniform(0.9, 1.1),
    }
    return {name: (value, value) for name, value in found.items()}


def _requests(count: int, down: bool, slow: bool, chance: random.Random) -> dict[str, float]:
    errors = round(count * 0.8) if down else round(count * chance.choice([0, 0, 0, 0.0004])) + (40 if slow else 0)
    took = [0.012 * chance.lognormvariate(0, 0.9) * (14 if slow else 1) for _n in range(60)]
    counts = [0] * len(BOUNDS)
    for seconds in took:
        counts[bisect.bisect_left([float(bound) for bound in BOUNDS], seconds)] += 1
    shares = {f"seconds.{bound}": count * some / len(took) for bound, some in zip(BOUNDS, counts, strict=True)}
    return shares | {
        "requests.1xx": round(count / 30),
        "requests.2xx": count - errors,
        "requests.3xx": round(count / 15),
        "requests.4xx": round(count * chance.uniform(0.004, 0.012)),
        "requests.5xx": errors,
        "requests.slow": round(count * (0.02 if slow else 0.0006)),
        "objective.availability": 99.9,
        "objective.latency": 99,
        "objective.latency_threshold": 0.5,
    }


def _workers(time: int, busy: float, slow: bool, chance: random.Random) -> dict[str, float]:
    found: dict[str, float] = {"limit.memory": 384 * MB, "limit.heap": 304 * MB}
    for worker in range(4):
        leaked = (time - _LEAK[0]) / 3600 * 42 if worker == 2 and _within(time, _LEAK) else 0.0
        used = 128 + 9 * worker + 22 * busy + chance.uniform(-4, 4) + leaked
        lag = 2.2 * chance.lognormvariate(0, 0.35) * (1 + busy) * (6 if slow else 1)
        found |= {f"worker.{worker}.rss": used * MB, f"worker.{worker}.heap": (used * 0.62 - 10) * MB}
        found |= {f"worker.{worker}.loop_p50": 0.4, f"worker.{worker}.loop_p95": lag}
    return found


def events() -> list[Event]:
    releases = {
        26.2: "20251030-0841-9f3c1ab",
        19.1: "20251106-1120-4bb07de",
        11.0: "20251114-1502-c01de55",
        4.9: "20251120-1611-77aa0f2",
        0.45: "20251125-0402-e5d9a41",
    }
    found = [Event(NOW - days * DAY, "deployment", name, "succeeded", "info", name) for days, name in releases.items()]
    found.append(Event(NOW - 5.1 * DAY, "deployment", _BROKEN, "failed", "warning", _BROKEN))
    found += _problem(_OUTAGE, "service", "no_answer", "critical", "No worker has answered for 15 s.")
    for seconds, code in ((60, "restart_app"), (240, "restart_daemon"), (1200, "restart_app")):
        found.append(Event(_OUTAGE[0] + seconds, "action", f"service.{code}", code, "info", "done in 2.1 s"))
    found += _problem(_SLOW, "diagnose.event_loop", "finding", "warning", "worker 1 answers in 812 ms")
    full = "worker 2 has 371 of 384 MB"
    found += _problem((_LEAK[1], _LEAK[1] + 95), "service.memory", "memory_near_limit", "warning", full)
    found += [
        Event(_LEAK[1] + 12, "action", "service.reload_worker", "reload_worker", "info", "worker 2: done in 3.4 s"),
        Event(NOW - 15.3 * DAY, "restart", "service", "", "", "worker 3 ended unasked, and PM2 started it again"),
        Event(NOW - 5200, "problem", "diagnose.disk./", "finding", "warning", "86.1 % used, 5730 MB free"),
    ]
    return sorted(found, key=lambda event: event.time)


def _problem(span: tuple[float, float], key: str, code: str, severity: str, message: str) -> list[Event]:
    kinds = zip(span, ("problem", "resolved"), strict=True)
    return [Event(time, kind, key, code, severity, message) for time, kind in kinds]


def finding(check: str, status: str, message: str, value: float | None = None, unit: str = "") -> dict[str, Any]:
    return {"check": check, "status": status, "message": message, "value": value, "threshold": None, "unit": unit}


_N_PLUS_ONE = """N+1 suspect: 4120 calls in 10 min, 1.0 rows and 0.1 ms each, 412 ms together (61 % of all calls, 12 %
 of the time): SELECT * FROM items WHERE order_id = $1; 206 calls of this one gave 4120 rows: SELECT * FROM orders WHERE
 customer = $1. Read all rows with one JOIN, or = ANY of a list.""".replace("\n", "")
_CALM = "41 kinds of statements in 10 min; the slowest takes 38.2 ms on average, 41 calls"
FINDINGS = [
    finding("release", "ok", "20251125-0402-e5d9a41 is active"),
    finding("health", "ok", "4 workers answer"),
    finding("event_loop.0", "ok", "answers in 3 ms", 3, "ms"),
    finding("memory.rss.2", "ok", "141.2 of 384 MB", 36.8, "%"),
    finding("disk./", "warning", "5730 MB free; used: 86.1 %. Free space, beginning with old releases.", 86.1, "%"),
    finding("connections.of.shop", "ok", "shop has 19 connections open and may have 40", 19, "connections"),
    finding("statements.slow", "ok", _CALM, 38.2, "ms"),
    finding("statements.n_plus_one.8812", "warning", _N_PLUS_ONE, 4120, "calls"),
    finding("indexes", "ok", "23 indexes, 0 INVALID; never used in 28 days: items_note_idx", 0, "indexes"),
]
WORST = {
    "statements.slow.5521": {
        "status": "warning",
        "message": "612.4 ms on average, 96 calls, 1.0 rows each: SELECT count(*) FROM events WHERE at > $1.",
        "time": NOW - 19 * 3600,
    },
}
STATUS = {
    "live": {"release": "20251125-0402-e5d9a41"},
    "state": "healthy",
    "since": _LEAK[1] + 95,
    "problems": [{"key": "diagnose.disk./", "severity": "warning", "message": "86.1 % used, 5730 MB free"}],
}


def filled(path: Path, begin: float = NOW - WEEKS) -> Path:
    """A history, which takes some seconds to write."""
    history, chance = History(path), random.Random(4)
    history._database.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
    for time in range(int(begin) // MINUTE * MINUTE, int(NOW), MINUTE):
        history.record(time, minute(time, chance))
    history.note(events(), NOW)
    history.close()
    return path


def facts(path: Path, **other: Any) -> Facts:
    """Of a history, with what else there was then."""
    kept = Kept(path)
    points = {span.name: kept.points(span.step, NOW - span.seconds, NOW, span.width) for span in SPANS}
    known: dict[str, Any] = {
        "service": "shop", "host": "web1", "now": NOW, "status": STATUS, "findings": FINDINGS, "worst": WORST,
        "events": kept.events(NOW - WEEKS), "points": points,
    }  # fmt: skip
    return Facts(**{**known, **other})
