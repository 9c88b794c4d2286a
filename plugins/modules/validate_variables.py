#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_variables
short_description: Check every variable of the collection's roles before anything changes
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Finds, for the current host, variables that no role has (misspelled ones), required ones that are missing, values of
    the wrong type or against a role's rules, weak or missing secrets, and contradictions in the capacity plan, which
    M(workbot.stability.capacity_plan) describes.
  - Reports all of them in one message, each with the variable, its value, the host, where it was written and what would
    be right. The value of a secret is never shown.
  - C(roles) are the full names of the roles to check, by default those of the current play; roles of other collections
    are passed over. With C(variables), for a play that needs only these, others may be wrong or missing, and there is
    no plan. A variable that no role has is found in any case, since it may be one of these, misspelled.
  - Returns the C(plan), as the filter P(workbot.stability.capacity_plan#filter) gives it, and the C(service) that it is
    for, where the role service is among those checked; and what the host's Nginx C(serves), each name on each port.
  - With C(overcommit) a plan for which the host's other services have left too little is a warning, and counts nobody
    else. A deployment or a rollback must not wait for the room to be shared out again; site.yml refuses such a plan.
  - Runs on the controller alone, without a connection.
"""

EXAMPLES = r"""
- name: Check every variable of the play's roles
  workbot.stability.validate_variables:
"""
