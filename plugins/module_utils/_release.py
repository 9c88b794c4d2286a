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
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ._run_as import Identity

MARK = ".release.json"
_MB = 1 << 20


class ReleaseError(Exception):
    """The release can't be put on the host; the message says why and what would be right."""


@dataclass(frozen=True)
class Release:
    """What the mark says. created is in seconds since the epoch; what is not known, or does not apply, is ""."""

    id: str
    digest: str  # of source and build settings
    created: float
    package_manager: str
    node_abi: str = ""  # what it was built for: a release that was not built here has none
    commit: str = ""  # of a git source


class Releases:
    """All releases below one directory; those that the links name (to a release or its socket) are never removed."""

    def __init__(self, directory: Path, active_link: Path, links: Sequence[Path] = ()) -> None:
        self.directory = directory
        self.active_link = active_link
        self.links = links

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
            mark = json.loads(path.read_text(encoding="utf-8"))
            # Another version of this collection may know more or less of a release.
            return Release(**{field.name: mark[field.name] for field in fields(Release) if field.name in mark})
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
        return _named_by(self.active_link)

    def protected(self) -> set[str]:
        """Identifiers that the links name: what runs, or may have to run again at once."""
        return {name for link in (self.active_link, *self.links) if (name := _named_by(link))}

    def surplus(self, keep: int, wanted: str) -> list[str]:
        """Releases beyond the newest `keep`, never the wanted one or one that a link names."""
        known = [release.id for release in self.all()]
        if wanted not in known:
            known.insert(0, wanted)
        return [name for name in known[keep:] if name not in {wanted, *self.protected()}]

    def leftovers(self) -> list[str]:
        """What no release is: interrupted downloads, builds and removals."""
        try:
            paths = list(self.directory.iterdir())
        except FileNotFoundError:
            return []
        hidden = {path.name for path in paths if path.name.startswith(".")}
        # What a link names may be running, whatever became of its mark.
        unmarked = {path.name for path in paths if path.is_dir() and not self.get(path.name)} - self.protected()
        return sorted(hidden | unmarked)

    def remove(self, identifier: str) -> None:
        """Remove a release: out of sight first, so that a killed removal leaves no half release that looks whole."""
        trash = self.path(f".removed-{os.getpid()}-{identifier.lstrip('.')}")
        self.path(identifier).rename(trash)
        _discard(trash)

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


@contextlib.contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Leave nothing at path when what is done here fails; a note of the error says so, and how full the disk was."""
    try:
        yield
    except BaseException as error:
        if not path.exists():
            raise
        if is_full(error):
            error.add_note(shortage(path))
        shutil.rmtree(path, ignore_errors=True)
        error.add_note(f"Its directory, {path}, {'could not be' if path.exists() else 'was'} removed.")
        raise


def explain(error: Exception, directory: Path) -> str:
    """Sentences for people; a full disk is named as such."""
    notes = list(getattr(error, "__notes__", []))
    if not is_full(error):
        return " ".join([str(error), *notes])
    free = shutil.disk_usage(directory).free // _MB
    full, *more = notes or [f"The disk that holds {directory} is full ({free} MB free)."]
    return " ".join([full, *([] if isinstance(error, OSError) else [str(error)]), *more])


def is_full(error: BaseException) -> bool:
    """Whether it says that a disk is full: the kernel's word, or what a program wrote of it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return re.search("ENOSPC|No space left on device", str(error)) is not None


def shortage(path: Path) -> str:
    """How much an unfinished release took of its disk, and what was left."""
    taken = sum(Path(place, name).lstat().st_blocks for place, _names, files in os.walk(path) for name in files) * 512
    room = os.statvfs(path)
    left = f"{room.f_bavail * room.f_frsize // _MB} MB"
    if room.f_files and not room.f_favail:
        left += " and no inodes (the number of files)"
    return f"The disk that holds {path} is full: the unfinished release took {taken // _MB} MB, and {left} were left."


def _named_by(link: Path) -> str:
    """`<id>` of a link to `<id>`, `<id>.sock` or `<id>+<n>.sock`; "" where there is no link."""
    try:
        return link.readlink().name.removesuffix(".sock").partition("+")[0]
    except OSError:
        return ""


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
