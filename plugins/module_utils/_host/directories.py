# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories with an owner, a group and a mode.

Some stand in a directory that the unprivileged service owns, so every step works on an open directory that was
reached without following a link: root must not be led to change the mode of another file.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import acl
from .accounts import group_name, user_name
from .errors import StabilityError
from .service_tree import entries, make_directory, open_directory

_ROOT = 0


# The options of one directory, in Ansible's form.
OPTIONS = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0755"},
    "contents": {"type": "bool", "default": False},
    "users": {"type": "dict", "default": {}},
}


@dataclass(frozen=True)
class Directory:
    """A directory as it is or should be; names that the host doesn't know stand as numbers.

    With ``contents`` what is in it, at any depth, is to be its owner's as well. ``users`` have permissions of their
    own, such as "rwx", in an access list; where none are named, a list that is there is left alone.
    """

    path: str
    owner: str
    group: str
    mode: str
    contents: bool = field(default=False, compare=False)
    users: Mapping[str, str] = field(default_factory=dict, compare=False)
    access: str = ""
    """The access list of them all, as text."""

    def __post_init__(self) -> None:
        if self.users:
            object.__setattr__(self, "access", acl.text(int(self.mode, 8), self.users))

    def line(self) -> str:
        return f"{self.path} {self.owner}:{self.group} {self.mode}{' ' if self.access else ''}{self.access}\n"


@dataclass(frozen=True)
class Correction:
    """A directory that is not as it should be, and what is in it that is to be handed over to its owner."""

    wanted: Directory
    now: Directory | None
    strangers: Sequence[str] = ()

    def lines(self) -> tuple[str, str]:
        """What is there and what will be."""
        others = "".join(f"{path} {self.wanted.owner}\n" for path in self.strangers)
        return self.now.line() if self.now else "", self.wanted.line() + others

    def make(self) -> None:
        """Correct it. Raises StabilityError."""
        if self.now != self.wanted:
            apply(self.wanted, self.now)
        if self.strangers:
            hand_over(self.wanted.path, self.wanted.owner)


def corrections(wanted: Sequence[Directory]) -> list[Correction]:
    """Return what is to be corrected. Raises StabilityError."""
    found = []
    for directory in wanted:
        now = actual(directory.path, listed=bool(directory.users))
        others = strangers(directory.path, directory.owner) if directory.contents and now else []
        if now != directory or others:
            found.append(Correction(directory, now, others))
    return found


def actual(path: str, listed: bool = False) -> Directory | None:
    """Return the directory as it is, None where there is none; raise StabilityError where something else is there.

    With ``listed`` its access list as well: the bits that the mode has for the group are the list's mask then.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a directory"
        raise StabilityError(f"{path} is {kind}; move it away")
    mode, access = stat.S_IMODE(found.st_mode), acl.read(path) if listed else ""
    group = acl.bits(access, "g")
    if group is not None:
        mode = mode & ~0o070 | group << 3
    return Directory(path, user_name(found.st_uid), group_name(found.st_gid), f"{mode:04o}", access=access)


def apply(wanted: Directory, now: Directory | None) -> None:
    """Make ``wanted`` true. A new directory belongs to root alone until its owner is set."""
    try:
        uid, gid = pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid
        for name in wanted.users:
            pwd.getpwnam(name)
    except KeyError as error:
        raise StabilityError(f"{wanted.path}: {error.args[0]}") from error
    path = Path(wanted.path)
    try:
        if now is None:
            _make_parents(path)
        with open_directory(path.parent) as parent:
            handle = make_directory(parent, path.name, 0o700)
        try:
            # first, so that whoever uses the directory can go on to at any moment
            if wanted.access:
                acl.write(handle, wanted.access)
            os.fchown(handle, uid, gid)
            os.fchmod(handle, int(wanted.mode, 8) | (acl.bits(wanted.access, "m") or 0) << 3)
        finally:
            os.close(handle)
    except OSError as error:
        raise StabilityError(f"{wanted.path}: {error.strerror}") from error


def _make_parents(path: Path) -> None:
    """As everybody may pass through them, whatever root's umask is."""
    for missing in reversed([parent for parent in path.parents if not parent.exists()]):
        with open_directory(missing.parent) as parent:
            os.close(make_directory(parent, missing.name, 0o755))


def strangers(path: str, owner: str) -> list[str]:
    """What is in the directory, at any depth, and is to be handed over to its owner, who may have to be made first."""
    try:
        uid: int | None = pwd.getpwnam(owner).pw_uid
    except KeyError:
        uid = None
    with open_directory(path) as top:
        return sorted(entry.path for entry in entries(top, path) if _is_stranger(entry.found, uid))


def hand_over(path: str, owner: str) -> None:
    """Give all of that to the owner and his group."""
    account = pwd.getpwnam(owner)
    with open_directory(path) as top:
        for entry in entries(top, path):
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
