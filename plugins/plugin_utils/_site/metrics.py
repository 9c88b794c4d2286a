# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role metrics, and of role report, which reads what that records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from .._fleet.inventory import Groups
from .base import Site


class Metrics(Site):
    groups: Groups
    metrics_access_log: str
    metrics_availability_objective: float
    metrics_history: bool
    metrics_latency_objective: float
    metrics_latency_threshold: float
    metrics_node_exporter: bool
    metrics_textfile_directory: str
    service_directory: str
    service_log_directory: str
    service_monitor: str
    service_name: str
    service_routes: Sequence[str]
    service_runs_here: bool

    @cached_property
    def packages(self) -> list[str]:
        return [] if self.service_monitor else self.exporter_packages

    @cached_property
    def own_packages(self) -> list[str]:
        """Return what waits for role exporters: where a monitor exists, it says whom node_exporter answers."""
        return self.exporter_packages if self.service_monitor else []

    @cached_property
    def exporter_packages(self) -> list[str]:
        return ["prometheus-node-exporter"] if self.metrics_node_exporter else []

    @cached_property
    def name(self) -> str:
        return f"{self.service_name}-metrics"

    @cached_property
    def textfile(self) -> str:
        return f"{self.metrics_textfile_directory}/{self.service_name}.prom"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the program on the host is given: plugins/module_utils/_programs/metrics/publish.py."""
        return {
            "service": self.service_name,
            # where the role watchdog has what is read of it
            "status": f"/run/{self.service_name}-watchdog/status.json",
            "access_log": self.metrics_access_log,
            "entry": self._is_entry,
            "routes": [*self.service_routes, "other"],
            "objectives": {
                "availability": self.metrics_availability_objective,
                "latency": self.metrics_latency_objective,
                "latency_threshold": self.metrics_latency_threshold,
            },
            "history": self._history if self.metrics_history else None,
        }

    @cached_property
    def _is_entry(self) -> bool:
        """Return whether requests enter the fleet here, and not through a proxy, which counts them."""
        proxies = {*self.groups.get("proxy", ())} - {*self.groups.get("app", ())}
        return not self.service_runs_here or not proxies

    @cached_property
    def _history(self) -> dict[str, Any]:
        """Return what else is recorded: plugins/module_utils/_programs/metrics/recorder.py."""
        logs, access_log = self.service_log_directory, self.metrics_access_log
        requests = {str(PurePosixPath(access_log).parent): f"{self.service_name}."} if access_log else {}
        return {
            "store": f"/var/lib/{self.name}/history.db",
            # where the role watchdog writes what it has seen and done
            "events": [f"{logs}/monitor.log", f"{logs}/recovery.log"],
            # by directory, what the names of the service's own logs begin with
            "logs": {logs: "", **requests},
            # where a deployment is noted
            "deployments": self.service_directory,
            "disks": ["/", self.service_directory, logs],
        }


class Report(Site):
    report_enabled: bool
    report_keep_days: int
    report_language: str
    service_name: str

    @cached_property
    def packages(self) -> list[str]:
        return ["cron", "python3-jinja2", "python3-pygal"] if self.report_enabled else []

    @cached_property
    def page(self) -> str:
        """Return where the page is, for the daily report of the diagnosis; "" where there is none."""
        return f"{self.settings['directory']}/report.html" if self.report_enabled else ""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return what the command on the host reads: plugins/module_utils/_programs/report/facts.py."""
        return {
            "service": self.service_name,
            "language": self.report_language,
            # where the roles metrics, watchdog and diagnostics have what the page is made of
            "history": f"/var/lib/{self.service_name}-metrics/history.db",
            "status": f"/run/{self.service_name}-watchdog/status.json",
            "diagnose_command": f"/usr/local/bin/{self.service_name}-diagnose",
            "days_file": f"/var/lib/{self.service_name}-diagnose/days.json",
            "directory": f"/var/lib/{self.service_name}-report",
            "keep_days": self.report_keep_days,
        }
