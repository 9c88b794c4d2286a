#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate_run
short_description: Refuse a run that would do nothing, or not what was asked for
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Finds what Ansible itself passes over, so that a run does nothing and ends well. An inventory without a host for
    the playbook, a C(--limit) that leaves out all of them, tags that no task has, and variables of the playbooks
    (declared in C(playbooks/vars/playbooks.yml)) that are misspelled or have a wrong value.
  - Runs on the controller alone, without a connection. Use it with C(run_once) on C(all:localhost), so that it runs
    with an empty inventory too.
options:
  groups:
    description: Those that the playbook is for. The first must have a host, and a host of one of them must take part.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Check what is asked for before anything changes
  hosts: all:localhost
  gather_facts: false
  tasks:
    - name: Check the inventory, the tags and the playbook's variables
      workbot.stability.validate_run:
        groups: [app]
      run_once: true
      tags: [always]
"""

RETURN = r"""
msg:
  description: What is wrong, one line for each problem.
  type: str
  returned: failure
  sample: "--tags imediate: no task has this tag; did you mean immediate?"
"""
