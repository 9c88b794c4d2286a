#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health_check
short_description: Ask a service over HTTP whether it is healthy
description:
  - Sends one GET request, judges the answer and says what to do about it. Changes nothing.
  - A service that answers plainly with an expected status code is healthy. Where the body is a JSON object, what it
    says of itself counts as well. A C(status) such as V(warning) or V(degraded) is a warning, one such as V(error) or
    V(down) is critical. The C(database) and C(websocket) parts are reported.
  - At most three redirects are followed, and none to another host.
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.read_only.fail_on]
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
options:
  url:
    description:
      - Address to ask, with V(http) or V(https).
      - With O(unix_socket) a path such as V(/api/health) is enough.
    type: str
    required: true
  unix_socket:
    description: Ask over this unix socket instead of the network.
    type: path
  expected_status:
    description: Status codes of a healthy answer.
    type: list
    elements: int
    default: [200]
  expected_json:
    description:
      - What the JSON body must hold. Keys are dotted paths (C(database.status), C(items.0.id)), values are the value
        there or a list of the values that are allowed.
      - An expectation for C(status), C(database) or C(websocket) replaces the module's own judgement of it.
    type: dict
    default: {}
  headers:
    description: Headers to send. Their values are never shown.
    type: dict
    default: {}
  timeout:
    description: Seconds for one attempt as a whole, from the name look-up to the last byte of the body.
    type: float
    default: 5
  max_body:
    description: Bytes of body from which on the answer is refused.
    type: int
    default: 1048576
  retries:
    description: Further attempts while the answer would fail the task.
    type: int
    default: 0
  delay:
    description: Seconds between attempts.
    type: float
    default: 1
  validate_certs:
    description: Whether the server's certificate must be valid.
    type: bool
    default: true
  ca_path:
    description: PEM file of the certificate authorities to accept instead of the host's own.
    type: path
"""

EXAMPLES = r"""
- name: Wait until the service is healthy through Nginx
  workbot.stability.health_check:
    url: http://127.0.0.1/health
    retries: 10
    delay: 2

- name: Ask a worker on its socket and insist on the database
  workbot.stability.health_check:
    url: /api/health
    unix_socket: /srv/workbot/active/0.sock
    expected_json:
      status: [ok, warning]
      database.status: ok
"""

RETURN = r"""
status:
  description: The worst of the findings, V(ok), V(warning) or V(critical).
  returned: always
  type: str
  sample: ok
findings:
  description:
    - What was judged. C(check) names the check, with what it is about where there are several, C(status) is V(ok),
      V(warning) or V(critical), C(message) says what was found and what to do.
    - C(value) is the reading, C(threshold) what it was compared with (of a warning and a critical threshold the one
      that was reached, or the first that would be), C(unit) the unit of both, which may be empty.
  returned: always
  type: list
  elements: dict
  sample:
    - check: http
      status: ok
      value: 200
      threshold: "200"
      unit: ""
      message: answered 200 in 3.1 ms
readings:
  description:
    - The answer itself. C(url) is where it came from, after redirects, C(attempts) the number of requests made,
      C(json) the body, cut to a size for people, or V(null) when it is no JSON.
    - Without an answer C(status_code) and C(elapsed_ms) are V(null), and C(error) says why.
  returned: always
  type: dict
  sample:
    status_code: 200
    elapsed_ms: 3.1
    url: http://127.0.0.1/health
    attempts: 1
    error: ""
    json: {status: ok}
"""

from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import FAIL_ON_OPTION, run_check
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import verdict
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import Expectation, check_health
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request

SPEC = {
    "url": {"type": "str", "required": True},
    "unix_socket": {"type": "path"},
    "expected_status": {"type": "list", "elements": "int", "default": [200]},
    "expected_json": {"type": "dict", "default": {}},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "timeout": {"type": "float", "default": 5},
    "max_body": {"type": "int", "default": 1024 * 1024},
    "retries": {"type": "int", "default": 0},
    "delay": {"type": "float", "default": 1},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    **FAIL_ON_OPTION,
}
MINIMA = {"retries": 0, "delay": 0, "timeout": 0.001, "max_body": 1}


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Read and judge; the module's result."""
    for name, least in MINIMA.items():
        if params[name] < least:
            raise StabilityError(f"{name} is {params[name]}; it must be at least {least}")
    request = Request(
        url=params["url"],
        unix_socket=params["unix_socket"] or "",
        headers={name: str(value) for name, value in params["headers"].items()},
        timeout=params["timeout"],
        validate_certs=params["validate_certs"],
        ca_path=params["ca_path"] or "",
        max_body=params["max_body"],
    )
    expectation = Expectation(tuple(params["expected_status"]), params["expected_json"])
    findings, reading = check_health(request, expectation, params["retries"], params["delay"], params["fail_on"])
    return {**verdict(findings), "readings": reading.as_dict()}


def main() -> None:
    run_check(Module(argument_spec=SPEC, supports_check_mode=True), check)


if __name__ == "__main__":
    main()
