# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role alerting, but for the channels, which are secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .._fleet.inventory import Fleet
from .base import Site

_LONGEST_USER = 31


class Alerting(Site):
    alerting_actions: bool
    alerting_heartbeat_timeout: int
    alerting_language: str
    alerting_messages_per_hour: int
    alerting_repeat_interval_minutes: int
    service_fleet: Fleet
    service_is_monitor: bool
    service_monitor: str
    service_name: str
    service_paths: Mapping[str, str]
    service_runs_here: bool

    @cached_property
    def name(self) -> str:
        return f"{self.service_name}-alert"

    @cached_property
    def user(self) -> str:
        """Return the user that sends the messages, no longer than useradd and systemd want."""
        digest = hashlib.sha256(self.service_name.encode()).hexdigest()
        return self.name if len(self.name) <= _LONGEST_USER else f"{self.service_name[:18]}-{digest[:6]}-alert"

    @cached_property
    def _directory(self) -> str:
        return self.service_paths["config"] if self.service_runs_here else f"/etc/{self.name}"

    @cached_property
    def directories(self) -> list[dict[str, str]]:
        """Return the one that a host has which is only the monitor, without a directory of the service."""
        return [] if self.service_runs_here else [{"path": self._directory}]

    @cached_property
    def command_file(self) -> dict[str, Any]:
        program = {"entry_point": "_programs.alert.cli:run", "arguments": {"config": self.config_file["path"]}}
        return {"path": f"/usr/local/bin/{self.name}", "program": program, "mode": "0755"}

    @cached_property
    def config_file(self) -> dict[str, str]:
        return {"path": f"{self._directory}/alert.json", "template": "alert.json.j2", "mode": "0640"}

    @cached_property
    def unit_files(self) -> list[dict[str, str]]:
        """Return the units' files; of what waits for the watchdog's events, which the monitor takes from none, too."""
        kinds = ["service", "timer", *([] if self.service_is_monitor else ["path"])]
        return [{"path": f"/etc/systemd/system/{self.name}.{kind}", "template": f"{kind}.j2"} for kind in kinds]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the command on the host reads: plugins/module_utils/_programs/alert/config.py."""
        own = ["prometheus.service", "prometheus-alertmanager.service"]
        return {
            "service": self.service_name,
            **self.named("alerting_"),
            # where the role watchdog has what alerting reads
            "events": f"/var/lib/{self.service_name}-watchdog/events",
            "status": f"/run/{self.service_name}-watchdog/status.json",
            "secrets": f"{self._directory}/alert-secrets.json",
            "state_directory": f"/var/lib/{self.name}",
            "runtime_directory": f"/run/{self.name}",
            "unit": f"{self.name}.service",
            "watched_units": own if self.service_is_monitor else [f"{self.service_name}-watchdog.service"],
            "monitor": self._alertmanager if self.service_is_monitor else None,
            "reported_by": "" if self.service_is_monitor else self.service_monitor,
        }

    @cached_property
    def _alertmanager(self) -> dict[str, Any]:
        """Return where the role monitoring has it listen, and the hosts that it has alerts of."""
        hosts = {name for group in self.service_fleet.values() for name in group}
        return {"url": "http://127.0.0.1:9093", "hosts": sorted(hosts, key=str.lower)}
