# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a backup beside those of the service, unpacked as the service's user: to look at, and to take from."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..._checks.backup import AHEAD
from ..._host.command import Identity, effective_user
from ..._host.errors import StabilityError
from ..display import stamp
from .archive import unpacking
from .repositories import Repositories
from .restic import Snapshot, sentence
from .settings import Settings

# That stays free beside them.
_ROOM_BYTES = 512 * 1024 * 1024


def restore(settings: Settings, repositories: Repositories, moment: datetime.datetime | None, path: str) -> list[str]:
    """All that was there at that time, or what was at a path; what there is to do then. Raises StabilityError."""
    target, found = settings.restored, _unpack(settings, repositories, moment, path)
    return [
        f"{target} has the files as they were at {stamp(found.begun)}. Take what is needed as the service's user:",
        f"  sudo -u {settings.user} cp -a {target}/FILE {settings.shared}/FILE",
        f"Then: {settings.command} forget",
    ]


def require_empty(settings: Settings) -> None:
    """Raise StabilityError where the service has files."""
    with effective_user(Identity.of(settings.user)):
        is_empty = not any(Path(settings.shared).iterdir())
    if not is_empty:
        raise StabilityError(
            f"{settings.shared} is not empty; expected that of a new host. Nothing was restored."
            f" `{settings.command} restore` has the newest backup's files beside it"
        )


def rebuild(settings: Settings, repositories: Repositories) -> Snapshot:
    """On a new host, all files of the newest backup in the place of none. Raises StabilityError, and OSError."""
    found = _unpack(settings, repositories, None, "")
    # before anything says that they are there
    os.sync()
    # by its place in a directory of root's, and only where that is still empty
    Path(settings.restored).rename(settings.shared)
    return found


def _unpack(settings: Settings, repositories: Repositories, moment: datetime.datetime | None, path: str) -> Snapshot:
    """The backup of which all, or what was at a path, is in the directory for it."""
    target, user, found = Path(settings.restored), Identity.of(settings.user), _snapshot(repositories, moment)
    place = below(path, settings.shared)
    if not place:
        _check_room(settings, found.repository.size(found.label))
    with _new(settings, user):
        unpacked = found.repository.fetch(found.label, unpacking(str(target), user, place))
        if unpacked.status:
            said = sentence(unpacked.errors) or "tar was killed."
            raise StabilityError(f"backup {found.label} can't be restored: {said}")
    return found


def below(path: str, directory: str) -> str:
    """What a person means, as the archive has it; nothing for all of it."""
    return path.removeprefix(directory).removeprefix("./").strip("/")


def _snapshot(repositories: Repositories, moment: datetime.datetime | None) -> Snapshot:
    """The newest one of that time or before it; without a time none of a time to come, where there are others."""
    snapshots, problems = repositories.snapshots()
    if problems or not snapshots:
        raise StabilityError(" ".join(problems) or "the repository holds no backup")
    latest = moment.timestamp() if moment else time.time() + AHEAD
    # a person gives seconds
    fitting = [each for each in snapshots if int(each.begun) <= latest]
    if moment and not fitting:
        raise StabilityError(f"there is no backup of that time: the oldest is of {stamp(snapshots[0].begun)}")
    return (fitting or snapshots)[-1]


def _check_room(settings: Settings, size: int) -> None:
    needed, free = size + _ROOM_BYTES, shutil.disk_usage(settings.shared).free
    if needed > free:
        raise StabilityError(
            f"{settings.restored} needs {needed >> 20} MB, and its disk has {free >> 20} MB: restore a part of it, by a"
            f" path below {settings.shared}"
        )


@contextlib.contextmanager
def _new(settings: Settings, user: Identity) -> Iterator[None]:
    """Have the directory, of the service's user. Of what fails it has what came before that."""
    target = Path(settings.restored)
    try:
        target.mkdir(0o750)
    except FileExistsError as error:
        raise StabilityError(f"{target} is there already: `{settings.command} forget` removes it") from error
    try:
        os.chown(target, user.uid, user.gid)
        yield
    except StabilityError as error:
        with contextlib.suppress(OSError):
            target.rmdir()
            raise
        raise StabilityError(f"{error}\nWhat could be restored is in {target}.") from error
