# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor of an inventory asks: the exporters of its hosts, as targets for Prometheus' file_sd."""

from __future__ import annotations

import typing as t

from .inventory import GROUPS, Groups, Variables, address_of, has_server

LOOPBACK = "127.0.0.1"
PORTS = {"node": 9100, "postgresql": 9187}
# Of the monitor alone: Prometheus and Alertmanager.
_OWN_PORTS = {"prometheus": 9090, "alertmanager": 9093}


def targets_of(hostvars: t.Mapping[str, Variables], groups: Groups, monitor: str) -> list[dict[str, t.Any]]:
    """Return the groups of targets. Their labels say the host and the job, and nothing of the service.

    So a host that two services share is the same target for both. On the monitor itself exporters have no TLS.
    """
    hosts = dict.fromkeys(name for group in GROUPS for name in groups.get(group, ()))
    found = []
    for name in hosts:
        ports = {
            **{job: port for job, port in PORTS.items() if job == "node" or has_server(hostvars[name], groups, name)},
            **(_OWN_PORTS if name == monitor else {}),
        }
        address = LOOPBACK if name == monitor else address_of(name, hostvars[name])
        found += [
            {
                "targets": [f"[{address}]:{port}" if ":" in address else f"{address}:{port}"],
                "labels": {"job": job, "instance": name, "__scheme__": "http" if name == monitor else "https"},
            }
            for job, port in ports.items()
        ]
    return found
