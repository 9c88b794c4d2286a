# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events on their way from the watchdog's directory into alerting's own.

The watchdog's directory belongs to the service's user, the own one to the user of alerting's unit. Neither may use
root, who takes them over, to get at others' files, nor hold up other events: no link is followed, what is no file is
dropped, and no run takes in more than the watchdog ever leaves.

They are copied: to a unit each directory that it may write to is a mount, and nothing is renamed from one to another.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..._host.console import complain
from ..._host.small_file import read_small
from .problems import Event
from .record import EventError, parse

TEST = "-test.json"
"""How the names of test messages end, which only root puts into the inbox: they are beyond the limit of an hour."""

_LARGEST = 16 * 1024
_MOST = 1000
# Whatever else is in the directory: a run comes to its end.
_MOST_SEEN = 100_000
_MOST_SAID = 5
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ARRIVING = ".arriving"


def collect(events: Path, inbox: Path) -> int:
    """As root, take events over into the inbox, where its owner may read and delete them; how many.

    Raises OSError, also where the inbox is full.
    """
    with _directory(inbox) as target, _events(events) as source:
        room = _MOST - len(waiting(inbox))
        if room <= 0:
            raise OSError(errno.ENOSPC, "nobody takes the events that wait here", str(inbox))
        owner, dropped, moved = os.fstat(source).st_uid, [], 0
        for name in _first(source, room):
            try:
                content = _content(name, source, owner)
            except FileNotFoundError:
                continue  # the watchdog drops the oldest
            except (OSError, EventError) as error:
                dropped.append((name, _reason(error)))
            else:
                _write(content, name, target)
                moved += 1
            _discard(name, source)
        _say(dropped)
        return moved


def _first(directory: int, count: int) -> list[str]:
    """The first names in their order; those that begin with a dot are being written, or were put aside."""
    with os.scandir(directory) as entries:
        names = (entry.name for entry in itertools.islice(entries, _MOST_SEEN))
        return heapq.nsmallest(count, (name for name in names if not name.startswith(".")))


def _content(name: str, directory: int, owner: int) -> bytes:
    """Raises EventError and OSError."""
    _refuse_test(is_test=name.endswith(TEST), by_root=False)
    content, seen = read_small(name, _LARGEST, directory)
    # another name of the file, or a file that was only moved here, is another user's
    if seen.st_nlink != 1 or seen.st_uid != owner:
        raise EventError("it is no file of the watchdog's own")
    return content


def _write(content: bytes, name: str, directory: int) -> None:
    """Whole, or not at all. Raises OSError."""
    _discard(_ARRIVING, directory)
    with os.fdopen(os.open(_ARRIVING, _NEW, dir_fd=directory), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
    os.rename(_ARRIVING, name, src_dir_fd=directory, dst_dir_fd=directory)


def _discard(name: str, directory: int) -> None:
    """Delete it; a directory, whose content may have no end, gets a name that is out of the way."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=directory)
            return
        os.rename(name, f".dropped-{time.time_ns()}", src_dir_fd=directory, dst_dir_fd=directory)


@contextlib.contextmanager
def _directory(path: Path | str, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _events(path: Path) -> Iterator[int]:
    """The watchdog's directory, which its user may have replaced: the watchdog makes it again when it needs it."""
    with _directory(path.parent) as parent:
        try:
            descriptor = os.open(path.name, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                os.unlink(path.name, dir_fd=parent)
            raise
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def waiting(inbox: Path) -> list[str]:
    """Names of the events in the inbox, in their order. Raises OSError."""
    return sorted(entry.name for entry in os.scandir(inbox) if not entry.name.startswith("."))


def read(inbox: Path, names: Iterable[str], now: float) -> list[Event]:
    """The events of these files; what is none is said in the journal and left out."""
    events, dropped = [], []
    for name in names:
        try:
            event = parse(read_small(inbox / name, _LARGEST)[0], now)
            _refuse_test(is_test=event.kind == "test", by_root=name.endswith(TEST))
            events.append(event)
        except (OSError, EventError) as error:
            dropped.append((name, _reason(error)))
    _say(dropped)
    return events


def _refuse_test(is_test: bool, by_root: bool) -> None:
    """Raises EventError."""
    if is_test and not by_root:
        raise EventError("only root sends test messages")


def _reason(error: OSError | EventError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _say(dropped: Sequence[tuple[str, str]]) -> None:
    for name, reason in dropped[:_MOST_SAID]:
        complain(f"{name!r} is no event and is dropped: {reason}")
    if len(dropped) > _MOST_SAID:
        complain(f"{len(dropped) - _MOST_SAID} more are no events and are dropped")


def remove(inbox: Path, names: Iterable[str]) -> None:
    """Delete what has been taken in; what can't be deleted is known by its name at the next run."""
    for name in names:
        try:
            (inbox / name).unlink(missing_ok=True)
        except OSError as error:
            complain(f"{name!r} can't be deleted: {error.strerror}")
