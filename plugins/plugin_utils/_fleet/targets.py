# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor of an inventory asks: the exporters of its hosts, as targets for Prometheus' file_sd."""

from __future__ import annotations

import re
import typing as t

from .inventory import GROUPS, address_of

_LOOPBACK = "127.0.0.1"
# As in role service: this host's own server is used.
_LOCAL_SERVER = re.compile(r"(127[.]0[.]0[.]1|::1|localhost)$|/")
_PORTS = {"node": 9100, "postgresql": 9187}
# Of the monitor alone: Prometheus and Alertmanager.
_OWN_PORTS = {"prometheus": 9090, "alertmanager": 9093}

Variables = t.Mapping[str, t.Any]
Groups = t.Mapping[str, t.Sequence[str]]


def targets_of(hostvars: t.Mapping[str, Variables], groups: Groups, monitor: str) -> list[dict[str, t.Any]]:
    """Return the groups of targets. Their labels say the host and the job, and nothing of the service.

    So a host that two services share is the same target for both. On the monitor itself exporters have no TLS.
    """
    hosts = dict.fromkeys(name for group in GROUPS for name in groups.get(group, ()))
    found = []
    for name in hosts:
        ports = {
            **{job: port for job, port in _PORTS.items() if job == "node" or has_server(hostvars[name], groups, name)},
            **(_OWN_PORTS if name == monitor else {}),
        }
        address = _LOOPBACK if name == monitor else address_of(name, hostvars[name])
        found += [
            {
                "targets": [f"[{address}]:{port}" if ":" in address else f"{address}:{port}"],
                "labels": {"job": job, "instance": name, "__scheme__": "http" if name == monitor else "https"},
            }
            for job, port in ports.items()
        ]
    return found


def has_server(variables: Variables, groups: Groups, name: str) -> bool:
    """Whether the roles run a PostgreSQL server on the host, as `service_database_is_local` says there."""
    servers = groups.get("database", ())
    if (
        name not in [*groups.get("app", ()), *servers]
        or variables.get("service_supervisor", "collection") != "collection"
    ):
        return False
    host = str(variables.get("service_database_host") or ("" if servers and name not in servers else _LOOPBACK))
    return _is_true(variables.get("service_database_enabled", bool(servers))) and bool(_LOCAL_SERVER.match(host))


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "yes", "on", "1")
