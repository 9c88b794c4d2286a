# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of recovery that needs root, and nothing else: a program that systemd starts for one question.

The question is one fixed word on a socket. Only processes of the watchdog's own unit are answered.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from . import _boot_clock as boot_clock
from ._processes import ProcessError, unit_states, was_stopped
from ._quiet_run import PLAIN, quiet_run
from ._state_file import save_json
from ._watch_ask import RESTART_DAEMON, RESTART_PROXY, TEST_PROXY

_LONGEST_WORD = 64
_WORD_SECONDS = 5.0
_COMMAND_SECONDS = 140.0
_CREDENTIALS = struct.Struct("3i")
_MOST_SHOWN = 600
_SYSTEM = "/system.slice/"
# More than a sensible budget: should somebody else speak through the watchdog, which is the service's own user.
_MOST_RESTARTS, _WINDOW = 20, 900.0


class RefusedError(Exception):
    """It was not done; the message says why."""


def run(watchdog_unit: str, pm2_unit: str, proxy_unit: str) -> None:
    """Answer the one question on standard input, which is the connection's socket."""
    with socket.socket(fileno=os.dup(0)) as connection:
        try:
            require_peer(connection, watchdog_unit)
            word = read_word(connection)
            answer = f"ok {carry_out(word, pm2_unit, proxy_unit)}"
        except RefusedError as error:
            answer = f"error {error}"
        connection.sendall(" ".join(answer.split()).encode()[:_MOST_SHOWN] + b"\n")


def require_peer(connection: socket.socket, unit: str) -> None:
    """Raises RefusedError unless the other end is a process of that unit."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _uid, _gid = _CREDENTIALS.unpack(raw)
    try:
        own, other = (Path(f"/proc/{who}/cgroup").read_text(errors="replace") for who in ("self", pid))
    except OSError:
        own = other = ""
    if not is_in_unit(unit, own, other):
        raise RefusedError(f"only {unit} is answered")


def is_in_unit(unit: str, own: str, other: str) -> bool:
    """Whether a process is in that unit of the system's, by its /proc/<pid>/cgroup beside this one's `own`.

    The whole path counts: every user can give a unit of a user manager the same name.
    """
    ours, theirs = _groups(own), _groups(other)
    wanted = {
        name: f"{above}{_SYSTEM}{unit}"
        for name, path in ours.items()
        for above, found, _own in [path.rpartition(_SYSTEM)]
        if found
    }
    return bool(wanted) and all(theirs.get(name) == path for name, path in wanted.items())


def _groups(text: str) -> dict[str, str]:
    """Path by hierarchy: one on hosts of today, one for each controller on older ones."""
    return dict(re.findall(r"^\d+:(|name=systemd):(.*)$", text, re.MULTILINE))


def read_word(connection: socket.socket) -> str:
    """Raises RefusedError."""
    connection.settimeout(_WORD_SECONDS)
    word = b""
    try:
        while not word.endswith(b"\n") and len(word) < _LONGEST_WORD:
            chunk = connection.recv(_LONGEST_WORD - len(word))
            if not chunk:
                break
            word += chunk
    except OSError as error:
        raise RefusedError("no word came") from error
    return word.decode("ascii", "replace").strip()


def carry_out(word: str, pm2_unit: str, proxy_unit: str) -> str:
    """Raises RefusedError."""
    words: Mapping[str, Callable[[], str]] = {
        TEST_PROXY: proxy_problem,
        RESTART_PROXY: lambda: _restart_proxy(proxy_unit),
        RESTART_DAEMON: lambda: _restart(pm2_unit),
    }
    if word not in words:
        raise RefusedError(f"{word!r} is none of {', '.join(words)}")
    return words[word]()


def proxy_problem() -> str:
    """What Nginx finds wrong with its configuration; empty when nothing."""
    done = _command(["/usr/sbin/nginx", "-t", "-q"])
    lines = [line for line in done.stderr.splitlines() if "[emerg]" in line or "[crit]" in line]
    return "" if done.returncode == 0 else "; ".join(lines) or done.stderr or "nginx -t failed"


def _restart_proxy(unit: str) -> str:
    problem = proxy_problem()
    if problem:
        raise RefusedError(f"Nginx would not start with its configuration: {problem}")
    return _restart(unit)


def _restart(unit: str) -> str:
    """What hangs does not stop when asked to: all processes of the unit are killed first."""
    if not unit:
        raise RefusedError("the unit is not this watchdog's to restart")
    if _is_stopped(unit):
        raise RefusedError(f"{unit} was stopped by somebody; start it with systemctl")
    count(Path(os.environ.get("RUNTIME_DIRECTORY", "/nonexistent")) / "restarts.json")
    _command(["systemctl", "kill", "--signal=KILL", "--kill-whom=all", unit])
    done = _command(["systemctl", "restart", unit])
    if done.returncode != 0:
        raise RefusedError(f"systemctl restart {unit}: {done.stderr or done.returncode}")
    return f"restarted {unit}"


def count(path: Path) -> None:
    """Note one more restart. Raises RefusedError when there were too many, or where that can't be kept."""
    now = boot_clock.now()
    try:
        before = [float(moment) for moment in json.loads(path.read_text())] if path.exists() else []
        recent = [moment for moment in before if 0 <= now - moment < _WINDOW]
        if len(recent) >= _MOST_RESTARTS:
            raise RefusedError(f"there were {len(recent)} restarts within {_WINDOW / 60:g} minutes: no more for now")
        save_json(path, [*recent, now])
    except OSError as error:
        raise RefusedError(f"{path} can't be written: {error.strerror}") from error


def _is_stopped(unit: str) -> bool:
    """Asked once more, at the last moment and of systemd itself: the watchdog may have looked before."""
    try:
        state = unit_states([unit]).get(unit, {})
    except ProcessError as error:
        raise RefusedError(str(error)) from error
    return was_stopped(state)


def _command(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return quiet_run(argv, _COMMAND_SECONDS, PLAIN)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError(f"{argv[0]}: {error}") from error
