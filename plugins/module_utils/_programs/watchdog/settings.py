# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's settings: one JSON file that the role writes and root owns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..._checks.external_service import Existing
from ..._host.errors import StabilityError
from ..._pm2.client import Pm2Client
from ..common import read_settings
from .state_machine import Rules

_COMMAND_SECONDS = 120.0
# Only a service that runs under something else has them.
_OPTIONAL = frozenset({"existing", "recovers"})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Times in seconds, shares in percent, sizes in MB."""

    service: str
    user: str
    instances: int
    socket: str
    health_path: str
    proxy_url: str
    """Health through the proxy; empty where there is none to watch."""
    proxy_host_name: str
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
    failures: int
    start_grace: float
    backoff_first: float
    backoff_longest: float
    healthy_reset: float
    budget: int
    budget_window: float
    diagnosis_interval: float
    """0: no diagnosis."""
    memory_restart_mb: int
    memory_reload_percent: float
    host_memory_percent: float
    disk_min_mb: int
    crash_loop_restarts: int
    crash_loop_window: float
    existing: Existing | None = None
    """The service, where it runs under something else than these roles."""
    recovers: bool = True
    """Whether anything may be done about a condition; otherwise it is only reported."""

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Raises StabilityError."""
        content = read_settings(path)
        try:
            return cls.of(content)
        except (KeyError, TypeError, ValueError) as error:
            raise StabilityError(
                f"{path} is no settings file of this watchdog ({error}). Apply the playbook to recreate it."
            ) from error

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Settings:
        """Raises KeyError where a setting is missing, TypeError or ValueError where one is of another kind."""
        kinds: dict[str, Callable[[Any], Any]]
        kinds = {"str": str, "int": int, "float": float, "bool": bool, "Existing | None": Existing.of}
        fields = [field for field in dataclasses.fields(cls) if field.name in content or field.name not in _OPTIONAL]
        return cls(**{field.name: kinds[str(field.type)](content[field.name]) for field in fields})

    @property
    def rules(self) -> Rules:
        return Rules(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Rules)})

    @property
    def client(self) -> Pm2Client:
        binaries = Path(self.bin_directory)
        return Pm2Client(
            home=Path(self.pm2_home),
            pm2=str(binaries / "pm2"),
            node=str(binaries / "node"),
            user=None,
            timeout=_COMMAND_SECONDS,
        )

    def app_of(self, activation: str) -> str:
        """What PM2 calls the processes. One that runs under something else has no activations: it is its own name."""
        return activation if self.existing else f"{self.service}-{activation}"

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
