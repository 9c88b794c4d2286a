#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_check
short_description: Judge the secrets that the running processes of a service have
description:
  - Finds the service's processes by PM2 app, pid file or systemd unit, and looks at the secrets they were started with.
    That is the file that Node.js was given by C(--env-file), else the process's environment. Changes nothing.
  - A secret must be set, long enough, no placeholder and not easy to guess, must not be the value of another variable
    or of another service, and the file that holds it must be private. A process that was started before the file was
    changed is told.
  - No value leaves the process that reads it. Results, errors, logs and C(-vvv) have lengths and names alone, and equal
    values are told by digests under a key that is made for one run.
extends_documentation_fragment:
  - workbot.stability.processes
  - workbot.stability.read_only
  - workbot.stability.read_only.fail_on
requirements:
  - psutil on the host (Debian's python3-psutil)
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
options:
  names:
    description: Names of the variables that are secrets.
    type: list
    elements: str
    required: true
  env_file:
    description:
      - The file that the processes should have their secrets from. A value that a process has otherwise is a warning.
      - Without any process to look at, the file itself is judged.
    type: path
  other_env_files:
    description: Environment files of other services, patterns too, whose values must be others.
    type: list
    elements: str
    default: []
  min_length:
    description: Characters that a secret must have.
    type: int
    default: 32
  min_bits:
    description: Estimated bits below which a secret is a warning, since it is easy to guess. V(0) takes any.
    type: int
    default: 64
  timeout:
    description: Seconds for C(pm2).
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Judge what the service's workers really have
  workbot.stability.secret_check:
    names: [JWT_SECRET]
    pm2_prefix: shop-
    pm2_home: /srv/shop/active/pm2
    pm2_user: shop
    pm2_bin: /opt/shop/bin
    env_file: /srv/shop/config/environment
    other_env_files: [/srv/*/config/environment]

- name: Judge a service that systemd runs
  workbot.stability.secret_check:
    names: [SESSION_KEY, API_TOKEN]
    systemd_unit: api.service
    fail_on: warning
"""

RETURN = r"""
status:
  description: The worst of the findings, V(ok), V(warning) or V(critical).
  returned: always
  type: str
  sample: ok
findings:
  description: What was judged, each with the reading, what it was compared with, and what to do.
  returned: always
  type: list
  elements: dict
  sample:
    - check: secrets.JWT_SECRET
      status: ok
      value: 64
      threshold: 32
      unit: characters
      message: set, 64 characters, in 2 running processes
readings:
  description:
    - What was looked into. The C(label) is the process by its PM2 app and number, its pid file or its unit, or it is
      the file; C(lengths) are characters, C(error) says why it could not be looked into.
  returned: always
  type: list
  elements: dict
  sample:
    - label: shop-4f2a.0
      lengths: {JWT_SECRET: 64}
      files: [{path: /srv/shop/config/environment, owner: shop, mode: "0600"}]
      error: ""
"""

from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import FAIL_ON_OPTION, run_check
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, Finding, verdict
from ansible_collections.workbot.stability.plugins.module_utils._checks.processes import (
    CHOICES,
    PROCESS_OPTIONS,
    pm2_processes,
    roots_of,
    wrong_choice,
)
from ansible_collections.workbot.stability.plugins.module_utils._checks.secret_check import (
    SecretReader,
    SecretRules,
    judge_secrets,
    readings_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import ProcessError
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error

SPEC = {
    **PROCESS_OPTIONS,
    "names": {"type": "list", "elements": "str", "required": True},
    "env_file": {"type": "path"},
    "other_env_files": {"type": "list", "elements": "str", "default": []},
    "min_length": {"type": "int", "default": 32},
    "min_bits": {"type": "int", "default": 64},
    "timeout": {"type": "float", "default": 5},
    **FAIL_ON_OPTION,
}


def other_files(patterns: list[str], own: str | None) -> list[Path]:
    """The files that the patterns match, but for the service's own."""
    found = {path.resolve() for pattern in patterns for path in Path("/").glob(pattern.lstrip("/"))}
    return sorted(found - ({Path(own).resolve()} if own else set()))


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Read and judge; the module's result."""
    if wrong := wrong_choice(params, also=["env_file"]):
        raise StabilityError(wrong)
    reader = SecretReader(params["names"], params["min_length"])
    chosen = any(params[name] for name in CHOICES)
    try:
        roots = roots_of(params, pm2_processes(params))
    except (Pm2Error, ProcessError, UnitError) as error:
        return {**verdict([Finding("secrets.processes", CRITICAL, str(error), 0, 1, "processes")]), "readings": []}
    if chosen and not roots:
        message = "no process of the service runs. Start it and see its error log."
        return {**verdict([Finding("secrets.processes", CRITICAL, message, 0, 1, "processes")]), "readings": []}
    processes = reader.processes(roots)
    declared = reader.file(Path(params["env_file"])) if params["env_file"] else None
    others = [reader.file(path) for path in other_files(params["other_env_files"], params["env_file"])]
    rules = SecretRules(params["names"], params["min_length"], params["min_bits"])
    findings = judge_secrets(rules, processes, declared, others)
    return {**verdict(findings), "readings": readings_of([*processes, *([declared] if declared else [])])}


def main() -> None:
    module = Module(
        argument_spec=SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("pid_file", "systemd_unit")],
    )
    run_check(module, check)


if __name__ == "__main__":
    main()
