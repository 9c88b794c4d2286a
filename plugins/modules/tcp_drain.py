#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_drain
short_description: Waits until this host has no connection to some servers any more
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - For a proxy that gives a server no new requests, waits for those that are open, WebSockets among them.
  - Changes nothing.
  - That connections are left when the time is over is no failure.
attributes:
  check_mode:
    description: Counts, and does not wait.
options:
  servers:
    description: The servers.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Address or name.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        default: 80
  timeout:
    description: Seconds to wait at most.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Wait for what is open
  workbot.stability.tcp_drain:
    servers: [{host: 10.0.0.11}]
    timeout: 300
"""

RETURN = r"""
connections:
  description: How many there were at first.
  type: int
  returned: success
left:
  description: How many are left.
  type: int
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
"""

from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._host.tcp import addresses_of, wait_for_end

SPEC = {
    "servers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"host": {"type": "str", "required": True}, "port": {"type": "int", "default": 80}},
    },
    "timeout": {"type": "float", "default": 60},
}


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    try:
        servers = {
            (address, server["port"]) for server in module.params["servers"] for address in addresses_of(server["host"])
        }
        ended = wait_for_end(servers, 0 if module.check_mode else module.params["timeout"])
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **ended)


if __name__ == "__main__":
    main()
