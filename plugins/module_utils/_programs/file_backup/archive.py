# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service's files as one archive, which tar makes, compares and unpacks as the service's user: it can reach nothing
that the service could not.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..._host.command import PLAIN, Identity, Program, effective_user
from ..._host.pipe import Ended

TAR = "tar"
# Times to the nanosecond, and nothing in it that differs from one run to the next, but for what is sparse: what is the
# same is stored once.
_FORMAT = ("--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", "--sort=name")
_DIFFERS = frozenset({"Contents differ", "Size differs"})
_TOUCHED = frozenset({"Mod time differs", "Mode differs"})
# What tar says of files that are another kind of thing by now, or closed to the service itself.
_CHANGED = re.compile(r": (Warning: )?Cannot (stat|open|readlink): ")
_SUMMARY = "Exiting with failure status"
_CUT_SHORT = "Error is not recoverable"
_QUIET = tuple(f"--warning=no-file-{what}" for what in ("ignored", "changed", "removed"))
# The file system's clock is a coarse one, and tar begins before restic.
_SECONDS = 5.0


def packing(directory: str, user: Identity) -> Program:
    """What it says of files that are missing in it, `unwritten` understands. Of links to a file each is one itself."""
    return _tar(
        user,
        "--create",
        *_FORMAT,
        *_QUIET,
        "--sparse",
        "--hard-dereference",
        "--file=-",
        f"--directory={directory}",
        ".",
    )


def comparing(directory: str, user: Identity) -> Program:
    """What it says of files that differ, `damaged` understands."""
    return _tar(user, "--compare", "--quoting-style=escape", "--file=-", f"--directory={directory}")


def unpacking(directory: str, user: Identity, path: str) -> Program:
    """All of it, or what is at a path."""
    place = ("--no-wildcards", "--no-unquote", "--", f"./{path}") if path else ()
    return _tar(user, "--extract", "--preserve-permissions", "--file=-", f"--directory={directory}", *place)


def _tar(user: Identity, *words: str) -> Program:
    return Program([TAR, *words], PLAIN, user)


def is_whole(packed: Ended) -> bool:
    """Whether tar has written all that it can read, or it is its reader that has ended first, and has to say why."""
    return packed.is_unread or (packed.status >= 0 and _CUT_SHORT not in packed.errors)


def unwritten(complaints: str) -> str:
    """What tar has said of files when it packed."""
    return "\n".join(line for line in complaints.splitlines() if _SUMMARY not in line)


def unreadable(complaints: str) -> str:
    """What tar has said of the archive when it compared: nothing where that is whole."""
    return "\n".join(line for line in unwritten(complaints).splitlines() if not _CHANGED.search(line))


def damaged(said: str, directory: str, user: Identity, since: float) -> list[str]:
    """The files that differ from the archive though nobody has changed them since it was made."""
    found: dict[str, set[str]] = {}
    for name, _colon, what in (line.rpartition(": ") for line in said.splitlines()):
        found.setdefault(name.replace("\\:", ":"), set()).add(what)
    suspects = [name for name, differs in found.items() if differs & _DIFFERS and not differs & _TOUCHED]
    with effective_user(user):
        older = [name for name in suspects if _is_plain(name) and _is_older(Path(directory, name), since - _SECONDS)]
    return sorted(name.removeprefix("./") for name in older)


def _is_plain(name: str) -> bool:
    """Whether it stands for a file below the directory, and as it is: of odd letters tar writes the codes."""
    return name.startswith("./") and ".." not in Path(name).parts and "\\" not in name


def _is_older(path: Path, moment: float) -> bool:
    """Whether it was changed last before that, by the time that nobody but root sets."""
    try:
        return os.lstat(path).st_ctime < moment
    except (OSError, ValueError):
        return False
