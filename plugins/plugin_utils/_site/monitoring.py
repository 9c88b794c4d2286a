# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from its inventory's monitor: what it asks, for role monitoring, and what answers it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .._fleet.inventory import GROUPS, Groups, Variables, address_of, has_server
from .base import Site

_LOOPBACK = "127.0.0.1"
_PORTS = {"node": 9100, "postgresql": 9187}
# Of the monitor alone: Prometheus and Alertmanager.
_OWN_PORTS = {"prometheus": 9090, "alertmanager": 9093}
_TLS = "/etc/prometheus/exporter-tls"
_TLS_DIRECTORIES: list[dict[str, Any]] = [{"path": "/etc/prometheus", "keep": True}, {"path": _TLS}]
_WEB = f"{_TLS}/web.yml"
_PACKAGES = {"node": "prometheus-node-exporter", "postgresql": "prometheus-postgres-exporter"}


class Exporters(Site):
    """Those of the host. The monitor asks its own over loopback, all others with TLS."""

    service_is_monitor: bool
    service_monitor: str
    service_runs_database: bool

    @cached_property
    def packages(self) -> list[str]:
        """Return what makes the key."""
        return ["python3-cryptography"] if self.service_monitor and not self.service_is_monitor else []

    @cached_property
    def own_packages(self) -> list[str]:
        """Return what waits until its units say whom they answer: Debian's answer everybody."""
        return [*self._kinds.values()] if self.service_monitor else []

    @cached_property
    def directories(self) -> list[dict[str, Any]]:
        around = [{"path": f"/etc/systemd/system/{package}.service.d"} for package in self._kinds.values()]
        return [*around, *([] if self.service_is_monitor else _TLS_DIRECTORIES)]

    @cached_property
    def files(self) -> list[dict[str, str]]:
        web = [] if self.service_is_monitor else [{"path": _WEB, "template": "web.yml.j2"}]
        return [*({"path": _drop_in(kind), "template": f"{kind}.conf.j2"} for kind in self._kinds), *web]

    @cached_property
    def units(self) -> list[dict[str, Any]]:
        """Return the units, which are not restarted for a certificate: each connection reads that."""
        return [
            {"name": f"{package}.service", "restart_for": [_drop_in(kind), _WEB]}
            for kind, package in self._kinds.items()
        ]

    @cached_property
    def options(self) -> dict[str, str]:
        """Return for each kind where it listens, and what it wants of a client."""
        address, web = (_LOOPBACK, "") if self.service_is_monitor else ("", f"--web.config.file={_WEB}")
        return {kind: f"--web.listen-address={address}:{_PORTS[kind]} {web}" for kind in self._kinds}

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {kind: _PACKAGES[kind] for kind in _PACKAGES if kind == "node" or self.service_runs_database}


class Monitoring(Site):
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str

    @cached_property
    def targets(self) -> list[dict[str, Any]]:
        """Return every exporter of the inventory, and Prometheus and Alertmanager themselves, for Prometheus' file_sd.

        Their labels say the host and the job, and nothing of the service. So a host that two services share is the same
        target for both.
        """
        hosts = dict.fromkeys(name for group in GROUPS for name in self.groups.get(group, ()))
        return [target for name in hosts for target in self._targets_on(name)]

    def _targets_on(self, name: str) -> list[dict[str, Any]]:
        is_own, has_database = name == self.inventory_hostname, has_server(self.hostvars[name], self.groups, name)
        address = _LOOPBACK if is_own else address_of(name, self.hostvars[name])
        ports = {job: port for job, port in _PORTS.items() if job == "node" or has_database}
        return [
            {
                "targets": [f"[{address}]:{port}" if ":" in address else f"{address}:{port}"],
                "labels": {"job": job, "instance": name, "__scheme__": "http" if is_own else "https"},
            }
            for job, port in (ports | (_OWN_PORTS if is_own else {})).items()
        ]


def _drop_in(kind: str) -> str:
    return f"/etc/systemd/system/{_PACKAGES[kind]}.service.d/monitor.conf"
