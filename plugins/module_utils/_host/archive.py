# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a tar archive that is not trusted: nothing of it lands outside the target, whatever it says."""

from __future__ import annotations

import errno
import lzma
import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import StabilityError

_MB = 1 << 20
_MOST_MEMBERS = 1_000_000
_MOST_LINKS = 40
_LATEST = 1 << 33
# What Python's readers say of contents that they did not expect; those of the disk stay what they are.
_UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class _Member:
    """A member by the path that it gets. A hard link is another copy: content is the file that it names."""

    path: str
    info: tarfile.TarInfo
    content: tarfile.TarInfo

    @property
    def size(self) -> int:
        return self.content.size if self.content.isreg() else 0


def unpack(archive: Path, target: Path, name: str = "") -> None:
    """Unpack archive (tar, plain or gzip, bzip2, xz) into the directory target, which is empty.

    An archive whose only top entry is a directory (as `git archive --prefix` and official tarballs are made) is
    unpacked without it. Owners, set-id bits and write permissions of others are dropped. Raises StabilityError, whose
    message begins with name, which says where the archive is from, and OSError (disk full).
    """
    try:
        with tarfile.open(archive) as tar:
            members = _members(tar)
            _require_room(members, target)
            links = [member for member in members if member.info.issym()]
            for member in members:
                if not member.info.issym():
                    _extract(tar, member, target)
            # Links last: no file is ever written through one.
            for member in links:
                _link(member, target)
    except _UNREADABLE as error:
        raise StabilityError(f"{name or archive} is no tar archive that can be read: {error}") from error
    except StabilityError as error:
        raise StabilityError(f"{name or archive}: {error}") from error


def _require_room(members: Sequence[_Member], target: Path) -> None:
    """Raise StabilityError when the files alone would not fit: a full disk disturbs all that write."""
    needed, free = sum(member.size for member in members), shutil.disk_usage(target).free
    if needed > free:
        raise StabilityError(
            f"The disk that holds {target} has {free // _MB} MB free, and what the archive holds needs"
            f" {-(-needed // _MB)} MB there: free some space, or keep fewer releases (release_keep)."
        )


def _members(tar: tarfile.TarFile) -> list[_Member]:
    """All members, each by the path that it gets. Raises StabilityError for the first that is refused."""
    named: list[tuple[str, tarfile.TarInfo]] = []
    files: dict[str, tarfile.TarInfo] = {}
    contents = []
    for info in tar:
        name = _checked(info)
        content = files.get(posixpath.normpath(info.linkname)) if info.islnk() else info
        if content is None:
            raise StabilityError(f"The archive's {info.name!r} is a hard link to a file that is not in it before.")
        if content.isreg():
            files[name] = content
        if name != ".":
            named.append((name, info))
            contents.append(content)
        if len(named) > _MOST_MEMBERS:
            raise StabilityError(f"The archive holds more than {_MOST_MEMBERS} files: refused.")
    top = _single_top(named)
    members = [
        _Member(name[len(top) :], info, content)
        for (name, info), content in zip(named, contents, strict=True)
        if name + "/" != top
    ]
    links = {member.path: member.info.linkname for member in members if member.info.issym()}
    for member in members:
        if any(parent in links for parent in _parents(member.path)):
            raise StabilityError(f"The archive holds {member.info.name!r} beneath a link: refused.")
        if member.path in links:
            _check_link(member.path, links)
    return members


def _checked(info: tarfile.TarInfo) -> str:
    name = info.name
    if "\0" in name or "\0" in info.linkname:
        raise StabilityError(f"The archive holds {name!r}: names with a NUL are refused.")
    if name.startswith("/") or ".." in name.split("/"):
        raise StabilityError(f"The archive holds {name!r}: absolute paths and '..' are refused.")
    if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
        raise StabilityError(f"The archive holds {name!r}: only files, directories and links are accepted.")
    # a reader that goes on from there would come by the same header for ever
    if info.size < 0:
        raise StabilityError(f"The archive holds {name!r} with a size of {info.size}: refused.")
    return posixpath.normpath(name)


def _check_link(path: str, links: Mapping[str, str]) -> None:
    """Follow a link through the others, as the kernel will: what each of them says alone is not where it ends."""
    refused = f"The archive holds the link {path!r} to {links[path]!r}"
    place, left, followed = path.split("/"), [path.rpartition("/")[2]], 0
    place.pop()
    while left:
        part = left.pop()
        if part == ".." and not place:
            raise StabilityError(f"{refused}, outside of it: refused.")
        if part == "..":
            place.pop()
        elif part not in ("", "."):
            target = links.get("/".join([*place, part]))
            if target is None:
                place.append(part)
                continue
            followed += 1
            if target.startswith("/"):
                raise StabilityError(f"{refused}, outside of it: refused.")
            if followed > _MOST_LINKS:
                raise StabilityError(f"{refused}, which leads in a circle: refused.")
            left += reversed(target.split("/"))


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _single_top(members: Sequence[tuple[str, tarfile.TarInfo]]) -> str:
    tops = {name.split("/")[0] for name, _info in members}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    files_at_top = [name for name, info in members if name == top and not info.isdir()]
    return "" if files_at_top else top + "/"


def _extract(tar: tarfile.TarFile, member: _Member, target: Path) -> None:
    path = target / member.path
    if member.info.isdir():
        _make_directory(path, member)
        return
    _make_directory(path.parent, member)
    source = tar.extractfile(member.content)
    if source is None:
        raise StabilityError(f"The archive's {member.info.name!r} has no content.")
    # O_EXCL: a name that comes twice is refused rather than written over.
    mode = 0o755 if member.content.mode & 0o100 else 0o644
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError as error:
        raise _twice(member) from error
    with source, os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(source, out, _MB)
    # what is no time of a file, not a number among it, is the epoch
    moment = member.info.mtime if 0 <= member.info.mtime <= _LATEST else 0
    os.utime(path, (moment, moment))


def _link(member: _Member, target: Path) -> None:
    path = target / member.path
    _make_directory(path.parent, member)
    try:
        path.symlink_to(member.info.linkname)
    except FileExistsError as error:
        raise _twice(member) from error


def _make_directory(path: Path, member: _Member) -> None:
    try:
        path.mkdir(0o755, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR):
            raise
        raise _twice(member) from error


def _twice(member: _Member) -> StabilityError:
    return StabilityError(f"The archive holds {member.info.name!r} twice, or beneath a file.")
