# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making directories, and handing over what is in them.

Some stand in a directory that the unprivileged service owns, so every step works on an open directory that was
reached without following a link: root must not be led to change the mode of another file.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from . import acl
from .errors import StabilityError
from .service_tree import entries, make_directory, open_directory, set_owner

_ROOT = 0


def make(path: Path, mode: int, owner: tuple[int, int], access: str = "") -> None:
    """Make the directory, or correct it; ``access`` is its access list as text, "" for none.

    A new one belongs to root alone until its owner is set. Raises OSError, and KeyError for a user of the list who is
    not there.
    """
    attribute = acl.packed(access)
    for missing in reversed([parent for parent in path.parents if not parent.exists()]):
        with open_directory(missing.parent) as parent:
            # everybody may pass through it, whatever root's umask is
            os.close(make_directory(parent, missing.name, 0o755))
    with open_directory(path.parent) as parent:
        handle = make_directory(parent, path.name, 0o700)
    try:
        # first, so that whoever uses the directory can go on to at any moment
        acl.write(handle, attribute)
        set_owner(handle, mode | (acl.bits(access, "m") or 0) << 3, owner)
    finally:
        os.close(handle)


def strangers(path: str, owner: str) -> list[str]:
    """What is in the directory, at any depth, and is to be handed over to its owner, who may have to be made first."""
    try:
        uid: int | None = pwd.getpwnam(owner).pw_uid
    except KeyError:
        uid = None
    with open_directory(path) as top:
        return sorted(entry.path for entry in entries(top, path, whole=False) if _is_stranger(entry.found, uid))


def hand_over(path: str, owner: str) -> None:
    """Give all of that to the owner and his group. Raises StabilityError."""
    account = pwd.getpwnam(owner)
    with open_directory(path) as top:
        for entry in entries(top, path, whole=False):
            if _is_stranger(entry.found, account.pw_uid):
                try:
                    entry.give(account.pw_uid, account.pw_gid)
                except OSError as error:
                    raise StabilityError(f"{entry.path}: {error.strerror}") from error


def _is_stranger(found: os.stat_result, uid: int | None) -> bool:
    """A file with a second name may be anybody's, elsewhere, and a link as well: these stay whose they are.

    So does what is root's: an administrator put it there, for no service was root's before.
    """
    shared = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
    return found.st_uid not in (uid, _ROOT) and not shared and not stat.S_ISLNK(found.st_mode)
