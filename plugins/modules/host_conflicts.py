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
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Fails with every user, directory, unit and log rotation policy that a service of the roles would take and that is
    somebody else's. Changes nothing.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
options:
  user:
    description: The service's user.
    type: str
    required: true
  group:
    description: A group that must be there already.
    type: str
    default: ""
  home:
    description: The home that the roles would give the user. Empty where the user must be there already.
    type: str
    default: ""
  places:
    description:
      - Directories and files that the roles would write. A directory without any file is free. Not looked at where the
        user is there with O(home), since the host has the service then.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      variable:
        description: The variable to name in the message.
        type: str
        required: true
      marks:
        description: How one of the roles' own is known. Paths in the directory, or texts in the file; one is enough.
        type: list
        elements: str
        required: true
  existing:
    description: Where the service runs under something else than the roles. Not set where it does not.
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
  policy:
    description: The caller's own policy of logrotate's.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Look whether everything is free that the service will have
  workbot.stability.host_conflicts:
    user: shop
    home: /srv/shop/home
    places:
      - {path: /srv/shop, variable: service_directory, marks: [config/environment]}
      - {path: /etc/systemd/system/pm2-shop.service, variable: service_name, marks: [PM2_HOME=/srv/shop/home/.pm2]}
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
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import Place, conflicts

EXISTING = {
    "supervisor": {"type": "str", "choices": ["pm2", "systemd", "process"], "required": True},
    "url": {"type": "str", "required": True},
    "app": {"type": "str", "default": ""},
    "pm2_home": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "pid_file": {"type": "str", "default": ""},
    "instances": {"type": "int", "default": 0},
}
PLACE = {
    "path": {"type": "path", "required": True},
    "variable": {"type": "str", "required": True},
    "marks": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    """Parse, look and report."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "group": {"type": "str", "default": ""},
            "home": {"type": "str", "default": ""},
            "places": {"type": "list", "elements": "dict", "default": [], "options": PLACE},
            "existing": {"type": "dict", "options": EXISTING},
            "logs": {"type": "list", "elements": "str", "default": []},
            "policy": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        found = conflicts(
            (given["user"], given["home"]),
            [Place(**place) for place in given["places"]],
            Existing.of(given["existing"]),
            given["logs"],
            given["policy"],
            group=given["group"],
        )
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", conflicts=[])
    if found:
        module.fail_json(msg=" ".join([*found, "Nothing was changed."]), conflicts=found)
    module.exit_json(changed=False, conflicts=[])


if __name__ == "__main__":
    main()
