# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time since boot, which no setting of the clock changes, and which boot that is."""

from __future__ import annotations

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """This boot's name. In a container it is the machine's: there a restart of the container is no new boot."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def now() -> float:
    """Seconds since this boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
