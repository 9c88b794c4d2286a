#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many directories in one call: a task for each costs a round trip for each, on every run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: directories
short_description: Make many directories with their owners and modes in one call
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Makes directories, or corrects their owner, group and mode, in the given order.
  - A path that is a symbolic link or a file is refused.
attributes:
  check_mode:
    support: full
    description: Says what would change, on a host without the owners too.
  diff_mode:
    support: full
    description: Shows owner, group and mode of each directory that changes.
options:
  directories:
    description: The directories, parents first.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Mode in octal digits, for example V(0750).
        type: str
        default: "0755"
      contents:
        description:
          - Whether what is in it is the owner's as well. What belongs to somebody else, such as the user that the
            service had before, is handed over, without following links. What is root's stays root's.
        type: bool
        default: false
      users:
        description:
          - Permissions of users beside the owner, by name, for example V(rwx), in an access list (ACL). The group's are
            those of the mode. Without any, a list that is there is left alone.
        type: dict
        default: {}
"""

EXAMPLES = r"""
- name: Make the directories of the service
  workbot.stability.directories:
    directories:
      - path: /srv/workbot
      - path: /srv/workbot/shared
        owner: workbot
        group: workbot
        mode: "0750"
"""

RETURN = r"""
paths:
  description: The directories that were made or corrected.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.directories import OPTIONS, Directory, corrections
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


def main() -> None:
    """Parse, compare, act and report."""
    module = AnsibleModule(
        argument_spec={"directories": {"type": "list", "elements": "dict", "required": True, "options": OPTIONS}},
        supports_check_mode=True,
    )
    made: list[str] = []
    try:
        found = corrections([Directory(**values) for values in module.params["directories"]])
        for correction in found:
            if not module.check_mode:
                correction.make()
            made.append(correction.wanted.path)
    except StabilityError as error:
        module.fail_json(msg=str(error), paths=made)
    before, after = ("".join(side) for side in zip(*(one.lines() for one in found), strict=True)) if found else ("", "")
    module.exit_json(changed=bool(found), paths=made, diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
