# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog's parts hand each other: from the assessment of one probe to recovery steps and events."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from ..codes import Code

SERVICE = "service"
PROXY = "proxy"
TARGETS = (SERVICE, PROXY)


class Remedy(enum.Enum):
    """What can be done, by how much it disturbs: recovery escalates in this order."""

    RELOAD_WORKER = Code.RELOAD_WORKER
    KILL_WORKER = Code.KILL_WORKER
    RESTART_WORKER = Code.RESTART_WORKER
    RESTART_APP = Code.RESTART_APP
    RECREATE_APP = Code.RECREATE_APP
    RENEW_ACTIVATION = Code.RENEW_ACTIVATION
    RESTART_DAEMON = Code.RESTART_DAEMON
    RESTART_PROXY = Code.RESTART_PROXY

    @property
    def rank(self) -> int:
        return list(Remedy).index(self)


@dataclasses.dataclass(frozen=True)
class Condition:
    """What is wrong with a target and what can be done about it, mildest first."""

    code: Code
    message: str
    escalation: tuple[Remedy, ...]
    workers: tuple[int, ...] = ()
    """PM2's numbers of the unhealthy ones; empty where it is not a matter of single workers."""
    severity: str = "critical"
    """warning where the service still serves."""
    certain: bool = False
    """Seen more than once already: no other probe has to find the same, and the remedy does not wait for a back-off."""
    at_once: int | None = None
    """How many of the unhealthy workers, from the first on, one step takes on; None: all."""


# A condition that is inhibited for so long is reported: a deployment that hangs must not keep it secret.
LONG_INHIBITION = 900.0


@dataclasses.dataclass(frozen=True)
class Inhibition:
    """Why nothing may be done about a target now: a deployment, an operator's stop, a cause elsewhere."""

    code: Code
    message: str
    severity: str = "info"
    """info: known and intended. warning or critical: the operator must act."""
    expires_after: float | None = None
    """Seconds after which it no longer applies; None: as long as it is seen."""
    reported_after: float = LONG_INHIBITION
    """Seconds after which what it keeps from being acted on is reported, if that is not done anyway."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something to report that no restart cures."""

    key: str
    """What it is about, for example service.crash_loop: the same key is the same problem."""
    code: Code | str
    """A text where it is of another version's state file."""
    severity: str
    message: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seen: bool = True
    """False where it comes and goes, and is not there at the moment."""

    @classmethod
    def of(cls, target: str, code: Code, severity: str, message: str, **values: Any) -> Problem:
        """The one problem with this code that the target can have."""
        return cls(f"{target}.{code}", code, severity, message, values)


@dataclasses.dataclass(frozen=True)
class Diagnosed:
    """What one run of the diagnosis found, for those who count."""

    ended: float
    """In seconds since boot."""
    counts: Mapping[str, int]
    """How many findings have each status."""
    raised: tuple[Mapping[str, str], ...]
    """Those that are not ok, each as its `check` and its `status`."""
    certificate_days: float | None = None
    """Until the certificate that is served ends; None without one."""
    connections: float | None = None
    """How many the service has open to its database, of those that its pools may have; None where that is not known."""
    connections_limit: float | None = None
    server_connections_percent: float | None = None
    """How many anybody has open there, of those that the server allows."""
    backup_hours: float | None = None
    """The age of the newest backup of the server; None where there are none, or it is not known."""
    proof_days: float | None = None
    """Since a restore of one was proven."""


@dataclasses.dataclass(frozen=True)
class Assessment:
    """What one probe of the service and its proxy came to."""

    conditions: Mapping[str, Condition | None]
    """By target."""
    inhibitions: Mapping[str, Inhibition | None] = dataclasses.field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    diagnosed: float | None = None
    """When the last run of the diagnosis ended, in seconds since boot; its problems are of that time."""
    diagnosis: Diagnosed | None = None
    """What the last one that found anything out found."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One remedy to be applied now."""

    target: str
    remedy: Remedy
    condition: Condition
    number: int
    """The attempt number for this condition, from 1 on."""


@dataclasses.dataclass(frozen=True)
class OwnStop:
    """A recovery step was about to have PM2 stop a worker, to start it again."""

    worker: int
    """PM2's number of it."""
    at: float
    """Seconds since the epoch, as PM2 says when a process was started: one that was started later is another one."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a step: done, or why not. Whether it helped, the next probe shows."""

    done: bool
    message: str
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Event:
    """Something for the logs and, through the events directory, for people."""

    kind: str
    """problem, resolved or action."""
    key: str
    code: Code | str
    severity: str
    message: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
