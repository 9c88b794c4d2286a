# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Nginx is dead, hangs, or only has no connection left: what root sees of it. It changes nothing.

Clients can fill Nginx, and a restart would cut off those of all its sites for one that fills it again at once. What is
full still works: its event loops accept connections, and close what they have no room for. What is dead has no main
process, or refuses; what hangs has accepted nothing, from nobody, while a connection waited, and no event loop of it
went on. So nothing that a client does looks like a fault that a restart cures. And where another program has Nginx's
port, Nginx can't be started.
"""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from ..._checks.nginx import DEFAULT_PORTS, listening_instead
from ..._host import proc, tcp
from ..._host.accounts import user_name
from ..._host.address_in_use import holder
from ..._host.console import visible
from ..._host.processor_time import MOST_OF_THE_TIME, ProcessorTime, processor_times

HEALTHY, FULL, DEAD, HUNG, TAKEN = "healthy", "full", "dead", "hung", "taken"
# Not of a probe, but of what Nginx says of its own configuration: it could not be started.
BROKEN = "broken"
_ANSWERED, _CLOSED, _REFUSED, _SILENT = "answered", "closed", "refused", "silent"
_ZOMBIE, _STOPPED = "ZX", "T"
_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Verdict:
    state: str
    """healthy, full, dead, hung, taken or broken."""
    message: str

    @property
    def needs_restart(self) -> bool:
        return self.state in (DEAD, HUNG)


@dataclasses.dataclass(frozen=True)
class Signs:
    """What one connection, and the kernel meanwhile, showed."""

    runs: bool
    """Its main process is there."""
    reply: str
    """answered, closed (without a word), refused or silent."""
    accepted: bool = False
    """That connection, or another one on the same port, was accepted."""
    works: bool = False
    """The event loop of a worker went on, or would have, had it been given a processor."""
    stopped: bool = False
    """One of its processes is stopped by a signal, which no client can do."""


def judge_signs(signs: Signs) -> Verdict:
    """The first that applies."""
    verdicts = (
        (not signs.runs, DEAD, "its main process is not there"),
        (signs.stopped, HUNG, "one of its processes is stopped by a signal"),
        (signs.reply == _ANSWERED, HEALTHY, "it answers"),
        (signs.reply == _REFUSED, DEAD, "its main process is there, but nothing listens"),
        (signs.reply == _CLOSED, FULL, "it accepts connections and closes them at once: it has none left"),
        (signs.accepted or signs.works, FULL, "it works, but does not answer in time: it has too much to do"),
        (True, HUNG, "it accepts no connection, and none of its event loops goes on"),
    )
    return next(Verdict(state, message) for applies, state, message in verdicts if applies)


def probe(url: str, host_name: str, unit: str, main: int, seconds: float) -> Verdict:
    """Ask Nginx at that URL's address, for as long at most; `main` is its unit's main process, 0 for none."""
    parts = urlsplit(url)
    where = (parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORTS.get(parts.scheme, 80))
    if instead := _instead(where, unit, main):
        return Verdict(TAKEN, instead)
    before, workers = _accepted(where[1]), _workers(main)
    if _are_stopped(main, *workers):
        # nothing more to wait for
        return judge_signs(Signs(runs=True, reply=_SILENT, stopped=True))
    turns, times = _turns(workers), processor_times(workers)
    reply, accepted = _ask(where, parts.path or "/", host_name or where[0], seconds)
    turned = any(count > turns.get(pid, count) for pid, count in _turns(workers).items())
    return judge_signs(
        Signs(
            runs=_state(main) not in ("", *_ZOMBIE),
            reply=reply,
            accepted=accepted or bool(_accepted(where[1]) - before),
            works=turned or _starved(times),
            stopped=_are_stopped(main, *_workers(main)),
        )
    )


def _instead(where: tcp.Address, unit: str, main: int) -> str:
    """Which other program listens there; empty for none."""
    found = listening_instead(*where, proc.user(main) if main else None)
    pid = holder(found[0].inode, found[0].user) if found else None
    # its workers may outlive its main process
    if not found or (pid and f"/{unit}" in proc.text(pid, "cgroup")):
        return ""
    # whoever it is chooses its name, and may be the service itself
    name = f"{visible(proc.text(pid, 'comm'))}, pid {pid}" if pid else f"of the user {user_name(found[0].user)}"
    return f"another program ({name}) listens on port {where[1]}"


def _ask(where: tcp.Address, path: str, host_name: str, seconds: float) -> tuple[str, bool]:
    """What came of one request, and whether its connection was accepted. TLS or not: an error is an answer too."""
    deadline = time.monotonic() + seconds
    accepted = False
    try:
        with socket.create_connection(where, seconds) as connection:
            own = tcp.plain(*connection.getsockname()[:2])
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host_name}\r\nConnection: close\r\n\r\n".encode())
            connection.settimeout(_POLL_SECONDS)
            while time.monotonic() < deadline:
                try:
                    return (_ANSWERED if connection.recv(1) else _CLOSED), True
                except TimeoutError:
                    accepted = accepted or own in _peers(where[1])
    except ConnectionRefusedError:
        return _REFUSED, False
    except ConnectionError:
        return _CLOSED, True
    except OSError:
        pass
    return _SILENT, accepted


def _sockets(port: int) -> Iterable[tcp.TcpSocket]:
    """The connections at this port of ours that a process has accepted: these have an inode."""
    return (found for found in tcp.sockets(port) if found.inode)


def _accepted(port: int) -> set[int]:
    return {found.inode for found in _sockets(port)}


def _peers(port: int) -> set[tcp.Address]:
    return {found.remote for found in _sockets(port)}


def _are_stopped(*pids: int) -> bool:
    return any(_state(pid) == _STOPPED for pid in pids)


def _workers(main: int) -> list[int]:
    return proc.children(main) if main else []


def _state(pid: int) -> str:
    """Empty where there is no such process."""
    found = proc.stat(pid)
    return found.state if found else ""


def _turns(pids: Iterable[int]) -> dict[int, int]:
    """How often each has waited for something: an event loop does that at each turn."""
    counts = {pid: proc.status(pid).get("voluntary_ctxt_switches") for pid in pids}
    return {pid: int(count) for pid, count in counts.items() if count}


def _starved(before: dict[int, ProcessorTime]) -> bool:
    """Whether one of them waited for a processor most of the time."""
    return any(now.waited_since(before[pid]) >= MOST_OF_THE_TIME for pid, now in processor_times(before).items())
