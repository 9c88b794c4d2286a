# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be removed for good: nothing through a link or a mount point, where it would be foreign."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from .._service.footprint import Thing

_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOUNT_POINT = 4


def mount_points(table: str | None = None) -> frozenset[str]:
    """Every mount point of this host, as /proc/self/mountinfo tells them."""
    lines = (_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape") if table is None else table).splitlines()
    places = [line.split(" ")[_MOUNT_POINT] for line in lines if line]
    return frozenset(_OCTAL.sub(lambda match: chr(int(match[1], 8)), place) for place in places)


def found(pattern: str) -> list[str]:
    """What is there of a path whose parts may have a * in them; a link counts wherever it points."""
    if "*" in pattern:
        return sorted(map(str, Path("/").glob(pattern.removeprefix("/"))))
    return [pattern] if os.path.lexists(pattern) else []


def inner_mounts(path: str, mounts: Collection[str]) -> list[str]:
    """The mount points at the path and below it; none behind a link, which is removed as such."""
    if Path(path).is_symlink():
        return []
    real = os.path.realpath(path)
    return sorted(mount for mount in mounts if mount == real or mount.startswith(f"{real}/"))


def barrier(path: str, root: str, mounts: Collection[str]) -> str:
    """The first directory from root down to the path, itself not included, that leads elsewhere; "" when none does."""
    parents = [parent for parent in reversed(Path(path).parents) if root and parent.is_relative_to(root)]
    return next((str(parent) for parent in parents if parent.is_symlink() or os.path.realpath(parent) in mounts), "")


def removable(path: str, mounts: Collection[str]) -> Iterator[str]:
    """The largest parts of a tree that no mount point is at or below."""
    inner = inner_mounts(path, mounts)
    if not inner:
        yield path
    elif os.path.realpath(path) not in inner:
        for entry in sorted(Path(path).iterdir()):
            yield from removable(str(entry), mounts)


def holds_more(path: str, gone: Collection[str]) -> bool:
    """Whether there is anything at the path that does not go with these; an empty directory is nothing."""
    return os.path.lexists(path) and not becomes_empty(Path(path), gone)


def becomes_empty(directory: Path, gone: Collection[str]) -> bool:
    """Whether a directory is there and has nothing in it once these paths are gone."""
    return not directory.is_symlink() and directory.is_dir() and all(str(path) in gone for path in directory.iterdir())


def is_foreign(thing: Thing, path: str) -> bool:
    """Whether it only has the name of what is the service's."""
    if thing.unless and found(thing.unless):
        return True
    if not thing.marks or thing.data:
        return False
    place = Path(path)
    # what a removal that was killed has left of a directory
    only_links = place.is_dir() and all(entry.is_symlink() for entry in place.iterdir())
    return not only_links and not thing.is_marked(place)
