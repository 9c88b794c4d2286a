#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drift_table
short_description: Show what differs on all hosts as one table
description:
  - Prints one table of the hosts of the play, from what M(workbot.stability.compare) has registered on each, writes it
    as JSON where a file is given, and fails where a host is not as declared or could not be compared.
  - Runs on the controller alone, without a connection. Use it with C(run_once).
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
options:
  registered:
    description: The variable that the comparison has registered.
    type: str
    required: true
  file:
    description: A file on the controller that the same is written to, as JSON. Empty, none is.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show all hosts as one table
  workbot.stability.drift_table:
    registered: compared
"""
