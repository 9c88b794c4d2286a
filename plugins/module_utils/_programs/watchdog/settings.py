# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's settings: one JSON file that the role writes and root owns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._checks.external_service import Existing
from ..._pm2.client import Pm2Client
from ..._service.active import PROCESS_LOCK
from ..common import load_settings
from ..records import decode
from .state_machine import Rules

_COMMAND_SECONDS = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Rules):
    """Times in seconds, shares in percent, sizes in MB."""

    service: str
    user: str
    sockets: str
    """The link to the directory that has the workers' sockets, by their numbers."""
    health_path: str
    url: str
    """Health through the proxy; empty where there is none to watch."""
    host_name: str
    proxy_unit: str
    pm2_home: str
    pm2_unit: str
    bin_directory: str
    ecosystem_file: str
    deploy_lock: str
    log_directory: str
    state_directory: str
    run_directory: str
    act_socket: str
    diagnose_command: str
    database: bool
    period: float
    suspect_period: float
    answer_timeout: float
    diagnosis_interval: float
    """0: no diagnosis."""
    memory_restart_mb: int
    memory_reload: float
    host_memory_limit: float
    disk_minimum: int
    crash_loop_restarts: int
    crash_loop_window: float
    heap_limit_mb: int = 0
    """0: not known."""
    diagnose_config: str = ""
    """The settings of that command: when they change, what it found may be wrong."""
    existing: Existing | None = None
    """The service, where it runs under something else than these roles."""
    recovers: bool = True
    """Whether anything may be done about a condition; otherwise it is only reported."""

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Raises StabilityError."""
        return load_settings(path, cls.of)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Settings:
        """Raises ValueError where a setting is missing, or of another kind."""
        return decode(cls, {**content, "existing": content.get("existing") or None})

    @property
    def client(self) -> Pm2Client:
        return Pm2Client.below(self.bin_directory, self.pm2_home, _COMMAND_SECONDS)

    def app_of(self, activation: str) -> str:
        """What PM2 calls the processes. One that runs under something else has no activations: it is its own name."""
        return activation if self.existing else f"{self.service}-{activation}"

    @property
    def process_lock(self) -> Path:
        return Path(self.deploy_lock).with_name(PROCESS_LOCK)

    @property
    def monitor_log(self) -> Path:
        return Path(self.log_directory) / "monitor.log"

    @property
    def recovery_log(self) -> Path:
        return Path(self.log_directory) / "recovery.log"

    @property
    def state_file(self) -> Path:
        return Path(self.state_directory) / "state.json"

    @property
    def status_file(self) -> Path:
        return Path(self.run_directory) / "status.json"
