# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running nginx: its master and workers, starting and reloading it, and who listens on a port."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._host import proc, tcp
from .._host.errors import StabilityError
from .._host.units import unit_states
from .connections import MAIN, connections
from .staging import Layout, run

# A master that cannot bind tries again every half second; silence for longer than that means that it has given up.
LAST_WORD = 1.5
PATIENCE = 15
UNIT = "nginx.service"
ERROR_LOG = re.compile(r"^\s*error_log\s+(/\S+?)(?:\s+\w+)?\s*;", re.MULTILINE)
FATAL = r"\[(?:emerg|alert|crit)\]"
LOG_BYTES = 1024 * 1024


class ErrorLog:
    """What nginx writes to its main error log from now on, or its master alone: clients make it write as well."""

    def __init__(self, path: Path, master: int | None) -> None:
        self.path = path
        self._fatal = re.compile(FATAL + (rf" {master}#" if master else ""))
        self.offset = path.stat().st_size if path.exists() else 0

    def fatal(self) -> list[str]:
        """The lines since then that report a failure."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read(LOG_BYTES).decode("utf-8", errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if self._fatal.search(line)]


def main_error_log(layout: Layout, master: int | None = None) -> ErrorLog:
    """The error log that nginx.conf names at its top, Debian's else."""
    match = ERROR_LOG.search(layout.text_of(MAIN))
    return ErrorLog(Path(match[1]) if match else layout.logs / "error.log", master)


class Service:
    """nginx as systemd runs it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def master(self) -> int | None:
        """The process id of the running master; None when nginx is stopped."""
        state = unit_states([UNIT]).get(UNIT, {})
        return int(state["MainPID"]) or None if state.get("ActiveState") in ("active", "reloading") else None

    def is_connected(self) -> bool:
        """Whether any client has a connection to nginx."""
        master = self.master()
        inodes = {*proc.socket_inodes(master)} if master else set()
        rows = list(tcp.sockets())
        ports = {row.local[1] for row in rows if row.listens and row.inode in inodes}
        return any(row.established and row.local[1] in ports for row in rows)

    def test(self) -> str:
        """Tests the files in place as `nginx -t` does; the whole configuration, as nginx prints it."""
        result = run([str(self.layout.binary), "-T"])
        if result.returncode:
            raise StabilityError(f"nginx refuses the files in place:\n{result.stderr.strip()}")
        return result.stdout

    def start(self) -> None:
        log = main_error_log(self.layout)
        result = run(["systemctl", "start", UNIT])
        if result.returncode or self.master() is None:
            self._fail("nginx does not start", log, result.stderr)

    def stop(self) -> None:
        result = run(["systemctl", "stop", UNIT])
        if result.returncode:
            raise StabilityError(f"nginx does not stop: {result.stderr.strip()}")

    def reload(self) -> None:
        """Reloads and waits for proof: workers that were not there before, and none of the old ones serving.

        nginx answers a reload at once and reads its files afterwards. When it cannot use them, the master writes so to
        its error log and goes on with the old workers.
        """
        master = self.master()
        before = set(workers(master)) if master else set()
        log = main_error_log(self.layout, master)
        result = run(["systemctl", "reload", UNIT])
        if result.returncode:
            self._fail("nginx does not reload", log, result.stderr)
        limit = deadline = time.monotonic() + PATIENCE
        complaints: list[str] = []
        while time.monotonic() < deadline:
            serving = set(workers(master)) if master else set()
            if serving and not serving & before:
                return
            if log.fatal() != complaints:
                complaints = log.fatal()
                deadline = min(limit, time.monotonic() + LAST_WORD)
            time.sleep(0.05)
        self._fail("nginx did not take over the new configuration", log, "")

    def activate(self) -> bool:
        """Makes the files in place the running configuration; True when nginx had to be started for it."""
        if self.master() is None:
            self.start()
            return True
        self.reload()
        return False

    def _fail(self, what: str, log: ErrorLog, words: str) -> None:
        details = list(dict.fromkeys(log.fatal())) or [
            words.strip() or f"nothing, neither in {log.path} nor to systemd"
        ]
        raise StabilityError("\n".join([f"{what}. It says:", *details]))


def workers(master: int) -> Iterator[int]:
    """The workers of a master that take connections; those that only finish old ones are left out."""
    for child in proc.children(master):
        title = proc.text(child, "cmdline")
        if title.startswith("nginx: worker process") and "shutting down" not in title:
            yield child


def listeners(port: int) -> set[str]:
    """The names of the programs that listen on a TCP port."""
    inodes = {found.inode for found in tcp.listening(port)}
    if not inodes:
        return set()
    names = {proc.text(pid, "comm") for pid in proc.pids() if inodes & {*proc.socket_inodes(pid)}}
    return names or {"a program outside this host's view"}


def installed_version(layout: Layout) -> str:
    """The version of nginx, such as 1.26.3; nothing where it is not installed."""
    if not layout.binary.exists():
        return ""
    match = re.search(r"nginx/([0-9.]+)", run([str(layout.binary), "-v"]).stderr)
    return match[1] if match else ""


def worker_connections(layout: Layout) -> int:
    """The connections of each worker by nginx.conf; 0 where it does not say."""
    return connections(layout.text_of(MAIN))


def has_ipv6() -> bool:
    """Whether the kernel has IPv6: without it `listen [::]:80` is an error."""
    return Path("/proc/net/if_inet6").exists()


def check_ports(ports: Iterable[int]) -> None:
    """StabilityError when a port is taken by a program other than nginx."""
    for port in ports:
        others = sorted(listeners(port) - {"nginx"})
        if others:
            raise StabilityError(
                f"Port {port} is taken by {', '.join(others)}. Stop that, or give nginx another port. "
                "Nothing was changed."
            )
