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
import filecmp
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .._host.atomic import remove_tree
from .._host.command import Identity, effective_user
from .._host.errors import StabilityError
from .._host.service_tree import (
    directories_below,
    discard_path,
    entries,
    open_directory,
    opened,
    put_link,
    set_owner,
    write_file,
)
from .._service.active import release_of

MARK = ".release.json"
_MB = 1 << 20


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
        try:
            with opened(self.path(identifier) / MARK) as file:
                # Only root's mark counts: the source may hold such a file, and a build may write one.
                if os.fstat(file.fileno()).st_uid != 0:
                    return None
                mark = json.load(file)
            # Another version of this collection may know more or less of a release.
            return Release(**{field.name: mark[field.name] for field in fields(Release) if field.name in mark})
        except (OSError, ValueError, TypeError):
            return None

    def all(self) -> list[Release]:
        """Whole releases, newest first."""
        names = [path.name for path in self._paths() if not path.name.startswith(".")]
        found = [release for name in names if (release := self.get(name))]
        return sorted(found, key=lambda release: release.created, reverse=True)

    def protected(self) -> set[str]:
        """Identifiers that the links name: what runs, or may have to run again at once."""
        return {name for link in (self.active_link, *self.links) if (name := _named_by(link))}

    def edited(self, identifier: str, writable: Sequence[str]) -> list[str]:
        """Files of a release that is not the service's to write which are newer than its mark, relative to it.

        What the service may write and installed packages are left out; a time to come is a clock's fault.
        """
        top, release = self.path(identifier), self.get(identifier)
        if release is None:
            return []
        left_out, now, found = {*(top / name for name in writable)}, time.time(), []
        for name, directories, files in os.walk(top):
            folder = Path(name)
            directories[:] = [one for one in directories if one != "node_modules" and folder / one not in left_out]
            for path in (folder / one for one in files if folder / one != top / MARK):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and release.created < status.st_mtime <= now:
                    found.append(str(path.relative_to(top)))
        return sorted(found)

    def surplus(self, keep: int, desired: str) -> list[str]:
        """Releases beyond the newest `keep`, never the desired one or one that a link names."""
        known = [release.id for release in self.all()]
        if desired not in known:
            known.insert(0, desired)
        return [name for name in known[keep:] if name not in {desired, *self.protected()}]

    def leftovers(self) -> list[str]:
        """What no release is: interrupted downloads, builds and removals."""
        paths = self._paths()
        hidden = {path.name for path in paths if path.name.startswith(".")}
        # What a link names may be running, whatever became of its mark.
        unmarked = {path.name for path in paths if path.is_dir() and not self.get(path.name)} - self.protected()
        return sorted(hidden | unmarked)

    def _paths(self) -> list[Path]:
        return list(self.directory.iterdir()) if self.directory.is_dir() else []

    def remove(self, identifier: str) -> None:
        """Remove a release, or what was to be one."""
        remove_tree(self.path(identifier))

    def mark(self, release: Release) -> None:
        """Declare the release whole. All its files reach the disk first: a power cut must not leave a marked half."""
        os.sync()
        with open_directory(self.path(release.id)) as directory:
            write_file(directory, MARK, json.dumps(asdict(release)).encode(), 0o644)


def own(directory: Path, uid: int, gid: int, builder: int, kept: Sequence[str] = ()) -> None:
    """Give the whole tree to uid and gid: owner may write, group may read, others nothing; set-id bits go.

    What is in the directories `kept`, relative to it, is the builder's, and they are made where they are missing.
    The tree may come from a build that still runs somewhere, as the user `builder`. Raises StabilityError for a file
    that has another name elsewhere, unless it is that user's already: it may be anybody's.
    """
    inside = tuple(f"{directory}/{name}/" for name in kept)
    with open_directory(directory) as top:
        for name in kept:
            with directories_below(top, name.split("/"), 0o750, (builder, gid)):
                pass
        set_owner(top, 0o750, (uid, gid))
        for entry in entries(top, str(directory)):
            owner = builder if f"{entry.path}/".startswith(inside) else uid
            if not entry.is_file:
                entry.give(owner, gid, 0o750 if entry.is_directory else None)
            elif entry.found.st_nlink > 1 and entry.found.st_uid != builder:
                raise StabilityError(f"{entry.path} is a hard link to a file of another user ({entry.found.st_uid}).")
            else:
                entry.give(owner, gid, 0o750 if entry.found.st_mode & stat.S_IXUSR else 0o640)


