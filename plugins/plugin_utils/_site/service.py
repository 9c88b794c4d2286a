# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role service, beside its capacity plan and its secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .._fleet.inventory import Groups, Variables, address_of
from .base import Site

_PREFIX = "workbot.stability."
# Molecule always skips these, which no task has.
_SKIPPED_BY_MOLECULE = {"molecule-notest", "notest"}


class Service(Site):
    ansible_play_hosts_all: Sequence[str]
    ansible_play_role_names: Sequence[str]
    ansible_run_tags: Sequence[str]
    ansible_skip_tags: Sequence[str]
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str
    service_ca_file: str
    service_database_ca_file: str
    service_database_enabled: bool
    service_database_host: str
    service_database_is_local: bool
    service_database_max_connections: int
    service_database_memory: Any
    service_database_name: str
    service_database_port: int
    service_database_server: str
    service_database_tls: str
    service_directory: str
    service_external_app: str
    service_external_pid_file: str
    service_external_pm2_bin: str
    service_external_pm2_home: str
    service_external_proxy_url: str
    service_external_unit: str
    service_external_url: str
    service_group: str
    service_heap_limit: Any
    service_instances: str
    service_is_external: bool
    service_log_directory: str
    service_log_level: str
    service_memory_restart_limit: Any
    service_mode: str
    service_name: str
    service_overlap: bool
    service_pool_connect_timeout: int
    service_pool_idle_timeout: int
    service_pool_max: Any
    service_pool_min: Any
    service_proxy_group: str
    service_rate_limit_requests: int
    service_rate_limit_window: int
    service_reserved_memory: str
    service_run_directory: str
    service_runs_here: bool
    service_supervisor: str
    service_user: str
    service_websocket_heartbeat: int
    service_websocket_max_connections: int

    @cached_property
    def packages(self) -> list[str]:
        return ["ca-certificates"] if self.service_ca_file else []

    @cached_property
    def paths(self) -> dict[str, str]:
        top, tools, existing = self.service_directory, f"/opt/{self.service_name}", self.service_is_external
        return {
            "releases": f"{top}/releases",
            "current": f"{top}/current",
            "previous": f"{top}/previous",
            "shared": f"{top}/shared",
            "config": f"{top}/config",
            "environment_file": f"{top}/config/environment",
            "home": f"{top}/home",
            "activations": f"{top}/activations",
            # A link to one of these. What lies there is the active one's: its PM2 and the tools that it runs under.
            "active": f"{top}/active",
            "ecosystem_file": f"{top}/active/ecosystem.config.cjs",
            "pm2_home": self.service_external_pm2_home if existing else f"{top}/active/pm2",
            "pm2_bin": self.service_external_pm2_bin if existing else f"{top}/active/bin",
            "hold_socket": f"{top}/hold.sock",
            "toolchain": tools,
            "bin": f"{tools}/bin",
            "database_ca": f"{top}/config/database-ca.pem",
            "ca_file": self._extra_authorities,
        }

    @cached_property
    def _extra_authorities(self) -> str:
        return f"/usr/local/share/ca-certificates/{self.service_name}-extra.crt" if self.service_ca_file else ""

    @cached_property
    def existing(self) -> dict[str, Any]:
        """Return where the service is that runs under something else, as the tools on the host read it; else {}."""
        if not self.service_is_external:
            return {}
        is_pm2 = self.service_supervisor == "pm2"
        return {
            "supervisor": self.service_supervisor,
            "url": self.service_external_url,
            "app": self.service_external_app if is_pm2 else "",
            "pm2_home": self.service_external_pm2_home,
            "unit": self.service_external_unit,
            "pid_file": self.service_external_pid_file,
            "instances": self._existing_instances if is_pm2 else 1,
        }

    @cached_property
    def _existing_instances(self) -> int:
        return 0 if self.service_instances == "max" else int(self.service_instances)

    @cached_property
    def external_units(self) -> list[str]:
        proxy = ["nginx.service"] if self.service_external_proxy_url else []
        return [*([self.service_external_unit] if self.service_external_unit else []), *proxy]

    @cached_property
    def is_whole_play(self) -> bool:
        """Return whether no tags were chosen: such a run must not install what the other roles need."""
        return "all" in self.ansible_run_tags and not {*self.ansible_skip_tags} - _SKIPPED_BY_MOLECULE

    @cached_property
    def roles_with_packages(self) -> list[str]:
        """Return what the names of the variables begin with in which the play's roles name their packages."""
        roles = (role.removeprefix(_PREFIX) for role in self.ansible_play_role_names if role.startswith(_PREFIX))
        return [f"__{role}" for role in roles if role != "postgresql" or self.service_database_enabled]

    @cached_property
    def database_clients(self) -> dict[str, str]:
        """Return the app hosts that use this host's server, each with the address that it comes from."""
        if not self.service_database_is_local or not self._is_in("database"):
            return {}
        others = [name for name in self.groups.get("app", ()) if name != self.inventory_hostname]
        return {name: address_of(name, self.hostvars[name]) for name in others}

    @cached_property
    def database_ca(self) -> str:
        """Return the file of the authorities of the server's certificate; "" where nobody looks at it."""
        if self.service_database_tls != "verify-full":
            return ""
        has_own = self.service_database_server or self.service_database_ca_file
        return self.paths["database_ca"] if has_own else "/etc/ssl/certs/ca-certificates.crt"

    @cached_property
    def runs_database(self) -> bool:
        """Return whether these roles run the host's own PostgreSQL: a proxy has none, though it would look for one at
        home where every app host has its own.
        """
        return self.service_database_is_local and (self.service_runs_here or self._is_in("database"))

    @cached_property
    def database_place(self) -> str:
        """Return DATABASE_URL from the host on, percent-encoded; a socket's directory is the host, as libpq and pg read
        it. Both read the options of TLS here; of the environment (PGSSLROOTCERT) node-postgres does not.
        """
        host = self.service_database_host
        address = f"[{host}]" if ":" in host else host.replace("/", "%2F")
        options = f"?sslmode={self.service_database_tls}" if self.service_database_tls else ""
        if options and self.database_ca:
            options += f"&sslrootcert={self.database_ca}"
        return f"{address}:{self.service_database_port}/{self.service_database_name}{options}"

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Return what the service finds in its environment of what is no secret and not of the plan."""
        found = {
            "NODE_ENV": self.service_mode,
            "LOG_LEVEL": self.service_log_level,
            "WS_MAX_CONNECTIONS": self.service_websocket_max_connections,
            "WS_HEARTBEAT_MS": self.service_websocket_heartbeat * 1000,
            "RATE_LIMIT_REQUESTS": self.service_rate_limit_requests,
            "RATE_LIMIT_WINDOW_MS": self.service_rate_limit_window * 1000,
        }
        if self.service_database_enabled:
            found["DB_POOL_IDLE_TIMEOUT_MS"] = self.service_pool_idle_timeout * 1000
            found["DB_POOL_CONNECT_TIMEOUT_MS"] = self.service_pool_connect_timeout * 1000
        return found

    @cached_property
    def capacity(self) -> dict[str, Any]:
        """Return what the plan weighs, beside the host: plugins/plugin_utils/_capacity/core.py."""
        return {
            "mode": self.service_mode,
            "runs_here": self.service_runs_here,
            "hosts": self._sharing_hosts,
            "instances": self.service_instances,
            "heap_limit": self.service_heap_limit,
            "memory_restart_limit": self.service_memory_restart_limit,
            "database": self.service_database_enabled,
            "database_is_local": self.runs_database,
            "max_connections": self.service_database_max_connections,
            "pool_max": self.service_pool_max,
            "pool_min": self.service_pool_min,
            "reserved_memory": self.service_reserved_memory,
            "database_memory": self.service_database_memory,
            "overlap": self.service_overlap,
            # what the other services of the host have planned; for one that runs under something else a plan is advice
            "service": "" if self.service_is_external else self.service_name,
        }

    @cached_property
    def _sharing_hosts(self) -> int:
        """Every host of the group counts: with --limit or serial the plan must be the same."""
        if self.service_database_is_local and not self.database_clients:
            return 1
        return len(self.groups["app"] if self._is_in("app") else self.ansible_play_hosts_all)

    @cached_property
    def accounts(self) -> list[dict[str, Any]]:
        """Around an existing service the user is foreign."""
        if self.service_is_external:
            return []
        account = {"name": self.service_user, "group": self.service_group, "home": self.paths["home"]}
        return [{**account, "comment": f"{self.service_name} service"}]

    @cached_property
    def directories(self) -> list[dict[str, Any]]:
        """Parents first. The service may not replace what root hands it (config), nor the release links beside it.

        Around an existing service: what the tools need, and nothing of the service's.
        """
        paths, group, of_service = self.paths, {"group": self.service_group}, {"owner": self.service_user}
        config = {"path": paths["config"], **group, "mode": "0750"}
        # an existing service that was taken over had another user
        logs = {"path": self.service_log_directory, **of_service, "group": "adm", "mode": "0750", "contents": True}
        if self.service_is_external:
            return [{"path": self.service_directory}, config, logs]
        return [
            # what this service plans of the host, for the plans of others there
            {"path": "/etc/ansible", "keep": True},
            {"path": "/etc/ansible/facts.d", "keep": True},
            {"path": self.service_directory},
            {"path": paths["releases"], **group, "mode": "0750"},
            {"path": paths["activations"]},
            {"path": paths["shared"], **of_service, **group, "mode": "0750"},
            config,
            {"path": paths["home"], **of_service, **group, "mode": "0700"},
            {"path": paths["toolchain"]},
            logs,
            self._sockets,
        ]

    @cached_property
    def _sockets(self) -> dict[str, Any]:
        """Nginx, which may connect to the sockets of all services, is not to be led to another's by a link that this
        service puts in the place of its own: in a directory that is root's, sticky and writable for all, the kernel
        follows no link of another user. "All" may not pass: the service alone gets in, by the access list, and the
        proxy's group.
        """
        path, users = self.service_run_directory, {self.service_user: "rwx"}
        return {"path": path, "group": self.service_proxy_group, "mode": "3752", "users": users}

    def _is_in(self, group: str) -> bool:
        return self.inventory_hostname in self.groups.get(group, ())
