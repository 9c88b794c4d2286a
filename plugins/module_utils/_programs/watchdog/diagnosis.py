# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis command finds: now and then of everything, as problems; of the database where the cause may be.

What it says is not known, since it was given no processor, is neither a problem nor the end of one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..._checks.backup import NEWEST as NEWEST_BACKUP
from ..._checks.backup import PROVEN as PROVEN_RESTORE
from ..._checks.findings import (
    CONNECTIONS_OF,
    CONNECTIONS_OPEN,
    CRITICAL,
    DATABASE_FULL,
    OK,
    STATUSES,
    UNKNOWN,
    WARNING,
)
from ..._host import proc
from ..._host.later import later
from ..._host.units import instances_of
from ..codes import Code
from ..common import diagnose, stamp
from ..records import number
from .model import Diagnosed, Problem
from .settings import Settings

DIAGNOSE = "diagnose."
"""What the key of a problem begins with that the diagnosis has found; its check follows."""
# Beside forty busy programs a niced Python takes a minute to start.
_SECONDS = 180.0
# A problem that is over is to be seen within a minute.
_AGAIN_SECONDS = 50.0
# Python alone takes that long to start where forty processes want a processor.
_DATABASE_SECONDS = 15.0
_DATABASE_CHECK_SECONDS = 8.0
# There may be one for each log file that the service makes.
_MOST_RAISED = 100
_JUDGED_EACH_ROUND = frozenset({"health", "proxy", "processes", "event_loop"})


class Diagnosis:
    """What the last run found stays until the next one."""

    def __init__(self, settings: Settings, known: Iterable[Problem] = ()) -> None:
        """`known`: what was open when the last watchdog ended."""
        self._settings = settings
        self._argv = ["nice", "-n", "10", settings.diagnose_command, "--json"]
        self._begun_at: float | None = None
        self._run: Future[None] | None = None
        self._healthy = True
        self._config = Path(settings.diagnose_config)
        self._stamp = stamp(self._config)
        self.problems = tuple(
            dataclasses.replace(problem, seen=False)
            for problem in (known if settings.diagnosis_interval else ())
            if problem.key.startswith(DIAGNOSE)
        )
        self.ended: float | None = None
        """When they were found, in seconds since boot."""
        self.found: Diagnosed | None = None
        """What the last run found that found anything out."""

    def tick(self, now: float, healthy: bool) -> None:
        """Begin a run when one is due, which is sooner while there are problems, or its settings are others by now.

        The first one waits an interval: a host that boots is not judged by it.

        It waits while the service is not `healthy`, and what it found is dropped when that changed meanwhile: the
        symptoms of a condition that is reported and acted on would be reported once more.
        """
        if not self._settings.diagnosis_interval:
            return
        self._healthy = self._healthy and healthy
        if self._begun_at is None:
            self._begun_at = now
        running = self._run is not None and not self._run.done()
        interval = self._settings.diagnosis_interval
        if self.problems and now >= interval:
            interval = min(interval, _AGAIN_SECONDS)
        due = now - self._begun_at >= interval or self._has_other_settings()
        if running or not healthy or not due:
            return
        self._begun_at = now
        self._stamp = stamp(self._config)
        self._healthy = True
        self._run = later("diagnosis", self._diagnose)

    def _has_other_settings(self) -> bool:
        return stamp(self._config) not in (self._stamp, None)

    def _diagnose(self) -> None:
        findings = diagnose(self._argv, _SECONDS)
        if not self._healthy:
            return
        self.ended = proc.uptime()
        if findings is None:
            message = f"{self._settings.diagnose_command} gave no findings within {_SECONDS:g} s: run it by hand"
            failed = Problem(f"{DIAGNOSE}failed", Code.FINDING, WARNING, message)
            self.problems = (*(problem for problem in self.problems if problem.key != failed.key), failed)
            return
        self.found = summary(findings, self._settings.service, self.ended)
        found = problems_of(findings, (self._settings.pm2_unit, self._settings.proxy_unit))
        unknown = {_group(finding.get("check")) for finding in findings if finding.get("status") == UNKNOWN}
        again = {problem.key for problem in found}
        kept = (
            dataclasses.replace(problem, seen=False)
            for problem in self.problems
            if problem.key not in again and _group(problem.key.removeprefix(DIAGNOSE)) in unknown
        )
        self.problems = (*found, *kept)


