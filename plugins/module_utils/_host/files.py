# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, links and directories as they are and as they should be, changed all together or not at all.

A path is replaced by a rename, never written through: where a link stands, the link is replaced, not its target.
"""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import acl, directories
from .accounts import group_name, user_name
from .atomic import save
from .command import quiet_run
from .errors import StabilityError
from .service_tree import open_directory, put_link
from .small_file import read_small

# Bytes: many times what is installed. A file of the service's user's may be of any size.
_LARGEST = 64 << 20
# Its owner has made it larger, or keeps it from being read by a lease. Neither keeps it from being replaced.
_UNKNOWN = (errno.EFBIG, errno.EAGAIN)


@dataclass(frozen=True)
class Entry:
    """What one path holds: a file, a directory, a symbolic link (target), or content of which only the digest is known.

    A file without an owner is whoever's who writes it, and whose it is does not matter.
    """

    content: bytes | None = b""
    mode: int = 0o644
    owner: str = ""
    group: str = ""
    target: str | None = None
    digest: str = field(default="", compare=False)
    secret: bool = field(default=False, compare=False)
    directory: bool = False
    access: str = ""
    """A directory's access list, as text; "" for none."""

    @property
    def data(self) -> bytes:
        """The content; none of a link, or where it is not known."""
        return self.content or b""

    @property
    def is_unknown(self) -> bool:
        """It is a file of which nothing but that is known."""
        return self.content is None and not self.digest and self.target is None

    def text(self) -> str:
        """What a reader sees."""
        if self.target is not None:
            return f"symbolic link to {self.target}\n"
        return self.data.decode("utf-8", errors="replace")

    def checksum(self) -> str:
        return self.digest if self.content is None else hashlib.sha256(self.content).hexdigest()

    def attributes(self) -> str:
        owner = f"{self.owner}:{self.group} " if self.owner else ""
        return f"{owner}{self.mode:04o}{' ' if self.access else ''}{self.access}\n"


@dataclass(frozen=True)
class Change:
    """What one path holds and is to hold; None: nothing. ``check`` is a command whose %s stands for the new file."""

    path: str
    before: Entry | None
    after: Entry | None
    secret: bool = False
    check: Sequence[str] = ()
    strangers: Sequence[str] = ()
    """What is in a directory and is to be handed over to its owner."""

    def diff(self, root: Path = Path("/")) -> dict[str, str]:
        """The change in the shape that Ansible shows for --diff; what is secret or no text is only named.

        ``root`` is where a relative path begins.
        """
        same = self.before and self.after and self.before.checksum() == self.after.checksum()
        path = str(root / self.path)
        owner = self.after.owner if self.after else ""
        return {
            "before_header": path if self.before else f"{path} (absent)",
            "after_header": path if self.after else f"{path} (absent)",
            "before": self._shown(self.before, ""),
            "after": self._shown(self.after, "" if same else " changed")
            + "".join(f"{stranger} {owner}\n" for stranger in self.strangers),
        }

    def _shown(self, entry: Entry | None, suffix: str) -> str:
        if entry is None:
            return ""
        if entry.target is not None:
            return entry.text()
        if self.secret:
            return f"{entry.attributes()}(secret{suffix})\n"
        if entry.content is None or b"\0" in entry.content:
            kind = "content not known" if entry.is_unknown else f"program, sha256 {entry.checksum()}"
            return f"{entry.attributes()}({kind})\n"
        return entry.attributes() + entry.text()


def actual(path: str) -> Entry | None:
    """What the path holds, None for nothing. Raises StabilityError for a directory or something stranger.

    Content that is too large, or can't be read because of a lease, is not known.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        return Entry(target=str(Path(path).readlink()))
    if not stat.S_ISREG(found.st_mode):
        raise StabilityError(f"{path} is neither a file nor a link; move it away")
    content: bytes | None = None
    try:
        content, found = read_small(path, _LARGEST)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
    return Entry(content, stat.S_IMODE(found.st_mode), user_name(found.st_uid), group_name(found.st_gid))


def actual_directory(path: str) -> Entry | None:
    """The directory at the path, None where there is none. Raises StabilityError where something else is there.

    Where it has an access list, the bits that the mode has for the group are the list's mask.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a directory"
        raise StabilityError(f"{path} is {kind}; move it away")
    mode, access = stat.S_IMODE(found.st_mode), acl.read(path)
    group = acl.bits(access, "g")
    if group is not None:
        mode = mode & ~0o070 | group << 3
    return Entry(b"", mode, user_name(found.st_uid), group_name(found.st_gid), directory=True, access=access)


