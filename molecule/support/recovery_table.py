# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults: collected and shown by the tests of the scenario recovery, written by benchmarks/recovery.py."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hosts import ROOT
from prometheus import Alert
from recovery import Course

RESULTS = ROOT / ".cache" / "recovery.json"
FAULTS = (
    "| Fault | Noticed (s) | Healthy again (s) | Failed probes | Steps of the watchdog | Told | Alert rules |",
    "| --- | ---: | ---: | ---: | --- | --- | --- |",
)
SOAK = (
    "| Under load (s) | Requests | Failed | Sockets closed | Steps | CPU (% of a core) | Diagnoses' | RSS (MB) |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)
STORM = (
    "| Workers, under load | GET | Failed | Longest (s) | POST | Failed | Longest (s) |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def kept() -> dict[str, Any]:
    """`faults`: courses by fault; `soaks`: a list; `storms`: counts by what was done to workers."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    return {"faults": {}, "soaks": [], "storms": {}, **found}


def _write(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")


def keep(fault: str, course: Course) -> None:
    """The last course of each fault is kept."""
    results = kept()
    results["faults"][fault] = asdict(course)
    _write(results)


def kept_since(began: float) -> dict[str, float]:
    """When each fault began whose course was kept since then."""
    faults: dict[str, dict[str, Any]] = kept()["faults"]
    return {fault: course["began"] for fault, course in faults.items() if course.get("began", 0) >= began}


def keep_alerts(fault: str, alerts: Iterable[Alert]) -> None:
    results = kept()
    results["faults"][fault]["alerts"] = sorted(map(str, alerts))
    _write(results)


def keep_soak(cost: dict[str, Any]) -> None:
    results = kept()
    results["soaks"].append(cost)
    _write(results)


def keep_storm(what: str, reads: dict[str, Any], writes: dict[str, Any]) -> None:
    """What clients noticed of it: the tallies of those that read and those that write."""
    results = kept()
    sides = {"GET": reads, "POST": writes}
    results["storms"][what] = [
        [tally["requests"].get(method, 0), tally["failed"], tally["slowest"]] for method, tally in sides.items()
    ]
    _write(results)


def tables() -> list[str]:
    """The lines of all, as far as there is something in them."""
    results = kept()
    faults = [_fault(fault, course) for fault, course in results["faults"].items()]
    storms = [_storm(what, sides) for what, sides in results["storms"].items()]
    soaks = [_soak(cost) for cost in results["soaks"]]
    parts = [(*head, *rows) for head, rows in ((FAULTS, faults), (STORM, storms), (SOAK, soaks)) if rows]
    return [line for part in parts for line in ("", *part)]


def _fault(fault: str, course: dict[str, Any]) -> str:
    seconds = ["" if course[name] is None else f"{course[name]:.1f}" for name in ("detected", "healthy")]
    words = [", ".join(course[name]) or "none" for name in ("actions", "told")]
    rules = ", ".join(sorted({alert.split()[0] for alert in course.get("alerts", [])})) or "none"
    return f"| {' | '.join([fault, *seconds, str(course['failed']), *words, rules])} |"


def _storm(what: str, sides: list[list[float]]) -> str:
    cells = [f"{requests:,} | {failed} | {slowest:.1f}" for requests, failed, slowest in sides]
    return f"| {' | '.join([what, *cells])} |"


def _soak(cost: dict[str, Any]) -> str:
    counts = [f"{cost[name]:,}" for name in ("seconds", "requests", "failed", "websockets_closed", "actions")]
    shares = [f"{cost[name]:.2f}" for name in ("cpu_percent", "diagnoses_cpu_percent")]
    return f"| {' | '.join([*counts, *shares, str(round(cost['rss_mb']))])} |"
