# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and links that are replaced as a whole: a reader sees the old or the new one, never half of one.

What is durable, a power cut leaves so as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .service_tree import discard_path, fill
from .small_file import open_regular


@dataclass(frozen=True)
class Ownership:
    """Who owns a file, and its mode."""

    uid: int
    gid: int
    mode: int


def save_json(path: Path, content: Any, mode: int = 0o600, *, durable: bool = False) -> None:
    """Write the content as JSON, as `save` does. Raises OSError."""
    save(path, json.dumps(content).encode(), mode, durable=durable)


def save(
    path: Path, content: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None, *, durable: bool = False
) -> None:
    """Write the content, atomically, for the owner (user and group id), where one is given.

    Raises OSError; then what was there still is. Mode and owner are set before the file has its name: in a directory of
    somebody else, that name may be another file's soon. What is durable is on the disk afterwards, as is its name; that
    takes as long as a disk in trouble takes.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        fill(descriptor, content, mode, owner, durable=durable)
        Path(name).replace(path)
    except BaseException:
        remove(Path(name))
        raise
    if durable:
        sync(path.parent)


def write(path: Path, content: bytes, ownership: Ownership) -> bool:
    """Make the file have that content, owner and mode; whether anything differed."""
    if _same(path, content, ownership):
        return False
    save(path, content, ownership.mode, (ownership.uid, ownership.gid), durable=True)
    return True


def _same(path: Path, content: bytes, ownership: Ownership) -> bool:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return False
        with open_regular(path) as file:
            attributes = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
            # no more of it: another user's file may be of any size
            return (
                attributes == (ownership.uid, ownership.gid, ownership.mode) and file.read(len(content) + 1) == content
            )
    except (FileNotFoundError, BlockingIOError):
        # a file that its owner leases can't be read, but replaced
        return False


def point(link: Path, target: Path | None) -> bool:
    """Make the link point there, or be gone when there is no target; whether anything differed."""
    if _target(link) == target:
        return False
    if target is None:
        remove(link)
    else:
        fresh = link.with_name(f".{link.name}.next")
        remove(fresh)
        fresh.symlink_to(target)
        fresh.replace(link)
    sync(link.parent)
    return True


@dataclass(frozen=True)
class Return:
    """A link's way back, made while there is room for it: taking it needs no space on the disk."""

    link: Path
    spare: Path | None
    """A link to where it points; None when there was none, and none is to be afterwards."""

    @classmethod
    def prepare(cls, link: Path) -> Return:
        """Keep where the link points now."""
        cls.sweep(link)
        target = _target(link)
        if target is None:
            return cls(link, None)
        spare = cls._spare(link)
        spare.symlink_to(target)
        return cls(link, spare)

    @classmethod
    def sweep(cls, link: Path) -> None:
        """Remove what an interrupted run kept."""
        remove(cls._spare(link))

    @staticmethod
    def _spare(link: Path) -> Path:
        return link.with_name(f".{link.name}.back")

    def take(self) -> None:
        """Make the link what it was."""
        if self.spare is None:
            remove(self.link)
        else:
            self.spare.replace(self.link)
        sync(self.link.parent)

    def forget(self) -> None:
        """Remove what was kept for it, if it is there still."""
        if self.spare is not None:
            remove(self.spare)


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Remove a file, a link or a socket, when it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def remove_tree(path: Path) -> None:
    """Remove a directory: out of sight first, so that what a power cut leaves looks like no release."""
    trash = path.with_name(f".removed-{os.getpid()}-{path.name.lstrip('.')}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(trash)
        discard_path(trash)


def sync(directory: Path) -> None:
    """Have the names in it on the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
