# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis command finds: now and then of everything, as problems; of the database where the cause may be."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..._checks.findings import CRITICAL, DATABASE_FULL, WARNING
from ..._host import proc
from ..._host.command import quiet_run
from ..._host.later import later
from ..._host.units import instances_of
from ..codes import Code
from ..common import stamp
from .model import Problem
from .settings import Settings

DIAGNOSE = "diagnose."
"""What the key of a problem begins with that the diagnosis has found; its check follows."""
_SECONDS = 60.0
_DATABASE_SECONDS = 6.0
_MAX_REPORT = 4 * 1024 * 1024
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
_JUDGED_EACH_ROUND = frozenset({"health", "proxy", "processes", "event_loop"})


class Diagnosis:
    """What the last run found stays until the next one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._argv = ["nice", "-n", "10", settings.diagnose_command, "--json"]
        self._begun_at: float | None = None
        self._run: Future[None] | None = None
        self._healthy = True
        self._config = Path(settings.diagnose_config)
        self._stamp = stamp(self._config)
        self.problems: tuple[Problem, ...] = ()
        self.ended: float | None = None
        """When they were found, in seconds since boot."""

    def tick(self, now: float, healthy: bool) -> None:
        """Begin a run when one is due, or its settings are others than at the last run.

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
        due = now - self._begun_at >= self._settings.diagnosis_interval or self._has_other_settings()
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
            self.problems = (Problem(f"{DIAGNOSE}failed", Code.FINDING, WARNING, message),)
            return
        self.problems = problems_of(findings, (self._settings.pm2_unit, self._settings.proxy_unit))


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


def ask_database(command: str) -> DatabaseAnswer:
    report = diagnose([command, "--check", "database", "--json"], _DATABASE_SECONDS)
    critical = [finding for finding in report or () if finding.get("status") == CRITICAL]
    full = [finding for finding in critical if finding.get("check") == DATABASE_FULL]
    down = [finding for finding in critical if finding not in full]
    return DatabaseAnswer(_messages(down), _messages(full))


def _messages(findings: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(str(finding.get("message", "")) for finding in findings)


def diagnose(argv: list[str], seconds: float) -> list[dict[str, Any]] | None:
    """The findings of one run of the diagnosis command; None where it fails or takes too long."""
    try:
        done = quiet_run(argv, seconds, _ENVIRONMENT)
        findings = json.loads(done.stdout[:_MAX_REPORT])["findings"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    return [finding for finding in findings if isinstance(finding, dict)] if isinstance(findings, list) else None
