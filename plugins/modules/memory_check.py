#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: memory_check
short_description: Judge the memory of a service's processes by their real limits
description:
  - Finds the service's processes by PM2 app, pid file or systemd unit, with all their descendants, and reads what they
    hold, what the host has left and what their control groups allow. Changes nothing, and never starts a PM2 daemon.
  - The heap is judged against the heap limit, RSS against the limit at which PM2 restarts a process. The ratio of
    heapUsed to heapTotal is reported and not judged, because V8 keeps it near 80 % by itself.
extends_documentation_fragment:
  - workbot.stability.processes
  - workbot.stability.read_only
  - workbot.stability.read_only.fail_on
requirements:
  - psutil on the host (Debian's python3-psutil)
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
options:
  url:
    description:
      - Health endpoint whose body holds C(memory.heapUsed), C(memory.heapTotal) and C(memory.heapLimit), in bytes or
        MB.
      - In a cluster each answer is of one worker; its C(pid), where the body has one, says of which.
      - Without it (or where a worker does not answer) the figures that a process reports to PM2 are used.
    type: str
    default: ""
  unix_socket:
    description: Ask O(url) over this unix socket; O(url) may then be a path.
    type: path
  timeout:
    description: Seconds for one request, and for C(pm2).
    type: float
    default: 5
  heap_limit_mb:
    description: Heap limit of a process in MB, where the health endpoint does not tell it. V(0) means unknown.
    type: int
    default: 0
  memory_restart_mb:
    description: RSS in MB at which a process is restarted. V(0) means that there is no such limit.
    type: int
    default: 0
  heap_warning:
    description: Percentage of the heap limit that is a warning.
    type: float
    default: 80
  heap_critical:
    description: Percentage of the heap limit that is critical.
    type: float
    default: 95
  rss_warning:
    description: Percentage of O(memory_restart_mb) that is a warning.
    type: float
    default: 85
  rss_critical:
    description: Percentage of O(memory_restart_mb) that is critical.
    type: float
    default: 95
  host_warning:
    description: Percentage of the host's memory in use that is a warning.
    type: float
    default: 85
  host_critical:
    description: Percentage of the host's memory in use that is critical.
    type: float
    default: 95
  cgroup_warning:
    description: Percentage of a control group's limit in use that is a warning.
    type: float
    default: 85
  cgroup_critical:
    description: Percentage of a control group's limit in use that is critical.
    type: float
    default: 95
"""

EXAMPLES = r"""
- name: Judge the memory of the service's PM2 processes
  workbot.stability.memory_check:
    pm2_prefix: workbot-
    pm2_home: /srv/workbot/active/pm2
    pm2_user: workbot
    pm2_bin: /opt/workbot/bin
    url: /api/health
    unix_socket: /srv/workbot/active/0.sock
    memory_restart_mb: 2560

- name: Report on a service that systemd runs, without failing
  workbot.stability.memory_check:
    systemd_unit: api.service
    fail_on: never
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
    - check: memory.heap.4711
      status: ok
      value: 16.4
      threshold: 80
      unit: "%"
      message: "heap of process 4711: 334 MB used of 2144 MB (heap limit): 16.4 %"
readings:
  description: The figures, in bytes.
  returned: always
  type: dict
  contains:
    processes:
      description: Each process tree with its RSS, PSS (where readable) and members.
      type: list
      elements: dict
    heaps:
      description: Each heap's C(used), C(total) and C(limit), the C(pid) and the C(source), V(health) or V(pm2).
      type: list
      elements: dict
    host:
      description: C(total) and C(available) memory.
      type: dict
    cgroups:
      description: Control groups that limit a process, with C(path), C(used) and C(limit).
      type: list
      elements: dict
"""

from collections.abc import Iterator
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import (
    FAIL_ON_OPTION,
    levels_of,
    run_check,
    threshold_options,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, Finding, verdict
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import read_health
from ansible_collections.workbot.stability.plugins.module_utils._checks.memory import (
    THRESHOLDS,
    collect_heaps,
    judge_memory,
    limits_of,
    read_memory,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.processes import (
    PROCESS_OPTIONS,
    pm2_processes,
    roots_of,
    wrong_choice,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import ProcessError, read_trees
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error

SPEC = {
    **PROCESS_OPTIONS,
    "url": {"type": "str", "default": ""},
    "unix_socket": {"type": "path"},
    "timeout": {"type": "float", "default": 5},
    "heap_limit_mb": {"type": "int", "default": 0},
    "memory_restart_mb": {"type": "int", "default": 0},
    **threshold_options(heap=(80, 95), rss=(85, 95), host=(85, 95), cgroup=(85, 95)),
    **FAIL_ON_OPTION,
}


def health_bodies(params: dict[str, Any], count: int) -> Iterator[Any]:
    """Bodies of the health endpoint, asked for one by one: twice as many as there are workers to hear from."""
    if not params["url"]:
        return
    request = Request(url=params["url"], unix_socket=params["unix_socket"] or "", timeout=params["timeout"])
    for _attempt in range(2 * max(1, count)):
        reading = read_health(request)
        if reading.answer is None:
            return
        yield reading.body


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Read and judge; the module's result."""
    if wrong := wrong_choice(params):
        raise StabilityError(wrong)
    if params["unix_socket"] and not params["url"]:
        raise StabilityError("unix_socket needs url, the path to ask for, such as /api/health")
    limits = limits_of(levels_of(params, *THRESHOLDS), params)
    try:
        processes = pm2_processes(params)
        trees = read_trees(roots_of(params, processes))
    except (Pm2Error, ProcessError, UnitError) as error:
        return {**verdict([Finding("memory.processes", CRITICAL, str(error), 0, 1, "processes")]), "readings": {}}
    heaps = collect_heaps(processes, health_bodies(params, len(trees)), [tree.pid for tree in trees])
    reading = read_memory(trees, heaps)
    return {**verdict(judge_memory(reading, limits)), "readings": reading.as_dict()}


def main() -> None:
    module = Module(
        argument_spec=SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("pid_file", "systemd_unit")],
    )
    run_check(module, check)


if __name__ == "__main__":
    main()
