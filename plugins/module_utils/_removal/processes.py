# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs as a service's user, and ending it before the number is free for another one.

In a container the number means another user: a database there runs as 999 as a rule, which on the host is the number of
the first system user. But whoever likes may make namespaces and run on in them, so what counts is who made them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

from .._host import proc
from .._host.errors import StabilityError

_POLL_SECONDS = 0.2
# ioctl_ns(2): the user namespace that another one belongs to, the namespace around it, and a user namespace's maker.
_NS_GET_USERNS, _NS_GET_PARENT, _NS_GET_OWNER_UID = 0xB701, 0xB702, 0xB704
_BYTES_OF_UID = 4


def processes_of(uid: int) -> dict[int, int]:
    """The user's processes, each with its parent. What is dead and only waits for its parent is none."""
    listed = {}
    for pid in proc.pids():
        fields = proc.status(pid)
        if _is_of(uid, pid, fields):
            listed[pid] = int(fields["PPid"])
    return listed


def _is_of(uid: int, pid: int, fields: Mapping[str, str]) -> bool:
    """By the user's number on the host, or by namespaces that the user made, whatever the number is in them.

    There it may be another one for a while, where the user has subordinate ones. `fields` are its status.
    """
    if not fields or _has_ended(fields):
        return False
    has_number = int(fields["Uid"].split()[0]) == uid
    is_inside = len(fields["NSpid"].split()) > 1
    if has_number and not is_inside:
        return True
    try:
        return _is_made_by(uid, pid, is_inside)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return False
    except OSError:  # nobody can tell, so the number does
        return has_number


def _has_ended(fields: Mapping[str, str]) -> bool:
    """Not while other threads run: a process whose first one has ended looks dead as well."""
    return fields["State"].startswith("Z") and int(fields["Threads"]) <= 1


def _is_made_by(uid: int, pid: int, is_inside: bool) -> bool:
    """Whether the user made the namespaces that a process is in; with `is_inside` it has process numbers of its own.

    Then it is the outermost of those PID namespaces that tells: nobody gets into one without the rights of its maker,
    while in a container, too, a user of the same number may make further namespaces. Raises OSError.
    """
    with contextlib.ExitStack() as held:
        if is_inside:
            # the last is this process's own
            outermost = _around(held, os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY))[-2:][0]
            space = fcntl.ioctl(outermost, _NS_GET_USERNS)
        else:
            space = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        # In one that the user made all others are the user's, whichever of its numbers made them.
        return uid in [_maker(each) for each in _around(held, space)[:-1]]


def _around(held: contextlib.ExitStack, space: int) -> list[int]:
    """A namespace that is open and all around it, to this process's own, which is the last. The stack closes them."""
    found = []
    with contextlib.suppress(PermissionError):  # a process does not get to see what is around its own
        while True:
            held.callback(os.close, space)
            found.append(space)
            space = fcntl.ioctl(space, _NS_GET_PARENT)
    return found


def _maker(space: int) -> int:
    number = bytearray(_BYTES_OF_UID)
    fcntl.ioctl(space, _NS_GET_OWNER_UID, number)
    return int.from_bytes(number, sys.byteorder)


def end_processes(uid: int, patience: float, list_them: Callable[[int], dict[int, int]] = processes_of) -> None:
    """End whatever runs as that user: those that started the others first, by SIGTERM, and what is left by SIGKILL."""
    listed = list_them(uid)
    for pid, parent in listed.items():
        if parent not in listed:
            _send(uid, pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while list_them(uid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + patience
    while left := list_them(uid):
        for pid in left:
            _send(uid, pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise StabilityError(f"processes {', '.join(map(str, left))} of user {uid} do not end")
        time.sleep(_POLL_SECONDS)


def _send(uid: int, pid: int, which: signal.Signals) -> None:
    """To the user's process alone: since it was listed, its number may have become another one's."""
    proc.send(pid, which, lambda: _is_of(uid, pid, proc.status(pid)))
