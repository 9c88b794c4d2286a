#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis
short_description: Run the diagnosis that is installed on the host
description:
  - Runs the command C(<service>-diagnose) that the role P(workbot.stability.diagnostics#role) has installed, and
    returns what it found. Changes nothing, and keeps no reading on the host.
  - What is found never fails the task, and neither does a host without the command. Both are in the result, for
    M(workbot.stability.diagnosis_table).
extends_documentation_fragment: [workbot.stability.read_only]
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
options:
  service:
    description: Name of the service.
    type: str
    required: true
  checks:
    description: Only these checks; all when it is empty.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that the command may take.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Run the diagnosis
  workbot.stability.diagnosis:
    service: shop
  register: found
"""

RETURN = r"""
status:
  description:
    - The worst of the findings, V(ok), V(warning), V(unknown) or V(critical); V(critical) as well without a diagnosis.
    - V(unknown) is what the host was too busy to find out. It is worse than V(warning).
  returned: always
  type: str
  sample: ok
findings:
  description: What was judged, see M(workbot.stability.health_check).
  returned: always
  type: list
  elements: dict
problem:
  description: Why there is no diagnosis; empty when there is one.
  returned: always
  type: str
  sample: ""
"""

import os

from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL
from ansible_collections.workbot.stability.plugins.module_utils._checks.report import parse_report
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

SPEC = {
    "service": {"type": "str", "required": True},
    "checks": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 30},
}
TIMED_OUT = 124


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    command = f"/usr/local/bin/{params['service']}-diagnose"
    if not os.access(command, os.X_OK):
        advice = "Apply the playbook with --tags immediate"
        problem = f"no diagnosis is installed: {command} is not there. {advice}."
        module.exit_json(changed=False, status=CRITICAL, findings=[], problem=problem)
    chosen = [word for name in params["checks"] for word in ("--check", name)]
    limit = ["timeout", "--kill-after=5", str(params["timeout"])]
    status, output, errors = module.run_command([*limit, command, "--json", "--read-only", *chosen])
    if status == TIMED_OUT:
        errors = f"it did not end within {params['timeout']} s"
    module.exit_json(changed=False, **parse_report(output, errors))


if __name__ == "__main__":
    main()
