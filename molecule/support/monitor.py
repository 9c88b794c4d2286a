# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus and Alertmanager of a monitor say, asked on its host: they answer nobody else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from testinfra.host import Host

UNITS = ("prometheus", "prometheus-alertmanager")
DIRECTORY = "/etc/prometheus/nodejs-services"
_ASK = """
import json, sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""


@dataclass(frozen=True)
class Monitor:
    host: Host

    def _get(self, url: str) -> Any:
        return json.loads(self.host.check_output("python3 -c %s %s", _ASK, url))

    def prometheus(self, path: str) -> Any:
        return self._get(f"http://127.0.0.1:9090/api/v1/{path}")["data"]

    def targets(self) -> dict[tuple[str, str], str]:
        """The health of each, by job and instance. Two that have both in common are a mistake."""
        found = [(target["labels"], target["health"]) for target in self.prometheus("targets")["activeTargets"]]
        health = {(labels["job"], labels["instance"]): state for labels, state in found}
        assert len(health) == len(found), found
        return health

    def query(self, expression: str) -> list[Any]:
        found: list[Any] = self.prometheus(f"query?{urlencode({'query': expression})}")["result"]
        return found

    def alerts(self) -> dict[tuple[str, str], str]:
        """The state that Alertmanager has of each, by name and instance."""
        found = self._get("http://127.0.0.1:9093/api/v2/alerts")
        return {
            (one["labels"]["alertname"], one["labels"].get("instance", "")): one["status"]["state"] for one in found
        }

    def reported_since(self) -> dict[tuple[str, str], str]:
        """When each that Alertmanager has began."""
        found = self._get("http://127.0.0.1:9093/api/v2/alerts")
        return {(one["labels"]["alertname"], one["labels"].get("instance", "")): one["startsAt"] for one in found}

    def firing(self) -> dict[tuple[str, str], str]:
        """Since when what it is about lasts, to the second: of each that fires in Prometheus now."""
        return {
            (one["labels"]["alertname"], one["labels"].get("instance", "")): one["activeAt"][:19]
            for one in self.prometheus("alerts")["alerts"]
            if one["state"] == "firing"
        }

    def processes(self) -> dict[str, str]:
        """The main process of each, and when it last began or was reloaded."""
        ask = "systemctl show --property=MainPID,StateChangeTimestampMonotonic --value %s"
        return {unit: self.host.check_output(ask, unit) for unit in UNITS}
