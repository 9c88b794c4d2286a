# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What says whose things are meant: plugins/module_utils/_service/footprint.py."""

    DOCUMENTATION = r"""
options:
  name:
    description: The service.
    type: str
    required: true
  user:
    description: Its user.
    type: str
    required: true
  group:
    description: Its group.
    type: str
    required: true
  directory:
    description: Where its releases and its configuration are.
    type: str
    required: true
  log_directory:
    description: Where its logs are.
    type: str
    required: true
  run_directory:
    description: Where its sockets are.
    type: str
    required: true
"""
