# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root's only way into directories that a service's user may write in.

There, a path may lead elsewhere from one system call to the next. So root works on open directories that were reached
without following a link, or reads as the service's user, and never waits for a FIFO. tests/checks/path_checks.py says
which files may use paths all the same, and why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .command import Identity, effective_user
from .small_file import open_regular, read_open

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_OTHERS_WRITE = 0o022
# Each level takes two descriptors, of which a process may have 1,024.
_MOST_OPEN = 200


@contextlib.contextmanager
def open_directory(path: str | Path) -> Iterator[int]:
    """The directory at that path, open. Raises OSError.

    Links are followed in directories that nobody but root, or whoever runs this, may write in; nowhere else.
    """
    descriptor = _reach(str(path))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reach(path: str) -> int:
    current, links = os.open("/", _DIRECTORY), 0
    left = _parts(str(Path(path).absolute()))
    try:
        while left and links <= _MOST_LINKS:
            place = left.pop()
            target = _link_target(current, place, path)
            if target is not None:
                links += 1
                left += _parts(target)
                place = "/" if target.startswith("/") else "."
            following = os.open(place, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = following
    except OSError as error:
        os.close(current)
        raise OSError(error.errno, error.strerror, path) from error
    if left:
        os.close(current)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return current


def _parts(path: str) -> list[str]:
    """The names on the way, the last one first."""
    return [part for part in reversed(path.split("/")) if part]


def _link_target(parent: int, name: str, path: str) -> str | None:
    """Where a link leads that may be followed; None for what is no link."""
    if not stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return None
    owner = os.fstat(parent)
    if owner.st_uid not in (0, os.geteuid()) or owner.st_mode & _OTHERS_WRITE:
        raise OSError(errno.ELOOP, f"{name} is a link in a directory of another user, and is not followed", path)
    return os.readlink(name, dir_fd=parent)


def make_directory(parent: int, name: str, mode: int, owner: tuple[int, int] | None = None) -> int:
    """The directory of that name, open; made with that mode and owner where there is none. Raises OSError."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        set_owner(descriptor, mode, owner)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def set_owner(descriptor: int, mode: int, owner: tuple[int, int] | None) -> None:
    """Owner and mode of what is open."""
    if owner is not None:
        os.fchown(descriptor, *owner)
    os.fchmod(descriptor, mode)


@contextlib.contextmanager
def directories_below(parent: int, parts: Sequence[str], mode: int, owner: tuple[int, int]) -> Iterator[int]:
    """The last of the nested directories, open; those that are missing are made. Raises OSError, also for a link."""
    current = os.dup(parent)
    try:
        for number, name in enumerate(parts, 1):
            try:
                following = make_directory(current, name, mode, owner)
            except OSError as error:
                raise OSError(error.errno, error.strerror, "/".join(parts[:number])) from error
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


def put_link(parent: int, name: str, target: str) -> None:
    """Make the name in the directory a link to the target, whatever was there."""
    fresh = f"{name}.new-link"
    discard(parent, fresh)
    os.symlink(target, fresh, dir_fd=parent)
    discard(parent, name)
    os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)


def write_file(parent: int, name: str, content: bytes, mode: int) -> None:
    """Make the name in the directory a file with that content, on the disk, whatever was there. Raises OSError."""
    fresh = f"{name}.new"
    discard(parent, fresh)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fill(os.open(fresh, flags, 0o600, dir_fd=parent), content, mode)
        discard(parent, name)
        os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        discard(parent, fresh)
        raise


def fill(
    descriptor: int, content: bytes, mode: int, owner: tuple[int, int] | None = None, *, durable: bool = True
) -> None:
    """Write the content into a new file, which nobody else sees yet, and close it."""
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        set_owner(descriptor, mode, owner)
        if durable:
            os.fsync(descriptor)


def discard(parent: int, name: str) -> None:
    """Remove a file, a link or a tree, when it is there. Raises OSError, also where another file system begins."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        tree = os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        _empty(tree, name)
    finally:
        os.close(tree)
    os.rmdir(name, dir_fd=parent)


def discard_path(path: str | Path) -> None:
    """The same, by a path."""
    place = Path(path)
    with contextlib.suppress(FileNotFoundError), open_directory(place.parent) as parent:
        discard(parent, place.name)


def _empty(tree: int, path: str) -> None:
    """However deep it is, with two descriptors at a time: upwards by "..", if that is the directory it came from."""
    current = os.dup(tree)
    # from the tree down to where this is: the directories that each still holds, and which one it is
    way: list[tuple[list[str], os.stat_result]] = []
    try:
        way.append((_directories_left(current), os.fstat(current)))
        while True:
            names, here = way[-1]
            if names:
                current = _followed(current, names[-1])
                inner = os.fstat(current)
                if inner.st_dev != here.st_dev:
                    raise OSError(f"{path}: another file system begins at {names[-1]} in it, it is left alone")
                way.append((_directories_left(current), inner))
                continue
            way.pop()
            if not way:
                return
            current = _followed(current, "..")
            names, here = way[-1]
            if not os.path.samestat(os.fstat(current), here):
                raise OSError(f"{path}: what is in it was moved while it was removed")
            os.rmdir(names.pop(), dir_fd=current)
    finally:
        os.close(current)


def _followed(directory: int, name: str) -> int:
    """The directory of that name in one that is open, which is closed."""
    following = os.open(name, _DIRECTORY, dir_fd=directory)
    os.close(directory)
    return following


def _directories_left(directory: int) -> list[str]:
    """Their names, when all else in it is removed."""
    with os.scandir(directory) as found:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_directory in names:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
    return [name for name, is_directory in names if is_directory]


@dataclass(frozen=True)
class Entry:
    """What a directory holds under one name, kept by an open handle: another one may have that name by now."""

    path: str
    handle: int
    found: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.found.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.found.st_mode)

    def give(self, uid: int, gid: int, mode: int | None = None) -> None:
        """Set its owner, and its mode unless it is a link."""
        place = f"/proc/self/fd/{self.handle}"
        os.chown(place, uid, gid)
        if mode is not None and not stat.S_ISLNK(self.found.st_mode):
            Path(place).chmod(mode)


