# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .base import Site
from .limits import consumer, limits_mb

# What role diagnostics calls them on the host.
HOURLY_REPORT = "diagnose_hourly.log"
# Not *.log: each day's report is a file of its own, which log rotation would move away and leave empty.
DAILY_PREFIX = "diagnose_daily_"
# Runs by hand between the hourly ones do not shorten the time that is looked at.
_WINDOW = 600


class Diagnostics(Site):
    diagnostics_certificate_url: str
    diagnostics_database_others: Mapping[str, int]
    diagnostics_disk_paths: Sequence[str]
    diagnostics_files_record: str
    diagnostics_has_backups: bool
    diagnostics_host_name: str
    diagnostics_http_timeout_ms: int
    diagnostics_keep_days: int
    diagnostics_overdue_hours: int
    diagnostics_report_page: str
    diagnostics_rotation_days: int
    diagnostics_slow_query_count: int
    diagnostics_timeout_ms: int
    diagnostics_url: str
    diagnostics_websocket_url: str
    service_activation_unit: str
    service_database_enabled: bool
    service_database_is_local: bool
    service_database_name: str
    service_database_user: str
    service_existing: Mapping[str, Any]
    service_external_logs: Sequence[str]
    service_external_units: Sequence[str]
    service_health_path: str
    service_is_external: bool
    service_log_directory: str
    service_name: str
    service_paths: Mapping[str, str]
    service_plan: Mapping[str, Any]
    service_required_secrets: Sequence[str]
    service_secret_min_length: int
    service_user: str
    service_websocket_paths: Sequence[str]

    @cached_property
    def packages(self) -> list[str]:
        return ["cron", "python3-psutil", "util-linux", *(["python3-psycopg"] if self.service_database_enabled else [])]

    @cached_property
    def state_directory(self) -> str:
        return f"/var/lib/{self.service_name}-diagnose"

    @cached_property
    def config(self) -> str:
        return f"{self.service_paths['config']}/diagnose.json"

    @cached_property
    def usual_units(self) -> list[str]:
        """Return the units that have to run."""
        own = ["nginx.service", self.service_activation_unit.replace("@", "@*")]
        service = list(self.service_external_units) if self.service_is_external else own
        return ["cron.service", *service, *(["postgresql@*.service"] if self.service_database_is_local else [])]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the command on the host reads: plugins/module_utils/_programs/diagnose/cli.py."""
        paths, logs, plan = self.service_paths, self.service_log_directory, self.service_plan
        return {
            "service": self.service_name,
            "user": self.service_user,
            "existing": self.service_existing,
            "timeout_ms": self.diagnostics_timeout_ms,
            "state_file": f"{self.state_directory}/state.json",
            "days_file": f"{self.state_directory}/days.json",
            "release": {"active": paths["active"], "current": paths["current"]},
            "health": {
                "url": self.diagnostics_url,
                "host_name": self.diagnostics_host_name,
                "path": self.service_health_path,
                "http_timeout_ms": self.diagnostics_http_timeout_ms,
            },
            "websocket": {"url": self.diagnostics_websocket_url, "paths": self.service_websocket_paths},
            "certificates": {"url": self.diagnostics_certificate_url},
            "pm2": {
                "home": paths["pm2_home"],
                "bin": paths["pm2_bin"],
                "prefix": f"{self.service_name}-",
                "instances": int(plan["instances"]),
            },
            "memory": limits_mb(self.service_plan, self.service_is_external),
            "cron": {
                "directory": logs,
                "report": HOURLY_REPORT,
                "since": self.config,
                "overdue_hours": self.diagnostics_overdue_hours,
            },
            "logs": {
                "directory": logs,
                "external_logs": self.service_external_logs if self.service_is_external else [],
                "rotation_days": self.diagnostics_rotation_days,
            },
            "disk": {"paths": self.diagnostics_disk_paths},
            "secrets": {
                "file": paths["environment_file"],
                "required_secrets": self.service_required_secrets,
                "secret_min_length": self.service_secret_min_length,
            },
            "database": self._database,
            "files": {"record": self.diagnostics_files_record, "command": f"{self.service_name}-file-backup"},
            "reports": {
                "directory": logs,
                "prefix": DAILY_PREFIX,
                "keep_days": self.diagnostics_keep_days,
                "page": self.diagnostics_report_page,
            },
        }

    @cached_property
    def _database(self) -> dict[str, Any]:
        name, role, database = self.service_name, self.service_database_user, self.service_database_name
        return {
            "enabled": self.service_database_enabled,
            "has_backups": self.diagnostics_has_backups,
            "file": self.service_paths["environment_file"],
            # where the role watchdog has who holds a server's connections
            "watchdog_status": f"/run/{name}-watchdog/status.json",
            "service": consumer(self.service_plan, name, role, database),
            "others": self.diagnostics_database_others,
            "slow_query_count": self.diagnostics_slow_query_count,
            "statements_file": f"{self.state_directory}/statements.json",
            "window": _WINDOW,
        }