def link_shared(
    release: Path, shared: Path, directories: Sequence[str], files: Sequence[str], user: Identity
) -> list[str]:
    """Link the shared paths into the release; what it has there itself, and is not used.

    A shared directory in which nothing is yet gets what the release has there.
    """
    unused = []
    for name in directories:
        _make_shared(shared, name, user)
        unused += _seed(release, shared, name, user)
        _link(release, shared, name)
    for name in files:
        if not _is_file(shared / name, user):
            raise StabilityError(
                f"release_shared_files names {name!r}, but {shared / name} is not on the host: put it there first."
            )
        unused += _others(release, shared, [Path(name)], user)
        _link(release, shared, name)
    return unused


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
        with contextlib.suppress(OSError):
            discard_path(path)
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
    with open_directory(path) as top:
        taken = sum(entry.found.st_blocks for entry in entries(top, "", whole=False)) * 512
    room = os.statvfs(path)
    left = f"{room.f_bavail * room.f_frsize // _MB} MB"
    if room.f_files and not room.f_favail:
        left += " and no inodes (the number of files)"
    return f"The disk that holds {path} is full: the unfinished release took {taken // _MB} MB, and {left} were left."


def _named_by(link: Path) -> str:
    """`<id>` of a link to `<id>` or `<id>@<n>`; "" where there is no link."""
    try:
        return release_of(link.readlink().name)
    except OSError:
        return ""


def _target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError:
        return None


def _link(release: Path, shared: Path, name: str) -> None:
    path, target = release / name, shared / name
    if _target(path) == target:
        return
    with open_directory(release) as top:
        owner = os.fstat(top)
        parents = Path(name).parent.parts
        try:
            with directories_below(top, parents, 0o750, (owner.st_uid, owner.st_gid)) as place:
                put_link(place, path.name, str(target))
        except NotADirectoryError as error:
            raise StabilityError(
                f"A shared path lies beneath {release / error.filename}, which is a link or a file: name that instead."
            ) from error


def _seed(release: Path, shared: Path, name: str, user: Identity) -> list[str]:
    """Copy what the release has in that directory to a shared one that is empty; else what of it differs from there.

    As the service's user, who may have made a link of anything on the way.
    """
    top = release / name
    with effective_user(user):
        if top.is_symlink() or not top.is_dir():
            return []
        if not any((shared / name).iterdir()):
            try:
                shutil.copytree(top, shared / name, symlinks=True, dirs_exist_ok=True)
            except OSError:
                # half of it would be all that there ever is
                shutil.rmtree(shared / name)
                raise
            return []
        found = [Path(folder, one) for folder, _names, files in os.walk(top) for one in files]
    return _others(release, shared, sorted(path.relative_to(release) for path in found), user)


def _others(release: Path, shared: Path, names: Iterable[Path], user: Identity) -> list[str]:
    """The files of the release that have something in them, and are not the same in the shared directory."""
    with effective_user(user):
        return [
            str(name)
            for name in names
            if _is_content(release / name)
            and not ((shared / name).is_file() and filecmp.cmp(release / name, shared / name, shallow=False))
        ]


def _is_content(path: Path) -> bool:
    """Not what only keeps a directory in Git, such as .gitkeep."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size > 0


def _make_shared(shared: Path, name: str, user: Identity) -> None:
    """As the service's user, whose directory it is: a link there leads no further than that user may go."""
    path = shared
    with effective_user(user):
        for part in name.split("/"):
            path /= part
            try:
                path.mkdir(0o750)
            except FileExistsError:
                continue
            except OSError as error:
                raise StabilityError(f"{path} can't be made by the user {user.name}: {error.strerror}.") from error


def _is_file(path: Path, user: Identity) -> bool:
    with effective_user(user):
        return os.access(path, os.F_OK, effective_ids=True) and path.is_file()
