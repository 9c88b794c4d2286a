# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from its inventory's monitor: what it asks, for role monitoring, and what answers it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .._fleet.inventory import Groups, Variables
from .._fleet.targets import LOOPBACK, PORTS, targets_of
from .base import Site

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
        address, web = (LOOPBACK, "") if self.service_is_monitor else ("", f"--web.config.file={_WEB}")
        return {kind: f"--web.listen-address={address}:{PORTS[kind]} {web}" for kind in self._kinds}

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {kind: _PACKAGES[kind] for kind in _PACKAGES if kind == "node" or self.service_runs_database}


class Monitoring(Site):
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str

    @cached_property
    def targets(self) -> list[dict[str, Any]]:
        """Return every exporter of the inventory, and Prometheus and Alertmanager themselves."""
        return targets_of(self.hostvars, self.groups, self.inventory_hostname)


def _drop_in(kind: str) -> str:
    return f"/etc/systemd/system/{_PACKAGES[kind]}.service.d/monitor.conf"
