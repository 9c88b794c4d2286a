# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is there memory for the old and the new processes at once, on this host and now, whatever the plan says?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .model import ActivationError

_LEAST_MB = 100


def check_memory(instances: int, running: Iterable[int]) -> None:
    """Raise ActivationError when so many new processes, each as large as the running ones are, would not fit."""
    require(instances, [_resident_mb(pid) for pid in running], _available_mb())


def require(instances: int, resident: list[int], available: int) -> None:
    """The same for given figures, in MB."""
    each = max([_LEAST_MB, *resident])
    needed = instances * each
    if needed > available:
        measured = "as large as the largest that runs now" if each > _LEAST_MB else "the least that Node.js needs"
        raise ActivationError(
            f"not enough memory to start the new processes beside the old ones: {instances} x {each} MB ({measured})"
            f" = {needed} MB, and {available} MB are available. Free memory, or set service_instances lower"
        )


def _available_mb() -> int:
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable:") // 1024


def _resident_mb(pid: int) -> int:
    try:
        return _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:") // 1024
    except OSError:
        return 0


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0
