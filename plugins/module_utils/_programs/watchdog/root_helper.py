# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of recovery that needs root, and nothing else: a program that systemd starts for one question.

The question is one fixed word on a socket. Only the main process of the watchdog's own unit is answered; but that runs
as the service's user, so it is believed about the service alone. Whether Nginx, which is everybody's, needs a restart,
is judged here, and one restart is for all services of the host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from ..._host import proc
from ..._host.atomic import save_json
from ..._host.command import PLAIN, call, quiet_run
from ..._host.errors import StabilityError
from ..._host.lock import is_locked, lock, lock_table
from ..._host.small_file import read_json
from ..._host.units import LOOK_SECONDS, unit_states, was_stopped
from ..._service.active import DEPLOY_LOCK, PROCESS_LOCK, active_activation, is_unfinished, unit_of
from ..records import decode
from .proxy import BROKEN, Verdict, probe
from .root_client import RENEW_ACTIVATION, RESTART_DAEMON, RESTART_PROXY, TEST_PROXY

_LONGEST_WORD = 64
_WORD_SECONDS = 5.0
_COMMAND_SECONDS = 140.0
_CREDENTIALS = struct.Struct("3i")
_MOST_SHOWN = 600
_MAX_FILE = 65536
# More than a sensible budget: should the service's user speak through the watchdog, which runs as that user. Those
# of Nginx are counted over all services of the host.
_MOST_RESTARTS, _WINDOW = 20, 900.0
# So long Nginx's last restart counts as an answer to whoever asks for one.
_SETTLING_SECONDS = 20.0
_LOCK_SECONDS = 30.0
_NOT_ITS_OWN = "the unit is not this watchdog's to restart"
# So long Nginx may leave a connection waiting.
_PROBE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Helper:
    """What the helper of one service may restart, and for whom; a unit of PM2's without a name it may not."""

    watchdog_unit: str
    pm2_unit: str
    """Of a service of these roles the template of the activations' units."""
    renewal_unit: str
    """What makes another activation of the active release; empty where there are no activations."""
    active: str
    """The link to the active activation's directory."""
    proxy_unit: str
    restarts_proxy: bool
    """False for an empty argument."""
    url: str
    """Where Nginx is asked; empty where there is none to watch."""
    host_name: str
    own: Path
    """Where its restarts are noted: of this service alone."""
    shared: Path
    """And those of Nginx: of all services of the host."""
    proxy_main: int = 0
    """Nginx's main process, as systemd knows it; 0 for none."""


def run(**arguments: str) -> None:
    """Answer the one question on standard input, which is the connection's socket. The arguments are Helper's."""
    helper = decode(Helper, arguments)
    with socket.socket(fileno=os.dup(0)) as connection:
        try:
            states = unit_states([helper.watchdog_unit, helper.proxy_unit], LOOK_SECONDS)
            require_peer(connection, helper.watchdog_unit, _main_pid(states, helper.watchdog_unit))
            word = read_word(connection)
            helper = dataclasses.replace(helper, proxy_main=_main_pid(states, helper.proxy_unit))
            answer = f"ok {carry_out(word, helper)}"
        except StabilityError as error:
            answer = f"error {error}"
        except OSError as error:
            answer = f"error {error.filename}: {error.strerror}"
        # whoever asked may not have waited; and a word that is left unread would take the answer with it
        with contextlib.suppress(OSError):
            connection.sendall(" ".join(answer.split()).encode()[:_MOST_SHOWN] + b"\n")
            connection.setblocking(False)
            connection.recv(_LONGEST_WORD)