def entries(top: int, path: str, *, whole: bool = True) -> Iterator[Entry]:
    """All that is below an open directory, each before what is in it; no link is followed. What goes meanwhile is left.

    An entry is only there until the next one is asked for. Nesting beyond what descriptors suffice for is nobody's but
    an attacker's: it raises OSError, or is left out where not the whole tree is asked for.
    """
    yield from _entries(top, path, _MOST_OPEN, whole)


def _entries(top: int, path: str, levels: int, whole: bool) -> Iterator[Entry]:
    with os.scandir(top) as found:
        names = sorted(entry.name for entry in found)
    if names and not levels:
        if whole:
            raise OSError(errno.ELOOP, "is nested too deeply", path)
        return
    for name in names:
        try:
            handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        except FileNotFoundError:
            continue
        try:
            entry = Entry(f"{path}/{name}", handle, os.fstat(handle))
            yield entry
            if entry.is_directory:
                inside = os.open(".", _DIRECTORY, dir_fd=handle)
                try:
                    yield from _entries(inside, entry.path, levels - 1, whole)
                finally:
                    os.close(inside)
        finally:
            os.close(handle)


@contextlib.contextmanager
def opened(path: str | Path, user: Identity | None = None) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises OSError, for a FIFO or a device as well; never waits for one.

    `user` is the service's: it is opened with that one's rights, wherever the path leads. Without, no link is followed
    that others could have put there.
    """
    place = Path(path)
    if user is None and os.geteuid() == 0:
        with open_directory(place.parent) as parent:
            found = open_regular(place.name, parent)
    else:
        with effective_user(user):
            found = open_regular(place, follow=True)
    with found as file:
        yield file


def read(path: str | Path, limit: int, user: Identity | None = None) -> bytes:
    """A regular file's content, as `opened` reaches it. Raises OSError, also when it is larger than `limit` bytes."""
    with opened(path, user) as file:
        return read_open(file, limit, path)
