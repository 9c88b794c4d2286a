# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role watchdog."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ansible.module_utils.common.text.formatters import human_to_bytes

from .base import Site
from .limits import limits_mb

_PROXY_UNIT = "nginx.service"
_MEGABYTE = 1024 * 1024


class Watchdog(Site):
    service_activation_unit: str
    service_database_enabled: bool
    service_directory: str
    service_existing: Mapping[str, Any]
    service_external_recovery: bool
    service_external_unit: str
    service_health_path: str
    service_is_external: bool
    service_log_directory: str
    service_name: str
    service_paths: Mapping[str, str]
    service_plan: Mapping[str, Any]
    service_renewal_unit: str
    service_unit: str
    service_user: str
    watchdog_answer_timeout: int
    watchdog_backoff_initial: int
    watchdog_backoff_max: int
    watchdog_crash_loop_restarts: int
    watchdog_crash_loop_window: int
    watchdog_diagnosis_interval: int
    watchdog_disk_minimum: str
    watchdog_failure_threshold: int
    watchdog_healthy_reset: int
    watchdog_host_memory_limit: int
    watchdog_host_name: str
    watchdog_memory_reload: int
    watchdog_period: int
    watchdog_restart_budget: int
    watchdog_restart_budget_window: int
    watchdog_start_grace: int
    watchdog_suspect_period: int
    watchdog_url: str

    @cached_property
    def packages(self) -> list[str]:
        """Return those of its parts: sdnotify reports to systemd, psutil reads memory, psycopg queries the database."""
        database = ["python3-psycopg"] if self.service_database_enabled else []
        return ["python3-psutil", "python3-sdnotify", *database]

    @cached_property
    def name(self) -> str:
        return f"{self.service_name}-watchdog"

    @cached_property
    def after(self) -> str:
        """Return the units that it is started after."""
        service = self.service_external_unit if self.service_is_external else self.service_unit
        return f"network.target {service} {_PROXY_UNIT} {self.name}-act.socket"

    @cached_property
    def written(self) -> str:
        """Return where it may write. PM2 writes at home whatever is asked of it, and that of these roles is in /run."""
        home = self.service_paths["pm2_home"]
        pm2 = f"-{home}" if self.service_is_external and home else "/run"
        # the directory around the logs: one that is removed and recreated would stay out of reach
        around = PurePosixPath(self.service_log_directory).parent
        return f"{pm2} -{around} -/var/lib/{self.service_name}-diagnose"

    @cached_property
    def protects_home(self) -> str:
        if self.service_is_external:
            return "read-only"
        return "no" if self.service_directory.startswith("/home/") else "yes"

    @cached_property
    def helper_arguments(self) -> dict[str, str]:
        """Return what it may do as root. Around an existing service it restarts what it was allowed to, and never the
        proxy.
        """
        return {
            "watchdog_unit": f"{self.name}.service",
            "pm2_unit": self._service_unit if self._recovers else "",
            "renewal_unit": "" if self.service_is_external else self.service_renewal_unit,
            "active": self.service_paths["active"],
            "proxy_unit": _PROXY_UNIT,
            "restarts_proxy": "" if self.service_is_external else "yes",
            # where it sees for itself whether Nginx needs a restart
            "url": self.watchdog_url,
            "host_name": self.watchdog_host_name,
            "own": f"/run/{self.name}-act",
            # what the helpers of all services of the host note of Nginx, which is everybody's
            "shared": "/run/nginx-restarts",
        }

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the command on the host reads: plugins/module_utils/_programs/watchdog/settings.py."""
        paths = self.service_paths
        return {
            **self.named("watchdog_"),
            "service": self.service_name,
            "user": self.service_user,
            "existing": self.service_existing,
            "recovers": self._recovers,
            "sockets": paths["active"],
            "health_path": self.service_health_path,
            "proxy_unit": _PROXY_UNIT,
            "pm2_home": paths["pm2_home"],
            "pm2_unit": self._service_unit,
            "bin_directory": paths["pm2_bin"],
            "ecosystem_file": paths["ecosystem_file"],
            "deploy_lock": f"{self.service_directory}/.deploy.lock",
            "log_directory": self.service_log_directory,
            "state_directory": f"/var/lib/{self.name}",
            "run_directory": f"/run/{self.name}",
            "act_socket": f"/run/{self.name}-act.sock",
            "diagnose_command": f"/usr/local/bin/{self.service_name}-diagnose",
            "diagnose_config": f"{paths['config']}/diagnose.json",
            "database": self.service_database_enabled,
            **limits_mb(self.service_plan, self.service_is_external),
            # in megabytes, rounded up
            "disk_minimum": -(-human_to_bytes(self.watchdog_disk_minimum) // _MEGABYTE),
        }

    @cached_property
    def _service_unit(self) -> str:
        return self.service_external_unit if self.service_is_external else self.service_activation_unit

    @cached_property
    def _recovers(self) -> bool:
        return not self.service_is_external or self.service_external_recovery
