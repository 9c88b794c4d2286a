# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The authorities that the host trusts: one run at a time changes them.

update-ca-certificates writes a file of one name, and two of it at once take it from each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from .command import call
from .errors import StabilityError
from .lock import lock
from .service_tree import discard_path

# The host's own authorities beside Debian's, a file for each.
_ADDED = "/usr/local/share/ca-certificates/"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_LOCK = Path("/run/trust-store.lock")
_PATIENCE = 60.0


def lacking(files: Iterable[str], changed: Collection[str]) -> list[str]:
    """Those of the files that hold authorities which the host does not trust yet, given those that change."""
    return [path for path in files if path.startswith(_ADDED) and (path in changed or outdated(Path(path)))]


def outdated(added: Path) -> bool:
    """Whether the bundle of all authorities is not there, or is older than the added ones.

    The times tell, not what this run did, so that a run that was killed in between is caught up with.
    """
    return not _BUNDLE.exists() or _BUNDLE.stat().st_mtime < added.stat().st_mtime


def alone() -> AbstractContextManager[None]:
    """Raises StabilityError where another run still changes them after a minute."""
    busy = StabilityError(f"another run has been changing the trust store for more than {_PATIENCE:g} s ({_LOCK})")
    return lock(_LOCK, busy, seconds=_PATIENCE)


def update() -> None:
    """Raises StabilityError."""
    call("update-ca-certificates")


def distrust(added: str, link: str) -> None:
    """The store is made without the file before the link to it goes: so a run that is killed is caught up with."""
    discard_path(added)
    with alone():
        update()
        discard_path(link)
        call("openssl", "rehash", "/etc/ssl/certs")
