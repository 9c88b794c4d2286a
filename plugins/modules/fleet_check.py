#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_check
short_description: Check a host of a fleet that does not run the service itself
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Of a proxy, whether it answers for the service, which app hosts behind it do, which are out of rotation, and how
    long its certificate is valid. Of a database server, whether it accepts connections. Of a repository host, whether
    it lets database hosts in, takes files from app hosts, and could remove old ones. Of a monitor, whether Prometheus
    and Alertmanager answer, and which exporters do.
  - Judges by the same functions as the diagnosis of an app host, and returns the same, for
    M(workbot.stability.diagnosis_table). What is found never fails the task. Changes nothing.
options:
  service:
    description: Its name, by which is known why the last attempt to get its certificate failed.
    type: str
    required: true
  proxy_url:
    description: Address of the health endpoint through this host's Nginx. Empty when it is no proxy.
    type: str
    default: ""
  host_name:
    description: The host name to ask it for.
    type: str
    default: ""
  certificate_url:
    description: Where its certificate is served. Empty for nowhere.
    type: str
    default: ""
  upstreams:
    description: The app hosts behind it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name in the inventory.
        type: str
        required: true
      host:
        description: Address or name.
        type: str
        required: true
      port:
        description: TCP port of its Nginx.
        type: int
        default: 80
  upstream_path:
    description: Path of their health endpoint.
    type: str
    default: /health
  drained_file:
    description: File with those that are out of rotation, a JSON object of the reasons by name.
    type: path
    default: ""
  database_port:
    description: Port of the PostgreSQL server of this host; V(0) when it has none.
    type: int
    default: 0
  repository_port:
    description: Port of the repository host of the backups; V(0) when it is none.
    type: int
    default: 0
  files_port:
    description: Port at which that host takes the backups of services' files; V(0) when it does not.
    type: int
    default: 0
  monitor:
    description: Whether it is the monitor.
    type: bool
    default: false
  timeout:
    description: Seconds that each answer may take.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Check a proxy
  workbot.stability.fleet_check:
    service: shop
    proxy_url: http://127.0.0.1/health
    upstreams: [{name: app1, host: 10.0.0.11}]
"""

from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import verdict
from ansible_collections.workbot.stability.plugins.module_utils._checks.fleet import (
    check_database,
    check_file_repository,
    check_proxy,
    check_repository,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.monitor import check_monitor
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

SPEC = {
    "service": {"type": "str", "required": True},
    "proxy_url": {"type": "str", "default": ""},
    "host_name": {"type": "str", "default": ""},
    "certificate_url": {"type": "str", "default": ""},
    "upstreams": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 80},
        },
    },
    "upstream_path": {"type": "str", "default": "/health"},
    "drained_file": {"type": "path", "default": ""},
    "database_port": {"type": "int", "default": 0},
    "repository_port": {"type": "int", "default": 0},
    "files_port": {"type": "int", "default": 0},
    "monitor": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 5},
}


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    findings = check_proxy(options) if options["proxy_url"] else []
    if options["database_port"]:
        findings += check_database(options["database_port"], options["timeout"])
    if options["repository_port"]:
        findings += check_repository(options["repository_port"], options["timeout"])
    if options["files_port"]:
        findings += check_file_repository(options["files_port"], options["timeout"])
    if options["monitor"]:
        findings += check_monitor(options["timeout"])
    module.exit_json(changed=False, **verdict(findings), problem="")


if __name__ == "__main__":
    main()
