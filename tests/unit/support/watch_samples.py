# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy probe of the watchdog, for tests to break: settings, workers, readings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import ANSWERED, REFUSED
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import HUNG as NO_ANSWER
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import WELL, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import (
    Answered,
    WorkersReading,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.judge import judge
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.loop import Notifier
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    SERVICE,
    Assessment,
    Condition,
    Inhibition,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.readings import Readings, Worker
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.settings import Settings
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.usage import MB, Room, Usage

APP = "shop-1a2b3c"


def settings_content(directory: Path, **changes: Any) -> dict[str, Any]:
    """As the role writes it."""
    return {
        "managed_by": "Ansible managed",
        "service": "shop",
        "user": "shop",
        "sockets": str(directory / "active"),
        "health_path": "/api/health",
        "url": "",
        "host_name": "",
        "proxy_unit": "nginx.service",
        "pm2_home": str(directory / "home"),
        "pm2_unit": "shop@.service",
        "bin_directory": "/opt/shop/bin",
        "ecosystem_file": str(directory / "ecosystem.config.cjs"),
        "deploy_lock": str(directory / ".deploy.lock"),
        "log_directory": str(directory),
        "state_directory": str(directory),
        "run_directory": str(directory),
        "act_socket": str(directory / "act.sock"),
        "diagnose_command": "/bin/false",
        "database": False,
        "period": 5,
        "suspect_period": 2,
        "answer_timeout": 3,
        "failure_threshold": 3,
        "start_grace": 30,
        "backoff_initial": 10,
        "backoff_max": 300,
        "healthy_reset": 600,
        "restart_budget": 5,
        "restart_budget_window": 900,
        "diagnosis_interval": 0,
        "memory_restart_mb": 1000,
        "heap_limit_mb": 700,
        "memory_reload": 90,
        "host_memory_limit": 97,
        "disk_minimum": 50,
        "crash_loop_restarts": 5,
        "crash_loop_window": 900,
        **changes,
    }


def settings(directory: Path = Path("/nonexistent"), **changes: Any) -> Settings:
    return Settings.of(settings_content(directory, **changes))


def process(number: int, status: str = "online", pid: int | None = 0, restarts: int = 0) -> Pm2Process:
    """`pid` 0: one of its own."""
    found = 100 + number if pid == 0 else pid
    told = {"heap_used": 20 * MB, "heap_total": 30 * MB, "event_loop_p50": 0.5, "event_loop_p95": 12.5}
    return Pm2Process(APP, number, found, status, restarts, 1000.0, **told)


def worker(
    number: int, status: str = "online", *, age: float | None = 1000.0, answered: bool = True, mb: int = 100
) -> Worker:
    running = status == "online"
    own = process(number, status, 0 if running else None)
    usage = Usage(mb * MB, 1.5, 30) if running else Usage()
    return Worker(own, age if running else None, 5.0 if running else None, answered, usage)


HEALTHY = Readings(
    now=5000.0,
    activation="1a2b3c",
    daemon=DaemonReading(WELL, "", 50),
    workers=(worker(0), worker(1)),
    planned=2,
    answers=WorkersReading({100: "", 101: ""}, answer_ms={100: 12.5, 101: 8.0}),
    restarts=0,
    daemon_mb=60,
    surplus=(),
    changing=False,
    proxy=Answered(ANSWERED, ""),
    memory_percent=40.0,
    memory_total=8_000_000_000,
    memory_available=4_800_000_000,
    room={"/srv": Room(5000 * MB, 60000)},
)


def readings(**changes: Any) -> Readings:
    return dataclasses.replace(HEALTHY, **changes)


STOPPED = {"Id": "shop@1a2b3c.service", "LoadState": "loaded", "ActiveState": "inactive", "Result": "success"}
RUNNING = {"Id": "shop@1a2b3c.service", "LoadState": "loaded", "ActiveState": "active", "Result": "success"}
FAILED = {"Id": "shop@1a2b3c.service", "LoadState": "loaded", "ActiveState": "failed", "Result": "signal"}
STARTING = {"Id": "shop@1a2b3c.service", "LoadState": "loaded", "ActiveState": "activating", "Result": "success"}
GONE = Answered(REFUSED, "connection refused")
SILENT = Answered(NO_ANSWER, "no complete answer within 3 s")
CUT = Answered(REFUSED, "the connection was closed before the answer was complete")
WRONG = Answered(ANSWERED, "answered 502 instead of 200.")
STOPPING = {**STOPPED, "ActiveState": "deactivating", "Job": "7"}
HANGS: dict[str, Any] = {"answers": WorkersReading({100: ""}, (SILENT,))}
ALL_HANG: dict[str, Any] = {"answers": WorkersReading({}, (SILENT, SILENT))}


def probe(recovering: bool = False, **changes: Any) -> Assessment:
    return judge(readings(**changes), settings(), recovering)


def service(recovering: bool = False, **changes: Any) -> tuple[Condition | None, Inhibition | None]:
    """What is wrong with it, and why nothing is done about that."""
    seen = probe(recovering, **changes)
    return seen.conditions[SERVICE], seen.inhibitions[SERVICE]


class Listener(Notifier):
    """Keeps what systemd would be sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)
