#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_connection_budget
short_description: Compare what may be connected to a PostgreSQL server with what it allows
description:
  - Reads the server's own C(max_connections) and what it reserves, and adds up what the services (with the overlap of
    old and new instances during a release), cron jobs, monitors and other databases may have open.
  - Reports what is open now by role, database, application and state, sessions that hold a transaction open without a
    statement, and sessions that wait for another's lock.
  - Run as root, with neither O(login_host) nor O(login_password), it connects as the host's user of the role's name.
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
extends_documentation_fragment:
  - workbot.stability.postgresql
  - workbot.stability.read_only
  - workbot.stability.read_only.fail_on
options:
  services:
    description: The services that connect with a pool.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service.
        type: str
        required: true
      role:
        description: Role that it logs in as; its name unless given.
        type: str
      database:
        description: Its database; its name unless given.
        type: str
      instances:
        description: Processes on each host.
        type: int
        required: true
      pool_max:
        description: Connections that each process opens at most.
        type: int
        required: true
      hosts:
        description: Hosts that it runs on.
        type: int
        default: 1
      overlap:
        description: How many generations of processes run side by side during a release.
        type: int
        default: 2
  others:
    description: Further users of the server, each with what it opens at most.
    type: dict
    default: {diagnosis: 3, monitor and recovery: 1, migrations or psql: 1}
  max_connections:
    description: Judge as if the server had this C(max_connections), where it is about to be set. V(0) is its own.
    type: int
    default: 0
  limits_to_come:
    description: Whether the limits of the services' roles and databases are about to be set, and are no RV(excess).
    type: bool
    default: false
  open_warning:
    description: Open connections that are a warning, in percent of what the server allows.
    type: float
    default: 80
  open_critical:
    description: Open connections that are critical, in percent of what the server allows.
    type: float
    default: 95
  idle_warning:
    description: Seconds in a transaction without a statement that are a warning.
    type: float
    default: 60
  idle_critical:
    description: Seconds in a transaction without a statement that are critical.
    type: float
    default: 600
  waiting_warning:
    description: Seconds of waiting for a lock that are a warning.
    type: float
    default: 5
  waiting_critical:
    description: Seconds of waiting for a lock that are critical.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Refuse more instances than the server has connections for
  workbot.stability.postgresql_connection_budget:
    login_host: db.example.com
    login_user: workbot
    login_password: "{{ vault_database_password }}"
    login_db: workbot
    services:
      - {name: workbot, instances: 4, hosts: 2, pool_max: 5}

- name: Show what is connected
  workbot.stability.postgresql_connection_budget:
    login_db: postgres
    fail_on: never
  become: true
"""

RETURN = r"""
status:
  description: The worst of the findings, V(ok), V(warning) or V(critical).
  returned: always
  type: str
  sample: ok
findings:
  description: What was judged, see M(workbot.stability.health_check).
  returned: always
  type: list
  elements: dict
  sample:
    - check: connections.budget
      status: ok
      value: 85
      threshold: 97
      unit: connections
      message: >-
        workbot 4 instances x 10 connections x 2 during a release = 80, diagnosis 3, monitor and recovery 1,
        migrations or psql 1: 85 of 97 (max_connections 100 - 3 superuser)
excess:
  description: >-
    Messages of those findings by which the O(services) can't have all that they may open, since the server allows less,
    or the limit of a role or a database is lower.
  returned: success
  type: list
  elements: str
limits:
  description: The server's C(max_connections), C(superuser_reserved), C(reserved), and what is C(available).
  returned: success
  type: dict
missing_driver:
  description: V(true) where the host has neither psycopg nor psycopg2, and nobody was asked.
  returned: when the driver is missing
  type: bool
open:
  description:
    - The open connections by role, database, application and state. C(state) is what C(pg_stat_activity) has, or
      V(hidden) where the one that asks may not see it.
  returned: success
  type: list
  elements: dict
  sample: [{role: workbot, database: workbot, application: api, state: idle, count: 12}]
"""

import dataclasses
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import (
    FAIL_ON_OPTION,
    levels_of,
    run_check,
    threshold_options,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import verdict
from ansible_collections.workbot.stability.plugins.module_utils._host.command import effective_user
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.budget import (
    THRESHOLDS,
    consumer_of,
    excess,
    judge_connections,
    limits_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    Login,
    MissingDriverError,
    load_driver,
    peer_of,
    session,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.sessions import counts, read_connections

SERVICE = {
    "name": {"type": "str", "required": True},
    "role": {"type": "str"},
    "database": {"type": "str"},
    "instances": {"type": "int", "required": True},
    "pool_max": {"type": "int", "required": True},
    "hosts": {"type": "int", "default": 1},
    "overlap": {"type": "int", "default": 2},
}
SPEC = {
    **CONNECTION_OPTIONS,
    "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
    "others": {"type": "dict", "default": {"diagnosis": 3, "monitor and recovery": 1, "migrations or psql": 1}},
    "max_connections": {"type": "int", "default": 0},
    "limits_to_come": {"type": "bool", "default": False},
    **threshold_options(open=(80, 95), idle=(60, 600), waiting=(5, 60)),
    **FAIL_ON_OPTION,
}


def others_of(params: dict[str, Any]) -> dict[str, int]:
    """Raises StabilityError."""
    for name, value in params["others"].items():
        if not str(value).isdecimal():
            raise StabilityError(f"others.{name} = {value}: must be a number of connections, 0 or more")
    return {name: int(value) for name, value in params["others"].items()}


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Read and judge; the module's result."""
    limits, others = limits_of(levels_of(params, *THRESHOLDS)), others_of(params)
    for each in params["services"]:
        for name in ("instances", "pool_max", "hosts", "overlap"):
            if each[name] < 1:
                raise StabilityError(f"services: {name} of {each['name']} is {each[name]}, must be 1 or more")
    with effective_user(peer_of(params)), session(Login.of(params, "postgresql_connection_budget")) as client:
        found = read_connections(client)
    if params["max_connections"]:
        limits_then = dataclasses.replace(found.limits, max_connections=params["max_connections"])
        found = dataclasses.replace(found, limits=limits_then)
    consumers = [consumer_of(each) for each in params["services"]]
    findings = judge_connections(found, consumers, others, limits)
    return {
        **verdict(findings),
        "excess": excess(findings, consumers, limits_to_come=params["limits_to_come"]),
        "limits": {**dataclasses.asdict(found.limits), "available": found.limits.available},
        "open": counts(found.sessions),
    }


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    try:
        load_driver()
    except MissingDriverError as error:
        module.fail_json(msg=str(error), missing_driver=True)
    run_check(module, check)


if __name__ == "__main__":
    main()
