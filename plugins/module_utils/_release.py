# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases of a service on its host.

`<directory>/<id>/` is one release. It is built in its final place, because what builds write may hold absolute paths,
and is whole only once root has put its mark in it: a run that was killed leaves a directory that counts for nothing and
that the next run removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ._run_as import Identity

MARK = ".release.json"


class ReleaseError(Exception):
    """The release can't be put on the host; the message says why and what would be right."""


@dataclass(frozen=True)
class Release:
    """What the mark says: name, digest of source and build settings, seconds since the epoch, package manager."""

    id: str
    digest: str
    created: float
    package_manager: str


class Releases:
    """All releases below one directory."""

    def __init__(self, directory: Path, active_link: Path) -> None:
        self.directory = directory
        self.active_link = active_link

    def path(self, identifier: str) -> Path:
        """Directory of a release."""
        return self.directory / identifier

    def get(self, identifier: str) -> Release | None:
        """The release of that name, None when it is not there or not whole."""
        path = self.path(identifier) / MARK
        try:
            # Only root's mark counts: the source may hold such a file, and a build may write one.
            if path.lstat().st_uid != 0:
                return None
            return Release(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def all(self) -> list[Release]:
        """Whole releases, newest first."""
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        found = [release for name in names if not name.startswith(".") and (release := self.get(name))]
        return sorted(found, key=lambda release: release.created, reverse=True)

    def active(self) -> str:
        """Identifier of the release whose socket the active link points to, "" when none is."""
        try:
            return self.active_link.readlink().name.removesuffix(".sock")
        except OSError:
            return ""

    def surplus(self, keep: int, wanted: str) -> list[str]:
        """Releases beyond the newest `keep`, never the wanted, the active, or the one made before the active."""
        known = [release.id for release in self.all()]
        if wanted not in known:
            known.insert(0, wanted)
        active = self.active()
        protected = {wanted, active, *_before(known, active or wanted)}
        return [name for name in known[keep:] if name not in protected]

    def leftovers(self) -> list[str]:
        """Directories that no release is: interrupted builds and removals."""
        with contextlib.suppress(FileNotFoundError):
            names = [entry.name for entry in os.scandir(self.directory) if entry.is_dir(follow_symlinks=False)]
            return sorted(name for name in names if name.startswith(".") or not self.get(name))
        return []

    def remove(self, identifier: str) -> None:
        """Remove a release: out of sight first, so that a killed removal leaves no half release that looks whole."""
        trash = self.path(f".removed-{os.getpid()}-{identifier.lstrip('.')}")
        self.path(identifier).rename(trash)
        shutil.rmtree(trash)

    @contextlib.contextmanager
    def lock(self, identifier: str) -> Iterator[int]:
        """Keep other runs away; the descriptor that holds the lock. Raises ReleaseError saying who has it."""
        with (self.directory / ".lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ReleaseError(f"Another run is at work: {file.read().strip() or 'it just began'}.") from None
            who = os.environ.get("SUDO_USER", "root")
            now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
            file.truncate(0)
            file.write(f"release {identifier}, begun by {who} at {now}, process {os.getpid()}")
            file.flush()
            yield file.fileno()

    def mark(self, release: Release) -> None:
        """Declare the release whole. All its files reach the disk first: a power cut must not leave a marked half."""
        os.sync()
        path = self.path(release.id) / MARK
        fresh = path.with_name(MARK + ".new")
        for leftover in (path, fresh):
            _discard(leftover)
        with fresh.open("x", encoding="utf-8") as file:
            json.dump(asdict(release), file)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        fresh.rename(path)


def own(directory: Path, uid: int, gid: int) -> None:
    """Give the whole tree to uid and gid: owner may write, group may read, others nothing; set-id bits go.

    Works on open files and never follows a link: the tree may come from a build that still runs somewhere.
    """
    for _path, _directories, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        for name in files:
            _own_file(name, descriptor, uid, gid)
        for name in _directories:
            if stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode):
                os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, 0o750)


def link_shared(
    release: Path, shared: Path, directories: Sequence[str], files: Sequence[str], user: Identity
) -> list[str]:
    """Link the shared paths into the release; the names that were not linked before."""
    changed = [name for name in directories if _link(release, shared, name, user, directory=True)]
    return changed + [name for name in files if _link(release, shared, name, user, directory=False)]


def unlinked(release: Path, shared: Path, names: Sequence[str]) -> list[str]:
    """Shared paths that are not linked into the release yet."""
    return [name for name in names if _target(release / name) != shared / name]


def explain(error: OSError, directory: Path) -> str:
    """A sentence for people; a full disk is named as such."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(directory).free // (1 << 20)
        return f"The disk that holds {directory} is full ({free} MB free): nothing was left behind."
    return str(error)


def _before(known: Sequence[str], identifier: str) -> Sequence[str]:
    if identifier not in known:
        return known[:1]
    position = known.index(identifier) + 1
    return known[position : position + 1]


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _own_file(name: str, directory: int, uid: int, gid: int) -> None:
    mode = os.lstat(name, dir_fd=directory).st_mode
    if not stat.S_ISREG(mode):
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, 0o750 if mode & stat.S_IXUSR else 0o640)
    finally:
        os.close(descriptor)


def _target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError:
        return None


def _link(release: Path, shared: Path, name: str, user: Identity, *, directory: bool) -> bool:
    path, target = release / name, shared / name
    if directory:
        _make_shared(shared, name, user)
    elif not target.is_file():
        raise ReleaseError(f"release_shared_files names {name!r}, but {target} is not on the host: put it there first.")
    if _target(path) == target:
        return False
    _make_parents(release, Path(name).parent)
    fresh = path.with_name(path.name + ".new-link")
    _discard(fresh)
    fresh.symlink_to(target)
    _discard(path)
    fresh.rename(path)
    return True


def _make_parents(release: Path, name: Path) -> None:
    """Make the directories that lead to a link, with the owner and group of the release itself."""
    owner = release.stat()
    path = release
    for part in name.parts:
        path /= part
        if path.is_symlink():
            raise ReleaseError(f"A shared path lies beneath {path}, which is a link: name the link itself instead.")
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o750)
            os.chown(path, owner.st_uid, owner.st_gid)


def _make_shared(shared: Path, name: str, user: Identity) -> None:
    path = shared
    for part in name.split("/"):
        path /= part
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o750)
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
