# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the host's own programs, run to its end for what it says; the module that asks knows no AnsibleModule."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

# For what is to say and to do the same whoever runs it, however.
PLAIN = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def quiet_run(
    argv: Sequence[str],
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Return the exit status and what the program wrote; without an environment it has that of this process.

    Raises OSError where there is no such program, and TimeoutExpired of subprocess after as many seconds.
    """
    return subprocess.run(  # pylint: disable=ansible-bad-function
        argv,
        input=stdin,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        # as another user it has no part in root's terminal
        start_new_session=True,
    )
