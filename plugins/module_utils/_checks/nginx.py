# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nginx's own processes, and who else has its port: read as anybody may see it, and judged."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from .._host import proc, tcp
from .._host.accounts import user_name
from .findings import CRITICAL, OK, WARNING, Finding

# Well beyond nginx_worker_shutdown_timeout, an hour by default: then something is wrong with it.
_OLD_HOURS = 3
# Debian's unit names it as well.
PID_FILE = Path("/run/nginx.pid")
_ANY_ADDRESS = ("0.0.0.0", "::")
DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}


@dataclasses.dataclass(frozen=True)
class NginxReading:
    master: int | None
    """None when no master process runs."""
    stopped: bool = False
    workers: int = 0
    old: tuple[int, ...] = ()
    """Workers of an earlier configuration that wait for their last connections."""
    hidden: bool = False
    """The master runs, and that is all to be seen: /proc shows no process of others (ProtectProc=)."""


def read_nginx(pid_file: Path) -> NginxReading:
    """What anybody may see: titles and states of the processes."""
    try:
        master = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return NginxReading(None)
    state = proc.stat(master)
    if state is None:
        return NginxReading(None) if is_gone(pid_file) else NginxReading(master, hidden=True)
    if not proc.text(master, "cmdline").startswith("nginx: master"):
        return NginxReading(None)
    titles = {child: proc.text(child, "cmdline") for child in proc.children(master)}
    old = tuple(pid for pid, title in titles.items() if "shutting down" in title)
    workers = sum(title.startswith("nginx: worker") for title in titles.values()) - len(old)
    return NginxReading(master, state.state == "T", workers, old)


def is_gone(pid_file: Path = PID_FILE) -> bool:
    """Whether no master process runs, also for one to whom /proc shows no process of others (ProtectProc=)."""
    try:
        os.kill(int(pid_file.read_text(encoding="ascii")), 0)
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return False


def listening_instead(host: str, port: int, owner: int | None) -> list[tcp.TcpSocket]:
    """The sockets of other programs where Nginx should listen; none where one may be its own.

    `owner` is the user of its main process, whose its sockets are; None where none of its processes runs.
    """
    try:
        addresses = {*tcp.addresses_of(host), *_ANY_ADDRESS}
    except OSError:
        return []
    found = [one for one in tcp.listening(port) if one.local[0] in addresses]
    return [] if any(one.user == owner for one in found) else found


def instead_at(url: str) -> str:
    """Which other program answers there in Nginx's place, as far as it can be seen; empty for none."""
    parts, reading = urlsplit(url), read_nginx(PID_FILE)
    if not parts.hostname or reading.hidden:
        return ""
    port, master = parts.port or DEFAULT_PORTS[parts.scheme], reading.master
    found = listening_instead(parts.hostname, port, proc.user(master) if master else None)
    if not found:
        return ""
    by = f"another program (of the user {user_name(found[0].user)})"
    return (
        f"port {port} is answered by {by}, {'not by Nginx' if master else 'Nginx is not running'}. See it with"
        f" `ss -tlnp`, stop it, then: systemctl {'reload' if master else 'start'} nginx."
    )


def judge_nginx(reading: NginxReading, oldest_hours: float, instead: str = "") -> list[Finding]:
    """`instead` says which other program has Nginx's port; empty for none."""
    if reading.master is None:
        message = instead or "no master process runs. Start it: systemctl start nginx."
        return [Finding("nginx", CRITICAL, message, 0, 1, "processes")]
    if reading.hidden:
        return [Finding("nginx", OK, "the master runs; its workers can't be seen from here", 1, 1, "processes")]
    if reading.stopped:
        message = f"the master was stopped by a signal. Continue it: kill -CONT {reading.master}."
        return [Finding("nginx", CRITICAL, message, 0, 1, "processes")]
    if not reading.workers:
        message = "the master runs, but no worker: nobody answers. See Nginx's error log; systemctl restart nginx."
        return [Finding("nginx", CRITICAL, message, 0, 1, "workers")]
    findings = [Finding("nginx", OK, f"master and {reading.workers} workers run", reading.workers, 1, "workers")]
    return findings + _judge_old(reading.old, oldest_hours)


def _judge_old(old: Sequence[int], oldest_hours: float) -> list[Finding]:
    if not old:
        return []
    message = f"{len(old)} workers of earlier configurations wait for their last connections"
    if oldest_hours < _OLD_HOURS:
        return [Finding("nginx.old", OK, message, round(oldest_hours, 1), _OLD_HOURS, "hours")]
    message += f", since {oldest_hours:.0f} hours. Set nginx_worker_shutdown_timeout, or end them: kill {old[0]}."
    return [Finding("nginx.old", WARNING, message, round(oldest_hours, 1), _OLD_HOURS, "hours")]
