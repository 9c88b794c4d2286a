# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the host's own programs, run to its end for what it says; the module that asks knows no AnsibleModule."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def quiet_run(argv: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Return the exit status and what the program wrote.

    Raises OSError where there is no such program, and TimeoutExpired of subprocess after as many seconds.
    """
    return subprocess.run(  # pylint: disable=ansible-bad-function
        argv, capture_output=True, text=True, check=False, timeout=timeout
    )
