# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Talking to one PM2 daemon: as its own user, in a clean environment, never for longer than agreed."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._host import proc
from .._host.command import Identity, bounded_run, effective_user, is_program
from .._host.lock import acquire
from .._host.service_tree import read
from .._host.units import UnitError, unit_states
from .errors import Pm2BusyError, Pm2Error
from .process import Pm2Process

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
# What a daemon that is well needs for a connection and for an answer, however busy the host is.
_CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 30.0
_PID_BYTES = 32
# A daemon has 70 after its start, and is known to leak. People are told by `daemon_mb` of the role diagnostics.
_GROWN_MB = 256
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# /proc/<pid>/cgroup: the innermost service; one that systemd starts for a login is nobody's PM2 unit
_UNIT = re.compile(r"/((?!user@)[^/\n]+\.service)(?=/[^/\n]*$|$)", re.MULTILINE)


@dataclass(frozen=True)
class Pm2Client:
    home: Path
    pm2: str
    node: str
    user: str | None
    timeout: float

    @classmethod
    def below(cls, binaries: str, home: str, timeout: float, user: str | None = None) -> Pm2Client:
        """The one whose pm2 and node are in the same directory, as the roles install them."""
        return cls(Path(home), f"{binaries}/pm2", f"{binaries}/node", user, timeout)

    @property
    def environment(self) -> dict[str, str]:
        """All that PM2 sees: what the caller's shell holds would end up in every process and in dump.pm2."""
        directories = dict.fromkeys((str(Path(self.node).parent), str(Path(self.pm2).parent), *SYSTEM_PATH))
        return {
            "HOME": self._user_home(),
            "LANG": "C.UTF-8",
            "PATH": ":".join(directories),
            "PM2_HOME": str(self.home),
            # no banner, and no question to the vendor's server whether there is a newer version
            "PM2_DISCRETE_MODE": "true",
            "PM2_DISABLE_VERSION_CHECK": "true",
        }

    def _user_home(self) -> str:
        try:
            return self.owner.home if self.owner else pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            # a bare host in check mode: the user is made later in the same run
            return str(self.home.parent)

    @property
    def owner(self) -> Identity | None:
        """As whom root looks at the daemon's files; None where it is whoever runs this. KeyError without that user."""
        return None if self.user is None else Identity.of(self.user)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Pm2Client:
        """From a module's options, as the documentation fragments `pm2` and `pm2.timeout` have them."""
        return cls(Path(options["pm2_home"]), options["pm2"], options["node"], options["user"], options["timeout"])

    @property
    def missing(self) -> str:
        """Why PM2 cannot be called at all; empty when it can."""
        for label, path in (("PM2", self.pm2), ("Node.js", self.node)):
            if not is_program(path):
                return f"{label} is not installed: {path} is not there or not executable"
        if self.user is not None:
            try:
                pwd.getpwnam(self.user)
            except KeyError:
                return f"user {self.user} does not exist on this host"
        return ""

    def daemon_pid(self) -> int | None:
        """The running daemon's process id. Any pm2 command would start a daemon of its own if there were none."""
        try:
            owner = self.owner
            pid = int(read(self.home / "pm2.pid", _PID_BYTES, owner))
        except (OSError, ValueError, KeyError):
            return None
        # the file may be left over and its number reused by another program; the service may name any process in it
        foreign = owner is not None and proc.user(pid) != owner.uid
        return pid if "God Daemon" in proc.text(pid, "cmdline") and not foreign else None

    def require_daemon(self) -> int:
        """The daemon's process id. Raises Pm2Error when there is none or it does not take connections.

        Any pm2 command would start a second daemon beside one that it cannot reach.
        """
        pid = self.daemon_pid()
        if pid is None:
            raise Pm2Error(
                f"no PM2 daemon runs for {self.home}: start the systemd unit that owns it. A daemon started from here"
                " would live in this login session and be gone after a reboot"
            )
        if _is_stopped(pid):
            raise Pm2Error(
                f"PM2's daemon (process {pid}) was stopped by a signal and answers nothing:"
                f" continue it (kill -CONT {pid}) or {restart_advice(pid)}"
            )
        path = self.home / "rpc.sock"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, effective_user(self.owner):
                connection.settimeout(_CONNECT_SECONDS)
                connection.connect(str(path))
        except OSError as error:
            reason = error.strerror or "no answer"
            raise Pm2Error(
                f"PM2's daemon (process {pid}) can't be reached at {path}: {reason}; {restart_advice(pid)}"
            ) from error
        return pid

    def outdated_node(self) -> bool:
        """Cluster workers run under the daemon's own Node.js, whatever has been installed since."""
        pid = self.daemon_pid()
        # inside a container root may not look into another user's process; the user itself may
        running = self.said(["/usr/bin/readlink", f"/proc/{pid}/exe"], ANSWER_SECONDS) if pid else ""
        return running not in ("", str(Path(self.node).resolve()))

    def run(self, *arguments: str, stops: Iterable[Pm2Process] = ()) -> None:
        """One pm2 command that changes something. Raises Pm2Error when it fails or takes too long.

        `stops` are the processes that it stops, perhaps one after the other: each may take its time to end.
        """
        self.require_daemon()
        limit = self.stop_limit(stops)
        try:
            done = self.as_user([self.pm2, *arguments], limit)
        except subprocess.TimeoutExpired as error:
            raise Pm2Error(f"`pm2 {' '.join(arguments)}` did not finish within {limit:g} s") from error
        except OSError as error:
            raise Pm2Error(f"{self.pm2} cannot be run: {error}") from error
        if done.returncode != 0:
            output = _COLOURS.sub("", (done.stdout + done.stderr).decode(errors="replace"))
            raise Pm2Error(f"`pm2 {' '.join(arguments)}` failed: {_last_lines(output)}")

    def stop_limit(self, processes: Iterable[Pm2Process]) -> float:
        """Seconds within which a command must have stopped these processes."""
        return self.timeout + sum(process.stop_seconds for process in processes)

    def as_user(self, argv: Sequence[str], limit: float, cwd: str = "/") -> subprocess.CompletedProcess[bytes]:
        """Any program as the daemon's user, in PM2's environment. Raises OSError and subprocess.TimeoutExpired."""
        user = self.owner if os.getuid() == 0 else None
        # what ends this run's terminal or group does not end a command in the middle: it has a session of its own
        return bounded_run(
            argv,
            limit,
            cwd=cwd,
            env=self.environment,
            umask=0o007,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=os.getgrouplist(user.name, user.gid) if user else None,
        )

    def said(self, argv: Sequence[str], limit: float) -> str:
        """What a program says as the daemon's user; "" where it fails or takes longer than `limit` seconds."""
        try:
            done = self.as_user(argv, limit)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""

    @contextmanager
    def lock(self, seconds: float = 0.0) -> Iterator[None]:
        """One run at a time for one PM2 home. Raises Pm2BusyError where another one still has it after `seconds`.

        A module waits for as long as a command may take: a step of the watchdog is no reason to fail.
        """
        with effective_user(self.owner):
            descriptor = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not acquire(descriptor, seconds=seconds):
                raise Pm2BusyError(f"another run is changing the processes of {self.home}; wait until it is done")
            yield
        finally:
            os.close(descriptor)


def grown(size: int) -> str:
    """What is wrong with a daemon of that many MB; empty when nothing."""
    return f"PM2 has grown to {size} MB" if size > _GROWN_MB else ""


def unit_of(pid: int) -> str:
    """The systemd service whose main process this is; empty when there is none."""
    try:
        unit = unit_in(proc.text(pid, "cgroup"))
        # a daemon that was started by hand belongs to the login's service, which is not to be restarted for it
        owns = unit and unit_states([unit])[unit]["MainPID"] == str(pid)
    except (UnitError, KeyError):
        return ""
    return unit if owns else ""


def unit_in(cgroup: str) -> str:
    """The innermost service that the text of /proc/<pid>/cgroup names."""
    found = _UNIT.search(cgroup)
    return found[1] if found else ""


def restart_advice(pid: int) -> str:
    unit = unit_of(pid)
    return f"restart its unit (systemctl restart {unit})" if unit else "end it and start the unit that owns it"


def _is_stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal (states T and t of /proc/<pid>/stat)."""
    found = proc.stat(pid)
    return found is not None and found.state in ("T", "t")


def _last_lines(text: str, count: int = 5) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "no output"
