# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full a file system is."""

from __future__ import annotations

import os


def used_percent(usage: os.statvfs_result) -> float:
    """What `df` would say: the share of what unprivileged programs may use."""
    used = usage.f_blocks - usage.f_bfree
    return 100 * used / max(1, used + usage.f_bavail)
