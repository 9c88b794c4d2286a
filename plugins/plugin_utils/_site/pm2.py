# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role pm2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .base import Site

# Seconds that PM2 itself needs to end, beside what its processes take.
_STOP_MARGIN = 20
# Seconds for all steps of an activation that has no drain and no hooks: each has a limit of its own, and this one is
# for a module that hangs all the same.
_LONGEST = 3600


class Pm2(Site):
    ansible_check_mode: bool
    pm2_args: Sequence[str]
    pm2_autorestart: bool
    pm2_command_timeout: int
    pm2_drain_time: int
    pm2_environment: Mapping[str, Any]
    pm2_error_file: str
    pm2_exec_mode: str
    pm2_exp_backoff_restart_delay_ms: int
    pm2_health_timeout: int
    pm2_hook_timeout: int
    pm2_hooks: Mapping[str, Sequence[Sequence[str]]]
    pm2_kill_timeout: int
    pm2_listen_port: int
    pm2_listen_timeout: int
    pm2_loader: str
    pm2_log_date_format: str
    pm2_max_restarts: int
    pm2_merge_logs: bool
    pm2_migrate: Sequence[str]
    pm2_migrates: bool
    pm2_min_uptime: str
    pm2_node_args: Sequence[str]
    pm2_options: Mapping[str, Any]
    pm2_out_file: str
    pm2_proxy_host_name: str
    pm2_proxy_url: str
    pm2_script: str
    pm2_socket_variable: str
    pm2_start_timeout: int
    pm2_stay_up: int
    pm2_time: bool
    pm2_wait_ready: bool
    pm2_watch: bool
    service_activation_unit: str
    service_begins_ahead: bool
    service_database_enabled: bool
    service_directory: str
    service_group: str
    service_health_path: str
    service_mode: str
    service_name: str
    service_overlap: bool
    service_paths: Mapping[str, str]
    service_plan: Mapping[str, Any]
    service_renewal_unit: str
    service_run_directory: str
    service_supervisor: str
    service_unit: str
    service_user: str

    @cached_property
    def stop_timeout(self) -> int:
        """Return the seconds that the daemon's end may take: it stops two processes at a time."""
        pairs = -(-int(self.service_plan["instances"]) // 2)
        return _STOP_MARGIN + pairs * self.pm2_kill_timeout

    @cached_property
    def renewal_command(self) -> str:
        return f"/usr/local/lib/{self.service_name}-renewal"

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """Return the units, and what is loaded before the service."""
        active = self.service_paths["active"]
        return [
            {"path": f"/etc/systemd/system/{self.service_unit}", "template": "boot.service.j2"},
            {"path": self._unit_file, "template": "activation.service.j2"},
            {"path": f"/etc/systemd/system/{self.service_renewal_unit}", "template": "renewal.service.j2"},
            {
                "path": self.renewal_command,
                "program": {"entry_point": "_programs.renewal:run", "arguments": {"active": active}},
                "mode": "0755",
            },
            *(
                {"path": path, "template": f"{path.rpartition('/')[2]}.j2", "group": self.service_group, "mode": "0640"}
                for path in self._preloads
            ),
        ]

    @cached_property
    def read_at_start(self) -> list[str]:
        """Return the files of which a change takes another activation."""
        return [*self._preloads, self._unit_file]

    @cached_property
    def _unit_file(self) -> str:
        return f"/etc/systemd/system/{self.service_activation_unit}"

    @cached_property
    def _preloads(self) -> list[str]:
        """Cluster workers write their logs themselves; those of a forked process the daemon writes."""
        names = ["own-socket.cjs"] if self.pm2_exec_mode == "fork" else ["reopen-logs.cjs", "own-socket.cjs"]
        return [f"{self.service_paths['config']}/{name}" for name in names]

    @cached_property
    def own_fields(self) -> list[str]:
        """Return the fields of PM2's that pm2_options may not set."""
        return sorted({*self._app, "log_date_format", "name", "cwd"})

    @cached_property
    def _app(self) -> dict[str, Any]:
        """Return PM2's app. The release's part (name, directory, socket, environment file, loader) is the module's."""
        plan = self.service_plan
        preloads = [word for path in self._preloads for word in ("--require", path)]
        dated = {"log_date_format": self.pm2_log_date_format} if self.pm2_log_date_format else {}
        return {
            "script": self.pm2_script,
            "args": self.pm2_args,
            "interpreter": "node",
            "node_args": [f"--max-old-space-size={plan['heap_limit_mb']}", *preloads, *self.pm2_node_args],
            "exec_mode": self.pm2_exec_mode,
            "instances": plan["instances"],
            "env": {"NODE_ENV": self.service_mode, **self.pm2_environment},
            "max_memory_restart": f"{plan['memory_restart_mb']}M",
            "autorestart": self.pm2_autorestart,
            "watch": self.pm2_watch,
            "max_restarts": self.pm2_max_restarts,
            "min_uptime": self.pm2_min_uptime,
            "exp_backoff_restart_delay": self.pm2_exp_backoff_restart_delay_ms,
            "kill_timeout": self.pm2_kill_timeout * 1000,
            "listen_timeout": self.pm2_listen_timeout * 1000,
            "wait_ready": self.pm2_wait_ready,
            **dated,
            "merge_logs": self.pm2_merge_logs,
            "time": self.pm2_time,
            "out_file": self.pm2_out_file,
            "error_file": self.pm2_error_file,
        }

    @cached_property
    def desired(self) -> dict[str, Any]:
        """Return what the module active_release is to see to, without what a run's tasks have found before it."""
        return {
            "service": self.service_name,
            "directory": self.service_directory,
            "run_directory": self.service_run_directory,
            "app": {**self._app, **self.pm2_options},
            "loader": self.pm2_loader,
            "socket_variable": self.pm2_socket_variable,
            "listen_port": self.pm2_listen_port,
            "preloads": self.read_at_start,
            "user": self.service_user,
            "group": self.service_group,
            "pm2": f"{self.service_paths['bin']}/pm2",
            "node": f"{self.service_paths['bin']}/node",
            "timeout": self.pm2_command_timeout,
            "health_path": self.service_health_path,
            "health_timeout": self.pm2_health_timeout,
            "start_timeout": self.pm2_start_timeout,
            "stay_up": self.pm2_stay_up,
            "proxy_url": self.pm2_proxy_url,
            "proxy_headers": {"Host": self.pm2_proxy_host_name} if self.pm2_proxy_host_name else {},
            "drain_time": self.pm2_drain_time,
            "overlap": self.service_overlap,
            "hooks": self.pm2_hooks,
            "migrate": self.pm2_migrate if self.pm2_migrates else [],
            "hook_timeout": self.pm2_hook_timeout,
        }

    @cached_property
    def goes_on(self) -> bool:
        """Return whether the activation, on a new host, goes on beside the roles before `watchdog`, which waits for
        it. Hosts must take turns with a migration.
        """
        return self.service_begins_ahead and not self.pm2_migrate and not self.ansible_check_mode

    @cached_property
    def longest(self) -> int:
        """Return the seconds that it may go on."""
        # whether they are lists the check of the variables says, by a relation that needs this to be computed
        hooks = sum(len(commands) if isinstance(commands, list) else 1 for commands in self.pm2_hooks.values())
        return _LONGEST + self.pm2_drain_time + self.pm2_hook_timeout * hooks

    @cached_property
    def turns(self) -> int:
        """Return how many hosts may activate at a time, 0 for any number: never two migrations at once."""
        return int(self.pm2_migrates and bool(self.pm2_migrate))

    @cached_property
    def advice(self) -> str:
        """Return what a service that runs under something else can take at its next start, and how."""
        plan, environment = self.service_plan, self.service_paths["environment_file"]
        pool = f"the pool ({plan['pool_max']} connections)" if self.service_database_enabled else "its settings"
        heap = f"--max-old-space-size={plan['heap_limit_mb']}"
        how = {
            "pm2": (
                f'start it with node_args "--env-file={environment} {heap}" and max_memory_restart'
                f" {plan['memory_restart_mb']}M, by pm2 delete and pm2 start, since a restart keeps what it had"
            ),
            "systemd": f"EnvironmentFile={environment} in the unit, and a restart when it suits",
            "process": f"node --env-file={environment} {heap} ...",
        }
        return (
            f"{self.service_name} goes on as it is. Its next start can take the heap limit ({plan['heap_limit_mb']} MB)"
            f" and {pool} from {environment}: {how.get(self.service_supervisor, '')}."
        )
