#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: capacity_plan
short_description: Show the capacity plan of a host
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Makes the whole plan of the current host from its facts (cores, memory, file systems, local facts) and the variables
    of the roles, and prints it as a table of parts, which are memory, database, Nginx and WebSockets, open files, time
    limits and disk.
  - Counts what the host's other services of this collection have planned, memory and connections of the host's own
    PostgreSQL, as their records among the local facts say (C(<name>-plan.fact) in C(/etc/ansible/facts.d)).
  - What is not set is chosen, what is set is honoured. Contradictions fail the task, each with the variable, the host,
    the arithmetic and the nearest settings that work; the other hosts go on.
  - Variables that a plan does not read need not be right, or there. M(workbot.stability.validate_variables) checks the
    same contradictions, and all variables.
  - C(roles) are the full names of the roles whose variables count, by default those of the current play.
  - Returns as C(plan) what the filter P(workbot.stability.capacity_plan#filter) gives, and in it C(parts), the rows of
    the table by part and name, each with C(value), C(origin) (set, chosen, default or sum) and C(arithmetic), and
    C(notes), sentences about what works, but not as its user may think.
  - Runs on the controller alone, without a connection.
"""

EXAMPLES = r"""
- name: Show the plan
  workbot.stability.capacity_plan:
"""
