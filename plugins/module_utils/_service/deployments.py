# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the last deployments: a file of root's in the service's directory, for whoever shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from .._host.atomic import save_json
from .._host.small_file import read_json

SUCCEEDED, FAILED = "succeeded", "failed"
_KEPT = 100
_LARGEST = 256 * 1024
_MODE = 0o644


@dataclass(frozen=True)
class Deployed:
    """One activation that was tried."""

    time: float
    """When it ended, in seconds since the epoch."""
    seconds: float
    """How long it took."""
    release: str
    activation: str
    result: str
    """succeeded or failed; with the latter the run has said what serves."""


def read(directory: Path) -> list[Deployed]:
    """Those of the service of that directory, oldest first; none where there is no such record."""
    try:
        return [Deployed(**entry) for entry in read_json(_path(directory), _LARGEST)]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def note(directory: Path, deployed: Deployed) -> None:
    """Raises OSError."""
    kept = [*read(directory), deployed][-_KEPT:]
    save_json(_path(directory), [asdict(one) for one in kept], _MODE)


def _path(directory: Path) -> Path:
    return directory / ".deploy.history"