def _group(check: Any) -> str:
    """What the findings of one check have in common: disk of disk./srv."""
    return str(check).partition(".")[0]


def summary(findings: Iterable[Mapping[str, Any]], service: str, ended: float) -> Diagnosed:
    """The findings as numbers; `ended` is in seconds since boot."""
    known = [finding for finding in findings if finding.get("status") in STATUSES]
    by_check = {(str(finding.get("check")), str(finding.get("unit"))): finding for finding in known}
    raised = [
        {"check": str(finding.get("check")), "status": finding["status"]}
        for finding in known
        if finding["status"] != OK
    ]

    def value(check: str, unit: str, name: str = "value") -> float | None:
        return number(by_check.get((check, unit), {}).get(name))

    connections = f"{CONNECTIONS_OF}{service}"
    return Diagnosed(
        ended,
        counts={status: sum(finding["status"] == status for finding in known) for status in STATUSES},
        raised=tuple(raised[:_MOST_RAISED]),
        certificate_days=value("certificates", "days"),
        connections=value(connections, "connections"),
        connections_limit=value(connections, "connections", "threshold"),
        server_connections_percent=value(CONNECTIONS_OPEN, "%"),
        backup_hours=value(NEWEST_BACKUP, "hours"),
        proof_days=value(PROVEN_RESTORE, "days"),
    )


def problems_of(findings: Iterable[Mapping[str, Any]], units: Iterable[str]) -> tuple[Problem, ...]:
    """A problem of each warning and critical finding, but for what the watchdog judges itself."""
    # of Nginx it judges whether it answers, but not what becomes of old processes (nginx.old)
    own_checks = {"nginx", *(f"units.{instances_of(unit)}" for unit in units)}
    problems = []
    for finding in findings:
        check, status = str(finding.get("check", "")), finding.get("status")
        # whether an answer comes it judges, but not whether that is slow
        slow = finding.get("unit") == "ms"
        own = any(fnmatchcase(check, name) for name in own_checks)
        own |= check.partition(".")[0] in _JUDGED_EACH_ROUND and not slow
        if own or status not in (WARNING, CRITICAL):
            continue
        values = {name: finding.get(name) for name in ("check", "value", "threshold", "unit")}
        message = str(finding.get("message", ""))
        problems.append(Problem(f"{DIAGNOSE}{check}", Code.FINDING, str(status), message, values))
    return tuple(problems)


@dataclasses.dataclass(frozen=True)
class DatabaseAnswer:
    """What the diagnosis says is critical about the database; empty when nothing is, or where it was not asked."""

    down: str = ""
    full: str = ""
    """It answers, but the service's account gets no connection more."""
    known: bool = True
    """False where the host was too busy to ask it in time: then the rest says nothing."""


NOT_KNOWN = DatabaseAnswer(known=False)


def ask_database(command: str) -> DatabaseAnswer:
    """A question of its own, with its own time."""
    argv = [command, "--check", "database", "--json", "--timeout", f"{_DATABASE_CHECK_SECONDS:g}"]
    begun = time.monotonic()
    report = diagnose(argv, _DATABASE_SECONDS)
    if report is None:
        # what ends without findings is broken, which says nothing of the host
        return NOT_KNOWN if time.monotonic() - begun >= _DATABASE_SECONDS else DatabaseAnswer()
    if any(finding.get("status") == UNKNOWN for finding in report):
        return NOT_KNOWN
    critical = [finding for finding in report if finding.get("status") == CRITICAL]
    full = [finding for finding in critical if finding.get("check") == DATABASE_FULL]
    down = [finding for finding in critical if finding not in full]
    return DatabaseAnswer(_messages(down), _messages(full))


def _messages(findings: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(str(finding.get("message", "")) for finding in findings)
