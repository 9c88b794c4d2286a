# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one base of what the collection itself raises: a module, a program or a plugin has one `except`."""

from __future__ import annotations


class StabilityError(Exception):
    """A person has to act. The message says what is wrong, where, and what would be right; it has no secret's value."""
