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
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Decides from what M(workbot.stability.deploy_lease) has registered on the hosts of the play which of them take part
    in a deployment and in which batches, which release all go back to, and what to say when the run has stopped.
  - The step C(begin) judges all hosts before anything changes. C(turn) judges one when its turn comes, and fails when
    an earlier one was lost in its own. C(end) warns of hosts that were left out. C(report) fails, and says what serves
    on each host and how to go on or back.
  - Runs on the controller alone, without a connection. Its options stand in the action plugin.
"""

EXAMPLES = r"""
- name: Decide which hosts take part
  workbot.stability.deploy_fleet:
    step: begin
    registered: lease
"""
