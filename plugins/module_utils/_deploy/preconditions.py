# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be so before anything is started: memory for the new processes beside those that run."""

from __future__ import annotations

from .._host import proc
from .._pm2.fields import size
from .actual import Actual
from .context import Context
from .model import ActivationError

_LEAST_MB = 100
# PM2 7.0.4 under Node.js 24
_DAEMON_MB = 70
_MB = 1024 * 1024


def check_host(context: Context, actual: Actual) -> None:
    """What is looked at before anything is started, in check mode too. Raises ActivationError."""
    resident = _resident_mb(context, actual)
    # what is stopped first makes room
    available = _available_mb() + (0 if context.desired.overlap else sum(resident))
    require_memory(context.desired.instances, resident, available)


def _resident_mb(context: Context, actual: Actual) -> list[int]:
    """What each running process has.

    The service's own PM2 names them, and may name any process of the host, as often as it likes. So those of other
    users don't count, nor does more than the limit at which PM2 restarts a process.
    """
    pids = {process.pid for process in actual.live if process.pid}
    found = [proc.resident_mb(pid) for pid in pids if proc.user(pid) == context.user.uid]
    limit = context.desired.app.get("max_memory_restart")
    return [min(each, size(limit) // _MB) for each in found] if limit else found


def require_memory(instances: int, resident: list[int], available: int) -> None:
    """Raise ActivationError when so many new processes, each as large as the running ones, would not fit.

    Sizes are in MB, as they are now, whatever the plan says.
    """
    each = max([_LEAST_MB, *resident])
    needed = instances * each + _DAEMON_MB
    if needed > available:
        measured = "as large as the largest that runs now" if each > _LEAST_MB else "the least that Node.js needs"
        raise ActivationError(
            f"not enough memory to start the new processes: {instances} x {each} MB ({measured}) and {_DAEMON_MB} MB"
            f" for PM2 = {needed} MB, and {available} MB are available. Free memory, or set service_instances lower"
        )


def _available_mb() -> int:
    return proc.memory_mb("MemAvailable")
