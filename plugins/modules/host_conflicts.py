#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses to take what a host has already for something else."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_conflicts
short_description: Refuse names and places of a host that belong to something else
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal, workbot.stability.service]
author: workbot.stability contributors (@workbot)
description:
  - Fails with every user, directory, unit and log rotation policy that a service of the roles would take and that is
    somebody else's. Changes nothing.
  - The directories and files are those of the table in docs/removing.md that have something they are known by. A
    directory without any file is free. They are not looked at where the user is there with O(directory)C(/home), since
    the host has the service then.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
options:
  existing:
    description:
      - Where the service runs under something else than the roles, which then have only the tools around it. Not set
        where it does not. O(user) and O(group) must be there already.
    type: dict
    suboptions:
      supervisor:
        description: What it runs under.
        type: str
        choices: [pm2, systemd, process]
        required: true
      url:
        description: Its own health address.
        type: str
        required: true
      app:
        description: What PM2 calls it.
        type: str
        default: ""
      pm2_home:
        description: PM2_HOME of its PM2.
        type: str
        default: ""
      unit:
        description: The systemd unit that runs it.
        type: str
        default: ""
      pid_file:
        description: File with the id of its process.
        type: str
        default: ""
      instances:
        description: Its number of processes; 0 for as many as its supervisor has.
        type: int
        default: 0
  logs:
    description: Logs that the caller is about to rotate; absolute, * allowed.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Look whether everything is free that the service will have
  workbot.stability.host_conflicts:
    name: shop
    user: shop
    group: shop
    directory: /srv/shop
    log_directory: /var/log/shop
    run_directory: /run/shop
"""

RETURN = r"""
conflicts:
  description: What is somebody else's, each with what to do.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._checks.external_service import Existing
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import conflicts
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import OPTIONS, Service

EXISTING = {
    "supervisor": {"type": "str", "choices": ["pm2", "systemd", "process"], "required": True},
    "url": {"type": "str", "required": True},
    "app": {"type": "str", "default": ""},
    "pm2_home": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "pid_file": {"type": "str", "default": ""},
    "instances": {"type": "int", "default": 0},
}


def main() -> None:
    """Parse, look and report."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "existing": {"type": "dict", "options": EXISTING},
            "logs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    existing = Existing.of(given["existing"])
    service = Service(**{option: given[option] for option in OPTIONS}, tools_only=existing is not None)
    try:
        found = conflicts(service, existing, given["logs"])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", conflicts=[])
    if found:
        module.fail_json(msg=" ".join([*found, "Nothing was changed."]), conflicts=found)
    module.exit_json(changed=False, conflicts=[])


if __name__ == "__main__":
    main()
