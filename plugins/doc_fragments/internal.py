# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What marks a module as internal: the READMEs do not list it."""

    DOCUMENTATION = r"""
notes:
  - A tool of this collection's own roles and playbooks. Its options and results may change in any release.
attributes:
  check_mode:
    description: Changes nothing then, and returns what it would.
    support: full
"""
