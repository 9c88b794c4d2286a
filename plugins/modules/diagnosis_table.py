#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_table
short_description: Show the diagnoses of all hosts as one table
description:
  - Prints one table of all hosts of the play, from what M(workbot.stability.diagnosis) has registered on each. Hosts
    that were not reached, and those where it failed, are in it. C(registered) are names of variables; of several, that
    of the task that ran on the host counts.
  - With C(require) it fails instead when a host is critical, was not reached or could not be asked everything, so that
    the playbook's exit status tells it.
  - Runs on the controller alone, without a connection. Use it with C(run_once).
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
"""

EXAMPLES = r"""
- name: Show all hosts as one table
  workbot.stability.diagnosis_table:
    registered: found
"""
