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
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal, workbot.stability.service]
author: workbot.stability contributors (@workbot)
description:
  - Fails with every user, directory, unit and log rotation policy that a service of the roles would take and that is
    foreign, and with a reserve that the disk does not have. Changes nothing.
  - The directories and files are those of the table in docs/removing.md that have something they are known by. A
    directory without any file is free. Where the user is there with O(directory)C(/home), the host has the service, and
    only those directories are looked at that a variable names and the user has nothing in.
  - A directory in the place of a file, or a file or a link in that of a directory, is refused on every host. So is a
    group that is not the one which the running service was started with, as after C(groupmod --new-name).
options:
  existing:
    description:
      - Where the service runs under something else than the roles, which then have only the tools around it. The keys
        are those of C(Existing) in C(_checks/external_service.py). O(user) and O(group) must be there already.
    type: dict
  logs:
    description: Logs that the caller is about to rotate; absolute, * allowed.
    type: list
    elements: str
    default: []
  reserved_disk:
    description: What is to be kept of the disk that has O(directory), for example V(20G).
    type: bytes
    default: "0"
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
  description: What is foreign or too small, each with what to do.
  type: list
  elements: str
  returned: always
"""

from ansible_collections.workbot.stability.plugins.module_utils._checks.external_service import Existing
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import conflicts
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import OPTIONS, Service


def main() -> None:
    """Parse, look and report."""
    module = Module(
        argument_spec={
            **OPTIONS,
            "existing": {"type": "dict"},
            "logs": {"type": "list", "elements": "str", "default": []},
            "reserved_disk": {"type": "bytes", "default": "0"},
        },
        supports_check_mode=True,
    )
    given = module.params
    existing = Existing.of(given["existing"])
    service = Service(**{option: given[option] for option in OPTIONS}, tools_only=existing is not None)
    try:
        found = conflicts(service, existing, given["logs"], given["reserved_disk"])
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", conflicts=[])
    if found:
        module.fail_json(msg=" ".join([*found, "Nothing was changed."]), conflicts=found)
    module.exit_json(changed=False, conflicts=[])


if __name__ == "__main__":
    main()
