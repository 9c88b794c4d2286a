#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Have Debian packages installed, predictably
description:
  - Asks dpkg which of the packages are missing, and has P(ansible.builtin.apt#module) install those, without what they
    only recommend. Packages that are there are left at their version.
  - P(ansible.builtin.apt#module) alone cannot predict on a bare host. In check mode it needs python3-apt and current
    package lists, which a bare host lacks.
  - The role P(workbot.stability.service#role) asks once for the packages of all roles of the play, and what it found
    answers the later tasks of the run without a question to the host.
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author:
  - workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description: Predicts on a host with no more than dpkg.
    support: full
  diff_mode:
    description: Shows the packages that are missing.
    support: full
options:
  name:
    description: Names of the packages.
    type: list
    elements: str
    required: true
  look_for:
    description: Further packages that are looked for and not installed.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Install the packages
  workbot.stability.packages:
    name: [nginx, logrotate]
"""

RETURN = r"""
missing:
  description: The packages that were missing when this run first looked.
  returned: success
  type: list
  elements: str
  sample: [nginx]
present:
  description: The packages that are there now, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [nginx]
"""

from ansible.module_utils.basic import AnsibleModule


def missing_packages(names: list[str], listing: str) -> list[str]:
    """The names that are not installed, given dpkg-query's lines of `name status`. A removed package's line remains."""
    installed = {
        name for name, _space, status in (line.partition(" ") for line in listing.splitlines()) if status == "installed"
    }
    return [name for name in dict.fromkeys(names) if name not in installed]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "look_for": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    names = module.params["name"]
    # Unknown names are an error to dpkg-query (exit status 1), but just missing to us.
    status, listing, error = module.run_command(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names]
    )
    if status not in (0, 1):
        module.fail_json(msg=f"dpkg-query does not say what is installed: {error.strip()}")
    module.exit_json(missing=missing_packages(names, listing))


if __name__ == "__main__":
    main()
