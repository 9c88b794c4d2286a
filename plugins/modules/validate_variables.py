#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: validate_variables
short_description: Check every variable of the collection's roles before anything changes
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal, workbot.stability.read_only]
author: workbot.stability contributors (@workbot)
description:
  - Finds, for the current host, variables that no role has (misspelled ones), required ones that are missing, values of
    the wrong type or against a role's rules, weak or missing secrets, and contradictions in the capacity plan.
  - Reports all of them in one message, each with the variable, its value, the host, where it was written and what would
    be right. The value of a secret is never shown.
  - Runs on the controller alone, without a connection, and never changes anything.
options:
  roles:
    description:
      - Full names of the roles to check; roles of other collections are passed over.
      - By default the roles of the current play.
    type: list
    elements: str
  variables:
    description:
      - Names of the variables to check, for a play that needs only these. Others may be wrong or missing, and there is
        no plan. A variable that no role has is found in any case, since it may be one of these, misspelled.
      - By default all of them.
    type: list
    elements: str
"""

EXAMPLES = "# See roles/service/tasks/preflight.yml"

RETURN = r"""
plan:
  description:
    - The capacity plan, see the filter P(workbot.stability.capacity_plan#filter).
    - Empty when the role service is not among those checked.
  type: dict
  returned: success
service:
  description: The name of the service that the plan is for.
  type: str
  returned: where there is a plan
msg:
  description: A summary of the plan; on failure what is wrong, one line for each problem.
  type: str
  returned: always
  sample: "nginx_port = 99999 (web1, group_vars/all.yml:12): expected a port, 1 to 65535"
"""
