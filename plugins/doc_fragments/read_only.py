# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules have in common that only read; `fail_on` is of those that judge."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

    FAIL_ON = r"""
options:
  fail_on:
    description: The status from which on the task fails.
    type: str
    choices: [critical, warning, never]
    default: critical
"""
