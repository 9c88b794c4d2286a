# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events on their way from the watchdog's directory into alerting's own.

The watchdog's directory belongs to the service's user, the own one to the user of alerting's unit. Neither may use
root, who moves the files, to get at others' files: no link is followed, and what is read is no more than a small file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ._alert_console import complain
from ._alert_problems import SEVERITIES, Event

_LARGEST = 64 * 1024


class EventError(Exception):
    """A file that is no event; the message says why."""


_KINDS = ("problem", "resolved", "action", "test")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that nobody writes to would hold up who opens it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def collect(events: Path, inbox: Path) -> int:
    """As root, move all events into the inbox, where its owner may read and delete them; how many. Raises OSError."""
    with _directory(events) as source, _directory(inbox) as target:
        names = [name for name in sorted(entry.name for entry in os.scandir(source)) if not name.startswith(".")]
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the watchdog drops the oldest
                _let_read(name, source)
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        return len(names)


def _let_read(name: str, directory: int) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(name, _FILE, dir_fd=directory)
        try:
            seen = os.fstat(descriptor)
            # another name of the file would be somebody else's
            if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
                os.fchmod(descriptor, 0o444)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _directory(path: Path) -> Any:
    descriptor = os.open(path, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def waiting(inbox: Path) -> list[str]:
    """Names of the events in the inbox, in their order. Raises OSError."""
    return sorted(entry.name for entry in os.scandir(inbox) if not entry.name.startswith("."))


def read(inbox: Path, names: Iterable[str]) -> list[Event]:
    """The events of these files; one that is none is said in the journal and left out."""
    events = []
    for name in names:
        try:
            events.append(parse(_read_small(inbox / name)))
        except (OSError, EventError) as error:
            complain(f"{name!r} is no event and is dropped: {error}")
    return events


def _read_small(path: Path) -> bytes:
    descriptor = os.open(path, _FILE)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EventError("it is no file")
        content = os.read(descriptor, _LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST:
        raise EventError(f"it is larger than {_LARGEST} bytes")
    return content


def parse(content: bytes) -> Event:
    """Raises EventError."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EventError("it is no JSON") from error
    if not isinstance(record, dict):
        raise EventError("it is no JSON object")
    texts = {name: record.get(name, "") for name in ("kind", "key", "code", "message")}
    severity, time, values = record.get("severity", "info"), record.get("time"), record.get("values") or {}
    if (
        texts["kind"] not in _KINDS
        or severity not in SEVERITIES
        or not all(isinstance(text, str) for text in texts.values())
    ):
        raise EventError("it lacks a kind, a severity, a key, a code or a message")
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise EventError("its time is no number")
    if not isinstance(values, Mapping) or (texts["kind"] != "test" and not texts["key"]):
        raise EventError("it lacks a key, or its values are no object")
    return Event(time=float(time), severity=severity, values=values, **texts)


def remove(inbox: Path, names: Iterable[str]) -> None:
    """Delete what has been taken in; what can't be deleted is known by its name at the next run."""
    for name in names:
        path = inbox / name
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            complain(f"{name!r} can't be deleted: {error.strerror}")
