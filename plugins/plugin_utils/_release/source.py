# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of a release: what the source is, its identifier, and the archive that is sent.

The identifier comes from the content (names, links, the executable bit, bytes) and from the settings that shape the
build, never from times or owners: the same source gives the same identifier on every machine.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...module_utils._host.errors import StabilityError
from ...module_utils._net.download import file_digest, parse_checksum, verify, without_secrets


@dataclass(frozen=True)
class Entry:
    """One file or link: its path relative to the source, with / between the parts."""

    name: str
    path: Path
    executable: bool
    link: str | None


@dataclass(frozen=True)
class Identified:
    """Name of the release, and the digest of all that it is made of."""

    identifier: str
    digest: str


def entries(directory: Path, exclude: Sequence[str]) -> list[Entry]:
    """All files and links below directory, sorted, without those that a pattern of exclude matches.

    A pattern matches a base name (`*.log`) or, when it has a slash, a path from the top (`docs/*`). An excluded
    directory is left out whole. Empty directories, sockets and the like are no content. Raises StabilityError.
    """
    if not directory.is_dir():
        raise StabilityError(f"release_directory {directory} is no directory on the controller.")
    found = sorted(_walk(directory, "", exclude), key=lambda entry: entry.name)
    if not found:
        raise StabilityError(f"{directory} holds no file (release_exclude is left out).")
    return found


def tree_digest(found: Sequence[Entry]) -> str:
    """Digest over names, kinds, executable bits and contents."""
    digest = hashlib.sha256()
    for entry in found:
        content = _content(entry)
        kind = "link" if entry.link is not None else "program" if entry.executable else "file"
        digest.update(f"{kind}\0{entry.name}\0{content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def address_digest(address: str, checksum: str) -> str:
    """Digest that stands for an archive on the network: its declared checksum. Raises StabilityError, DownloadError."""
    if not checksum:
        raise StabilityError(
            f"release_archive {without_secrets(address)} is fetched from the network: set release_checksum as well."
        )
    return parse_checksum(checksum)[1]


def archive_digest(archive: Path, checksum: str) -> str:
    """Digest of an archive on the controller, verified where declared. Raises StabilityError, DownloadError."""
    if not archive.is_file():
        raise StabilityError(f"release_archive {archive} is no file on the controller, and no https:// address.")
    if checksum:
        verify(archive, checksum, f"release_archive {archive}", "release_checksum")
    return file_digest(archive)


def identify(content: str, settings: Mapping[str, object], version: str) -> Identified:
    """Identifier of a release with that content and those build settings; version names it when it is not empty."""
    text = json.dumps([content, settings], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Identified(version or digest[:12], digest)


def pack(found: Sequence[Entry], target: Path, expected: str) -> None:
    """Write the files to target, a compressed tar archive.

    expected is their tree_digest: a source that changed since is refused, for the release would not be what its name
    says.
    """
    with tarfile.open(target, "w:gz", compresslevel=3) as tar:
        for entry in found:
            _add(tar, entry)
    if tree_digest(found) != expected:
        raise StabilityError("The source changed while it was packed; run again when it is quiet.")


def _walk(directory: Path, prefix: str, exclude: Sequence[str]) -> Iterator[Entry]:
    try:
        children = sorted(directory.iterdir())
    except OSError as error:
        raise StabilityError(f"{directory} can't be read: {error.strerror}.") from error
    for child in children:
        name = prefix + child.name
        if _excluded(name, child.name, exclude):
            continue
        if child.is_symlink():
            yield Entry(name, child, False, _inner_link(name, child))
        elif child.is_dir():
            yield from _walk(child, name + "/", exclude)
        elif child.is_file():
            yield Entry(name, child, bool(child.stat().st_mode & stat.S_IXUSR), None)


def _excluded(name: str, base: str, exclude: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name if "/" in pattern else base, pattern.strip("/")) for pattern in exclude)


def _inner_link(name: str, path: Path) -> str:
    link = str(path.readlink())
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    if posixpath.isabs(link) or reached == ".." or reached.startswith("../"):
        raise StabilityError(f"{path} is a link to {link}, outside of the release; the host could not follow it.")
    return link


def _content(entry: Entry) -> str:
    if entry.link is not None:
        return entry.link
    try:
        return file_digest(entry.path)
    except OSError as error:
        raise StabilityError(f"{entry.path} can't be read: {error.strerror}.") from error


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.name)
    if entry.link is not None:
        member.type, member.linkname = tarfile.SYMTYPE, entry.link
        tar.addfile(member)
        return
    try:
        with entry.path.open("rb") as file:
            status = os.fstat(file.fileno())
            member.size, member.mtime = status.st_size, int(status.st_mtime)
            member.mode = 0o755 if entry.executable else 0o644
            tar.addfile(member, file)
    except OSError as error:
        raise StabilityError(f"{entry.path} can't be packed: {error}") from error
