#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_fleet
short_description: Judge where a deployment over many hosts stands
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.internal, workbot.stability.read_only]
author: workbot.stability contributors (@workbot)
description:
  - Decides from what M(workbot.stability.deploy_lease) has registered on the hosts of the play which of them take part
    in a deployment and in which batches, which release all go back to, and what to say when the run has stopped.
  - Runs on the controller alone, without a connection.
options:
  step:
    description:
      - V(begin) judges all hosts before anything changes. V(turn) judges one when its turn comes, and fails when an
        earlier one was lost in its own. V(end) warns of hosts that were left out. V(report) fails, and says what serves
        on each host and how to go on or back.
    type: str
    required: true
    choices: [begin, turn, end, report]
  registered:
    description: Name of the variable that M(workbot.stability.deploy_lease) was registered as.
    type: str
    required: true
  registered_before:
    description: For all but V(begin), the name of the variable that it was registered as when the run began.
    type: str
    default: ""
  serial:
    description: How many hosts at a time, a number, a percentage, or a list of them.
    type: raw
    default: 1
  first_alone:
    description: Whether the first host goes before all others; then it is never left out when its turn comes.
    type: bool
    default: false
  canary_wait:
    description: Seconds that the first host is watched for.
    type: raw
    default: 0
  canary_max_errors:
    description: Percentage of its requests that may fail.
    type: raw
    default: 0
  unreachable:
    description: V(fail) stops when a host can't be reached, V(skip) leaves it out.
    type: str
    default: fail
  rollback:
    description: Whether the hosts go back to an earlier release.
    type: bool
    default: false
  release:
    description: The release to go back to, where it was named.
    type: str
    default: ""
"""

EXAMPLES = "# See playbooks/deploy.yml"

RETURN = r"""
hosts:
  description: The hosts that take part, in their order.
  type: list
  elements: str
  returned: with V(begin)
serial:
  description: The batches, as a play's C(serial) has them.
  type: list
  elements: str
  returned: with V(begin)
first_alone:
  description: Whether the first host goes alone.
  type: bool
  returned: with V(begin)
release:
  description: The release to go back to; empty for a deployment.
  type: str
  returned: with V(begin)
left_out:
  description: Whether the host is left out.
  type: bool
  returned: with V(turn)
first:
  description: Whether it is the first host that is not left out.
  type: bool
  returned: with V(turn)
msg:
  description: Why the run stops.
  type: str
  returned: failure
"""