def change_of(path: str, after: Entry, check: Sequence[str] = ()) -> Change | None:
    """What has to change for the path to hold the file, None for nothing; content that is there is taken from there.

    A file whose content is not known is replaced.
    """
    before = actual(path)
    if after.content is None and before is not None and before.checksum() == after.digest:
        after = replace(after, content=before.content)
    differs = before is None or before.is_unknown or before != after
    return Change(path, before, after, after.secret, check) if differs else None


def change_of_directory(path: str, after: Entry, contents: bool = False) -> Change | None:
    """The same of a directory; with ``contents`` what is in it, at any depth, is to be its owner's as well."""
    before = actual_directory(path)
    strangers = directories.strangers(path, after.owner) if contents and before else []
    return Change(path, before, after, strangers=strangers) if before != after or strangers else None


def check(change: Change) -> None:
    """Ask the change's command whether the new content will do. A command that isn't there yet has nothing to say."""
    entry, command = change.after, change.check
    if entry is None or entry.content is None or not command or shutil.which(command[0]) is None:
        return
    with tempfile.NamedTemporaryFile(prefix=f"{Path(change.path).name}.") as file:
        file.write(entry.content)
        file.flush()
        argv = [part.replace("%s", file.name) for part in command]
        outcome = quiet_run(argv)
    if outcome.returncode:
        said = (outcome.stderr or outcome.stdout).strip().replace(file.name, change.path)
        raise StabilityError(f"{change.path}: {command[0]} refuses it; nothing was changed: {said}")


@dataclass
class Transaction:
    """Changes that are made one after another, and all taken back when one fails; directories stay."""

    done: list[Change] = field(default_factory=list)
    """Of files and links."""

    def make(self, planned: Sequence[Change]) -> None:
        """Make the changes. Raises StabilityError; then nothing has changed, except what it names."""
        for change in planned:
            try:
                put(change.path, change.after)
            except (OSError, KeyError) as error:
                reason = error.strerror if isinstance(error, OSError) else error.args[0]
                lost = self.undo()
                raise StabilityError("\n".join([f"{change.path}: {reason}", *lost])) from error
            if change.after is None or not change.after.directory:
                self.done.append(change)
            elif change.strangers:
                directories.hand_over(change.path, change.after.owner)

    def undo(self) -> list[str]:
        """Give each file's path back what it held, and return, for people, where that failed."""
        lost = []
        for change in reversed(self.done):
            if change.before and change.before.is_unknown:
                reason = f"it was larger than {_LARGEST >> 20} MiB, or a lease of its owner's kept it from being read"
                lost.append(f"{change.path} is not put back: {reason}")
                continue
            try:
                put(change.path, change.before)
            except OSError as error:
                lost.append(f"{change.path} could not be put back: {error.strerror}")
        self.done.clear()
        return lost


def put(path: str, entry: Entry | None) -> None:
    """Make the path hold the entry. Raises OSError, and KeyError for an owner or a group that isn't there."""
    if entry is None:
        Path(path).unlink(missing_ok=True)
        return
    if entry.target is not None:
        with open_directory(Path(path).parent) as parent:
            put_link(parent, Path(path).name, entry.target)
        return
    if entry.directory:
        directories.make(Path(path), entry.mode, _owner(entry), entry.access)
    else:
        save(Path(path), entry.data, entry.mode, _owner(entry) if entry.owner else None)


def _owner(entry: Entry) -> tuple[int, int]:
    user, group = entry.owner, entry.group
    return (
        int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid,
        int(group) if group.isdigit() else grp.getgrnam(group).gr_gid,
    )
