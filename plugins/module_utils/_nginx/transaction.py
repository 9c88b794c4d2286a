# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an nginx configuration: what is there, what is desired, and a change of all of them that can be undone.

A transaction first writes down what was there, then writes the new files beside the old ones, then renames them into
place: what needs space on the disk is done before the first file in use is touched. A run that was killed in between
leaves its journal behind, and the next run restores from it.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from .._host.atomic import save_json
from .._host.errors import StabilityError
from .._host.files import Change, Entry, actual
from .._host.service_tree import fill


def checked_path(path: str) -> str:
    """The path if it names something below the configuration directory; StabilityError else."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\0" in path:
        raise StabilityError(
            f"{path!r} is no path below the configuration directory: expected one like conf.d/site.conf, "
            "relative, without '..', '//' and a '/' at its end."
        )
    return path


def read_entry(path: Path) -> Entry | None:
    """What is at the path, whosever it is; None if nothing is."""
    found = actual(str(path))
    return found and replace(found, owner="", group="")


def prepare(path: Path, entry: Entry) -> None:
    """Writes the entry beside the path: all of the work that can fail for want of space."""
    fresh = _beside(path)
    fresh.unlink(missing_ok=True)
    try:
        if entry.target is not None:
            fresh.symlink_to(entry.target)
        else:
            fill(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), entry.data, entry.mode)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def place(path: Path, entry: Entry | None) -> None:
    """Renames what was prepared to the path, or removes what is there."""
    if entry is None:
        path.unlink(missing_ok=True)
        return
    fresh = _beside(path)
    try:
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    # A leading dot keeps the file out of the globs of nginx's include.
    return path.with_name(f".{path.name}.nginx_site")


def compare(root: Path, desired: dict[str, Entry], absent: Sequence[str]) -> list[Change]:
    """The changes that bring the directory to what is desired, in that order."""
    both = sorted(desired.keys() & set(absent))
    if both:
        raise StabilityError(f"{', '.join(both)}: both wanted and to be absent.")
    pairs: list[tuple[str, Entry | None]] = [*desired.items(), *((path, None) for path in absent)]
    changes = [
        Change(path, read_entry(root / checked_path(path)), after, secret=after is not None and after.secret)
        for path, after in pairs
    ]
    return [change for change in changes if change.before != change.after]


class Transaction:
    """Changes files below root; until commit() the journal remembers what was there before."""

    def __init__(self, root: Path, journal: Path) -> None:
        self.root = root
        self.journal = journal

    def pending(self) -> bool:
        """Whether an earlier run was interrupted in the middle of a change."""
        return self.journal.exists()

    def make(self, changes: Sequence[Change]) -> None:
        """Changes files that nginx does not read."""
        if changes:
            self.swap(changes)
            self.commit()

    def swap(self, changes: Sequence[Change]) -> None:
        """Writes the journal, then changes the files. Whatever happens after this, restore() undoes it.

        A path may also be an absolute one, of a file outside of root that belongs to the change.
        """
        self.journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = sorted({parent for change in changes for parent in self._missing_parents(change)})
        record = {"files": {change.path: _pack(change.before) for change in changes}, "directories": fresh}
        # The files may hold keys: the journal is for root alone.
        with _naming(f"Nothing was changed: what is there now cannot be noted in {self.journal}"):
            save_json(self.journal, record, durable=True)
        for directory in fresh:
            with _naming(f"Cannot make the directory {self.root / directory}"):
                (self.root / directory).mkdir(mode=0o755)
        for change in changes:
            if change.after is not None:
                with _naming(f"Cannot write {self.root / change.path}"):
                    prepare(self.root / change.path, change.after)
        for change in changes:
            with _naming(f"Cannot replace {self.root / change.path}"):
                place(self.root / change.path, change.after)

    def restore(self) -> None:
        """Puts back what the journal remembers. Can be repeated until commit() says that nginx runs with it.

        What can't be put back keeps nothing else from it: of what is left nginx would make something at the next boot.
        """
        record = json.loads(self.journal.read_bytes())
        problems = []
        for path, packed in record["files"].items():
            try:
                self._put_back(self.root / path, _unpack(packed))
            except StabilityError as error:
                problems.append(str(error))
        self.remove_empty(record["directories"][::-1])
        if problems:
            raise StabilityError(" ".join(problems))

    def _put_back(self, path: Path, entry: Entry | None) -> None:
        if entry is None and not path.parent.is_dir():
            return
        # What was not touched is not written again: a full disk or a directory that cannot be written does no harm.
        with suppress(OSError):
            _beside(path).unlink(missing_ok=True)
        if read_entry(path) != entry:
            with _naming(f"Cannot put {path} back as it was"):
                if entry is not None:
                    prepare(path, entry)
                place(path, entry)

    def commit(self) -> None:
        self.journal.unlink(missing_ok=True)

    def remove_empty(self, directories: Sequence[str]) -> None:
        """Removes those in which nobody has anything."""
        for directory in directories:
            with suppress(OSError):
                (self.root / directory).rmdir()

    def _missing_parents(self, change: Change) -> list[str]:
        parents = PurePosixPath(change.path).parents if change.after else ()
        return [str(parent) for parent in parents if not (self.root / parent).exists()]


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """An error of the operating system as one that says what could not be done."""
    try:
        yield
    except OSError as error:
        raise StabilityError(f"{what}: {error.strerror or error}.") from error


def _pack(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"content": b64encode(entry.data).decode(), "mode": entry.mode, "target": entry.target}


def _unpack(packed: dict[str, Any] | None) -> Entry | None:
    return Entry(b64decode(packed["content"]), packed["mode"], target=packed["target"]) if packed else None