def require_peer(connection: socket.socket, unit: str, main_pid: int) -> None:
    """Raises StabilityError unless the other end is that unit's main process."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _uid, _gid = _CREDENTIALS.unpack(raw)
    if not main_pid or pid != main_pid:
        raise StabilityError(f"only {unit} itself is answered")


def read_word(connection: socket.socket) -> str:
    """Raises StabilityError."""
    connection.settimeout(_WORD_SECONDS)
    try:
        with connection.makefile("rb") as file:
            word = file.readline(_LONGEST_WORD)
    except OSError as error:
        raise StabilityError("no word came") from error
    return word.decode("ascii", "replace").strip()


def carry_out(word: str, helper: Helper) -> str:
    """Raises StabilityError."""
    words: Mapping[str, Callable[[], str]] = {
        TEST_PROXY: lambda: _tested(helper),
        RESTART_PROXY: lambda: _restart_proxy(helper),
        RENEW_ACTIVATION: lambda: _renew_activation(helper),
        RESTART_DAEMON: lambda: _restart_daemon(helper),
    }
    if word not in words:
        raise StabilityError(f"{word!r} is none of {', '.join(words)}")
    return words[word]()


def _restart_daemon(helper: Helper) -> str:
    restarts = helper.own / "restarts.json"
    if not helper.renewal_unit:
        return _restart(helper.pm2_unit, restarts)
    directory = Path(helper.active).parent
    # what is active is no other one before its unit runs again
    with lock(directory / PROCESS_LOCK, StabilityError("a deployment is exchanging the processes")):
        deploys = is_locked(lock_table(), [directory / DEPLOY_LOCK])
        unit = unit_of(helper.pm2_unit, active_activation(helper.active))
        return _restart(unit, restarts, was_left=is_unfinished(helper.active) and not deploys)


def _renew_activation(helper: Helper) -> str:
    if not helper.renewal_unit:
        raise StabilityError(_NOT_ITS_OWN)
    _require_not_stopped(unit_of(helper.pm2_unit, active_activation(helper.active)))
    count(helper.own / "restarts.json")
    call("systemctl", "start", "--no-block", helper.renewal_unit, seconds=_COMMAND_SECONDS)
    return f"{helper.renewal_unit} makes another activation of the release"


def _tested(helper: Helper) -> str:
    """One word for what Nginx needs, and why: as probe has it, or broken where it could not be started."""
    verdict = _judge(helper)
    problem = proxy_problem() if verdict.needs_restart else ""
    return f"{BROKEN} {problem}" if problem else f"{verdict.state} {verdict.message}"


def _judge(helper: Helper) -> Verdict:
    return probe(helper.url, helper.host_name, helper.proxy_unit, helper.proxy_main, _PROBE_SECONDS)


def proxy_problem() -> str:
    """What Nginx finds wrong with its configuration; empty when nothing."""
    done = _command(["/usr/sbin/nginx", "-t", "-q"])
    lines = [line for line in done.stderr.splitlines() if "[emerg]" in line or "[crit]" in line]
    return "" if done.returncode == 0 else "; ".join(lines) or done.stderr or "nginx -t failed"


def _restart_proxy(helper: Helper) -> str:
    """Once for all who ask at the same time, and only what root itself finds dead or hung."""
    if not helper.restarts_proxy:
        raise StabilityError(_NOT_ITS_OWN)
    busy = StabilityError("another service's watchdog is at it")
    with lock(helper.shared / "lock", busy, seconds=_LOCK_SECONDS):
        restarts = helper.shared / "restarts.json"
        since = proc.uptime() - max(recent(restarts), default=float("-inf"))
        if since < _SETTLING_SECONDS:
            return f"{helper.proxy_unit} was restarted already, {since:.0f} s ago"
        verdict = _judge(helper)
        if not verdict.needs_restart:
            raise StabilityError(f"{helper.proxy_unit} needs no restart: {verdict.message}")
        if problem := proxy_problem():
            raise StabilityError(f"Nginx would not start with its configuration: {problem}")
        return _restart(helper.proxy_unit, restarts)


def _restart(unit: str, restarts: Path, was_left: bool = False) -> str:
    """What hangs does not stop when asked to: all processes of the unit are killed first.

    `was_left`: a deployment that was killed may have stopped it, and not an operator.
    """
    if not unit:
        raise StabilityError(_NOT_ITS_OWN)
    if not was_left:
        _require_not_stopped(unit)
    count(restarts)
    _command(["systemctl", "kill", "--signal=KILL", "--kill-whom=all", unit])
    call("systemctl", "restart", unit, seconds=_COMMAND_SECONDS)
    return f"restarted {unit}"


def _require_not_stopped(unit: str) -> None:
    """Asked once more, at the last moment and of systemd itself: the watchdog may have asked before."""
    if was_stopped(unit_states([unit], LOOK_SECONDS).get(unit, {})):
        raise StabilityError(f"{unit} was stopped by an operator; start it with systemctl")


def recent(path: Path) -> list[float]:
    """When there were restarts within the window, in seconds since boot. Raises StabilityError."""
    now = proc.uptime()
    try:
        return [moment for moment in map(float, read_json(path, _MAX_FILE)) if 0 <= now - moment < _WINDOW]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise StabilityError(f"{path} can't be read: {error}") from error


def count(path: Path) -> None:
    """Note one more restart. Raises StabilityError when there were too many, or where that can't be kept."""
    before = recent(path)
    if len(before) >= _MOST_RESTARTS:
        raise StabilityError(f"there were {len(before)} restarts within {_WINDOW / 60:g} minutes: no more for now")
    try:
        save_json(path, [*before, proc.uptime()])
    except OSError as error:
        raise StabilityError(f"{path} can't be written: {error.strerror}") from error


def _main_pid(states: Mapping[str, Mapping[str, str]], unit: str) -> int:
    return int(states.get(unit, {}).get("MainPID") or 0)


def _command(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return quiet_run(argv, _COMMAND_SECONDS, PLAIN)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StabilityError(f"{argv[0]}: {error}") from error
