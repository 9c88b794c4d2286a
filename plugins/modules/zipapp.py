#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zipapp
short_description: Install a command made of this collection's own Python code
description:
  - Builds one executable Python archive of a module of this collection and of all that it imports from beside it, and
    copies it to the host. The host then runs the very code that the collection's modules run.
  - The same sources give the same bytes, so nothing changes until the code does.
version_added: 0.1.0
author:
  - workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description: Says whether the file would change.
    support: full
  diff_mode:
    description: Names the file; its content is binary.
    support: partial
options:
  dest:
    description: Path of the command on the host.
    type: path
    required: true
  entry_point:
    description: What the command calls, as C(module:function), of this collection's C(module_utils).
    type: str
    required: true
  arguments:
    description: Keyword arguments of the call.
    type: dict
    default: {}
  interpreter:
    description:
      - Python on the host, with its options.
      - C(-I) keeps the caller's directory and PYTHON variables out, since root may run the command anywhere.
    type: str
    default: /usr/bin/python3 -I
  owner:
    description: Owner of the file.
    type: str
    default: root
  group:
    description: Group of the file.
    type: str
    default: root
  mode:
    description: Mode of the file in octal digits.
    type: str
    default: "0755"
"""

EXAMPLES = r"""
- name: Install the diagnosis command
  workbot.stability.zipapp:
    dest: /usr/local/bin/workbot-diagnose
    entry_point: _diagnose:run
    arguments:
      config: /srv/workbot/config/diagnose.json
"""

RETURN = r"""
dest:
  description: Path of the command.
  returned: always
  type: str
  sample: /usr/local/bin/workbot-diagnose
checksum:
  description: SHA-1 of the file.
  returned: always
  type: str
  sample: 6e642bb8dd5c2e027bf21dd923337cbb4214f827
"""
