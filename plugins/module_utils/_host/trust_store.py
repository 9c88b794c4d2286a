# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The authorities that the host trusts: one run at a time changes them.

update-ca-certificates writes a file of one name, and two of it at once take it from each other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from .errors import StabilityError
from .lock import lock

UPDATE = "update-ca-certificates"
_LOCK = Path("/run/trust-store.lock")
_PATIENCE = 60.0


def alone() -> AbstractContextManager[None]:
    """Raises StabilityError where another run still changes them after a minute."""
    busy = StabilityError(f"another run has been changing the trust store for more than {_PATIENCE:g} s ({_LOCK})")
    return lock(_LOCK, busy, seconds=_PATIENCE)
