# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check says about a reading: one uniform record, the same in Ansible, on the host and later in the watchdog."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Self

from .._host.errors import StabilityError

OK = "ok"
WARNING = "warning"
UNKNOWN = "unknown"
"""The host was too busy to find out. It may be anything, so it is worse than a warning; most often it is well."""
CRITICAL = "critical"
STATUSES = (OK, WARNING, UNKNOWN, CRITICAL)
"""What a finding can be, the worst last."""

DATABASE_FULL = "database.connections"
"""The check that is critical where the database answers, but gives the service's account no connection more."""

CONNECTIONS_OF = "connections.of."
"""The check of the connections that a service has, of those that it may have; its name follows."""

CONNECTIONS_OPEN = "connections.open"
"""The check of the share of all connections of the server that are open."""

FAIL_ON = (CRITICAL, WARNING, "never")
"""From which status on a check fails the task that asked."""


Levels = Mapping[str, Mapping[str, Any]]
"""Thresholds by their name: {"heap": {"warning": 80, "critical": 95}}."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One judgement. `message` says what was found and, unless `status` is ok, what to do."""

    check: str
    status: str
    message: str
    value: float | int | str | None = None
    threshold: float | int | str | None = None
    unit: str = ""
    timed: bool = False
    """Whether it follows from how long an answer took or was waited for, which says nothing on a busy host."""

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "timed"}


@dataclasses.dataclass(frozen=True)
class _Pair:
    warning: float
    critical: float

    @classmethod
    def of(cls, levels: Levels, name: str) -> Self:
        """The thresholds of that name. Raises StabilityError, which names them, where they contradict each other."""
        try:
            return cls(float(levels[name][WARNING]), float(levels[name][CRITICAL]))
        except StabilityError as error:
            raise StabilityError(f"{name}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Thresholds(_Pair):
    """From `warning` on a reading is a warning, from `critical` on it is critical."""

    def __post_init__(self) -> None:
        if not 0 < self.warning < self.critical:
            raise StabilityError(
                f"the warning threshold ({self.warning:g}) must be above 0 and below the critical one"
                f" ({self.critical:g})"
            )

    def status(self, value: float) -> str:
        if value >= self.critical:
            return CRITICAL
        return WARNING if value >= self.warning else OK

    def exceeded(self, value: float) -> float:
        """The threshold that `value` has reached, or the first that it would."""
        return self.critical if value >= self.critical else self.warning


@dataclasses.dataclass(frozen=True)
class FallingThresholds(_Pair):
    """For what runs out: from `warning` down a reading is a warning, from `critical` down it is critical."""

    def __post_init__(self) -> None:
        if not 0 <= self.critical < self.warning:
            raise StabilityError(
                f"the critical threshold ({self.critical:g}) must be below the warning one ({self.warning:g})"
            )

    def status(self, value: float) -> str:
        if value <= self.critical:
            return CRITICAL
        return WARNING if value <= self.warning else OK

    def exceeded(self, value: float) -> float:
        """The threshold that `value` has reached, or the first that it would."""
        return self.critical if value <= self.critical else self.warning


def rank(status: str) -> int:
    """0 for ok; the higher, the worse."""
    return STATUSES.index(status)


def worst_of(findings: Iterable[Finding]) -> str:
    """The worst status of the findings; ok when there are none."""
    return max((finding.status for finding in findings), key=rank, default=OK)


def verdict(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings and the worst status of them, as every check's module returns them."""
    found = list(findings)
    return {"status": worst_of(found), "findings": [finding.as_dict() for finding in found]}


def fails(status: str, fail_on: str) -> bool:
    """Whether `status` reaches what the caller chose to fail on."""
    return fail_on != "never" and rank(status) >= rank(fail_on)


def judge_value(
    check: str,
    value: float,
    thresholds: Thresholds | FallingThresholds,
    message: str,
    advice: str,
    *,
    unit: str,
    timed: bool = False,
) -> Finding:
    """Judge a reading. `advice` is a sentence of its own, which follows the message from the warning on."""
    status = thresholds.status(value)
    shown = message if status == OK else f"{message}. {advice}"
    return Finding(check, status, shown, value, thresholds.exceeded(value), unit, timed)


def judge_share(check: str, percent: float, thresholds: Thresholds, what: str, advice: str) -> Finding:
    """Judge a percentage. `what` begins the sentence; `advice` is added from the warning on."""
    status = thresholds.status(percent)
    message = f"{what}: {percent:.1f} %" + (f". {advice}" if status != OK else "")
    return Finding(check, status, message, round(percent, 1), thresholds.exceeded(percent), "%")


def ago(seconds: float) -> str:
    """A span of time as a person says it."""
    for length, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {word}"
    return f"{max(0.0, seconds):.0f} seconds"
