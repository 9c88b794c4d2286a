# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a tar archive that is not trusted: nothing of it lands outside the target, whatever it says."""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
from pathlib import Path

_MB = 1 << 20


class ArchiveError(Exception):
    """The archive can't be read or holds a member that is refused; the message names it."""


def unpack(archive: Path, target: Path) -> None:
    """Unpack archive (tar, plain or gzip, bzip2, xz) into the directory target, which is empty.

    An archive whose only top entry is a directory (as `git archive --prefix` and official tarballs are made) is
    unpacked without it. Owners, set-id bits and write permissions of others are dropped. Raises ArchiveError, and
    OSError (disk full).
    """
    try:
        with tarfile.open(archive) as tar:
            members = _checked(tar.getmembers())
            _require_room(members, target)
            prefix = _single_top(members)
            links = [member for member in members if member.issym()]
            for member in members:
                if not member.issym():
                    _extract(tar, member, target, prefix)
            # Links last: no file is ever written through one.
            for member in links:
                _link(member, target, prefix)
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"The archive is no tar archive that can be read: {error}") from error


def _require_room(members: list[tarfile.TarInfo], target: Path) -> None:
    """Raise ArchiveError when the files alone would not fit: a disk that is full meanwhile disturbs all that write."""
    needed, free = sum(member.size for member in members), shutil.disk_usage(target).free
    if needed > free:
        raise ArchiveError(
            f"The disk that holds {target} has {free // _MB} MB free, and what the archive holds needs"
            f" {-(-needed // _MB)} MB there: free some space, or keep fewer releases (release_keep)."
        )


def _checked(members: list[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    kept = []
    links = {posixpath.normpath(member.name) for member in members if member.issym()}
    for member in members:
        name = member.name
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            raise ArchiveError(f"The archive holds {name!r}: absolute paths and '..' are refused.")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise ArchiveError(f"The archive holds {name!r}: only files, directories and links are accepted.")
        clean = posixpath.normpath(name)
        if any(parent in links for parent in _parents(clean)):
            raise ArchiveError(f"The archive holds {name!r} beneath a link: refused.")
        if member.issym():
            _check_link(clean, member.linkname)
        if clean != ".":
            member.name = clean
            kept.append(member)
    return kept


def _check_link(name: str, destination: str) -> None:
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), destination))
    if destination.startswith("/") or reached == ".." or reached.startswith("../"):
        raise ArchiveError(f"The archive holds the link {name!r} to {destination!r}, outside of it: refused.")


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _single_top(members: list[tarfile.TarInfo]) -> str:
    tops = {member.name.split("/")[0] for member in members}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    files_at_top = [member for member in members if member.name == top and not member.isdir()]
    return "" if files_at_top else top + "/"


def _place(member: tarfile.TarInfo, target: Path, prefix: str) -> Path | None:
    name = (member.name + "/")[len(prefix) :].rstrip("/")
    return target / name if name else None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, prefix: str) -> None:
    path = _place(member, target, prefix)
    if path is None:
        return
    if member.isdir():
        path.mkdir(0o755, parents=True, exist_ok=True)
        return
    path.parent.mkdir(0o755, parents=True, exist_ok=True)
    try:
        source = tar.extractfile(member)
    except KeyError as error:
        raise ArchiveError(f"The archive's {member.name!r} is a hard link to a file that is not in it.") from error
    if source is None:
        raise ArchiveError(f"The archive's {member.name!r} has no content.")
    # O_EXCL: a name that comes twice is refused rather than written over.
    mode = 0o755 if member.mode & 0o100 else 0o644
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError as error:
        raise ArchiveError(f"The archive holds {member.name!r} twice.") from error
    with source, os.fdopen(descriptor, "wb") as out:
        while block := source.read(1 << 20):
            out.write(block)
    os.utime(path, (member.mtime, member.mtime))


def _link(member: tarfile.TarInfo, target: Path, prefix: str) -> None:
    path = _place(member, target, prefix)
    if path is None:
        return
    if prefix:
        relative = member.name[len(prefix) :]
        _check_link(relative, member.linkname)
    path.parent.mkdir(0o755, parents=True, exist_ok=True)
    try:
        path.symlink_to(member.linkname)
    except FileExistsError as error:
        raise ArchiveError(f"The archive holds {member.name!r} twice.") from error
