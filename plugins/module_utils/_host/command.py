# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs: the host's own for what they say, others in a clean environment, with a time limit and as another user.

What runs as that user can also be a part of this process, for a moment. The time limit of a command is kept by
coreutils' timeout(1), not only by this process: one whose Ansible module was killed still ends by itself. What others
have written, such as a build, also gets a scope of systemd, which ends whatever it has forked off.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import re
import secrets
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import proc
from .errors import StabilityError
from .kept import Kept

# For what is to say and to do the same whoever runs it, however.
PLAIN = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_PROGRAM_SECONDS = 120.0
_TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
_GRACE = 10
# It is there where systemd manages the host: sd_booted(3).
_SYSTEMD = Path("/run/systemd/system")
_STOP_SECONDS = 60.0
_STDOUT = 1
# What the program is given is handed over once the user's rights are all that is left: neither a unit's description nor
# `ps` shows a secret in it, and no variable of the service's, such as LD_PRELOAD, works upon a program that is root's.
_HAND_OVER = """import json, os
with open(0, closefd=False) as file:
    argv, environment = json.load(file)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.execve(argv[0], argv, environment)"""
# Of what a program says; more is left out, or an error where all of it is wanted.
_LARGEST_TEXT = 16 * 1024 * 1024
_CHUNK = 65536


class CommandError(StabilityError):
    """The program failed; the message says which one, how, and the last lines it wrote. output is all that it wrote."""

    def __init__(self, message: str, output: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.output = output
        self.status = status

    def advised(self, variable: str, seconds: int, memory: str = "") -> CommandError:
        """Return it with what to do where a limit ended the program: that variable's, of so many seconds, or memory."""
        if self.status == _TIMED_OUT:
            advice = f"The limit is {variable} ({seconds} s): raise it where the registry or the host is slow."
        elif self.status == _KILLED:
            total = proc.memory_mb("MemTotal")
            advice = (
                f"The host has {total} MB of memory: give it more, or swap{memory}. The limit of its time, {variable}"
                f" ({seconds} s), was not reached."
            )
        else:
            return self
        return CommandError(f"{self}\n{advice}", self.output, self.status)


@dataclass(frozen=True)
class Identity:
    """A user to run as."""

    name: str
    uid: int
    gid: int
    home: str

    @classmethod
    def of(cls, name: str) -> Identity:
        """The user of that name; KeyError where the host has none."""
        entry = pwd.getpwnam(name)
        return cls(name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def is_program(path: str | Path) -> bool:
    """Whether a file is there that can be run: what has the bit for it may be a directory as well."""
    return Path(path).is_file() and os.access(path, os.X_OK)


def as_user(user: Identity | None) -> dict[str, Any]:
    """What subprocess has to be given to run as that user, with its group alone; nothing for None."""
    return {"user": user.uid, "group": user.gid, "extra_groups": [user.gid]} if user else {}


@dataclass(frozen=True)
class Scopes:
    """Where systemd keeps the processes of commands together that one run at a time has for one purpose.

    What a command forks off can leave its group and session, but not its scope.
    """

    prefix: str
    """The units' names but for eight digits of their own."""
    description: str
    """For people; everybody on the host can read it."""

    @classmethod
    def of(cls, purpose: str, directory: Path, description: str) -> Scopes:
        """For `purpose`, such as `build`, of the service in that directory."""
        # no two directories have the same name here: one would end the other's
        place = re.sub("[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", str(directory))
        return cls(f"{purpose}:{place}:", description)

    def command(self, unit: str, identity: Identity, seconds: int) -> list[str]:
        """Words before those of a program: it runs as that user, within the unit, and ends when its parent does."""
        return [
            *("systemd-run", "--scope", "--quiet", "--collect", f"--unit={unit}", f"--description={self.description}"),
            *(f"--property=RuntimeMaxSec={seconds}", "--property=KillSignal=SIGKILL", "--"),
            *("setpriv", f"--reuid={identity.uid}", f"--regid={identity.gid}", f"--groups={identity.gid}"),
            *("--pdeathsig=TERM", "/usr/bin/python3", "-I", "-c", _HAND_OVER),
        ]

    def unit(self) -> str:
        """The name of another one."""
        return f"{self.prefix}{secrets.token_hex(4)}.scope"

    def end_left(self) -> list[str]:
        """End what earlier runs have left running; its descriptions. Only for whoever is the one run of now."""
        if not _SYSTEMD.is_dir():
            return []
        pattern = f"{self.prefix}{'?' * 8}.scope"
        found = json.loads(call("systemctl", "list-units", "--output=json", "--no-pager", "--", pattern))
        for unit in found:
            end_scope(unit["unit"])
        return [str(unit["description"]) for unit in found]


def left_running(description: str) -> str:
    """Return what a person is told of one that end_left() has ended."""
    return f"The {description}, of a run that was interrupted, still went on, and was ended."


def end_scope(unit: str) -> None:
    """Kill all that is left in it. One of which nothing is left is not known to systemd any more."""
    # systemd goes on where a process is slow to die
    with contextlib.suppress(subprocess.TimeoutExpired):
        quiet_run(["systemctl", "stop", "--", unit], _STOP_SECONDS, PLAIN)


@dataclass(frozen=True)
class Program:
    """What is run, as whom; without an identity as whoever runs this."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    identity: Identity | None = None


@contextlib.contextmanager
def effective_user(user: Identity | None) -> Iterator[None]:
    """Look at the host, and connect, as that user for a moment; only root can, for all others this does nothing.

    Root's own groups go as well: with them the user would reach what is open to a group of root's.
    """
    if user is None or os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(user.name, user.gid) if user.name else [user.gid])
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def quiet_run(
    argv: Sequence[str],
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one of the host's own programs to its end, for what it says; the caller knows no AnsibleModule.

    Return the exit status and what the program wrote; without an environment it has that of this process.

    Raises OSError where there is no such program, and TimeoutExpired of subprocess after as many seconds.
    """
    done = bounded_run(argv, timeout, stdin.encode(), cwd=cwd, env=environment)
    texts = (_as_text(stream) for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(argv, done.returncode, *texts)


def _as_text(written: bytes) -> str:
    return written.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def bounded_run(
    argv: Sequence[str], seconds: float | None, stdin: bytes = b"", **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, as subprocess.run does: what it writes without end takes no memory of this process.

    Raises OSError, also where it writes more than 16 MiB, and TimeoutExpired of subprocess after as many seconds; then
    it is killed.
    """
    with contextlib.ExitStack() as held:
        given: IO[bytes] | int = subprocess.DEVNULL
        if stdin:
            given = held.enter_context(os.fdopen(os.memfd_create("stdin"), "r+b"))
            given.write(stdin)
            given.seek(0)
        process = held.enter_context(
            subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # as another user it has no part in root's terminal
                start_new_session=True,
                **options,
            )
        )
        try:
            return _run_to_end(process, seconds)
        except BaseException:
            process.kill()
            raise


def _run_to_end(process: subprocess.Popen[bytes], seconds: float | None) -> subprocess.CompletedProcess[bytes]:
    end = None if seconds is None else time.monotonic() + seconds
    written = {stream.fileno(): bytearray() for stream in (process.stdout, process.stderr) if stream}
    with selectors.DefaultSelector() as streams:
        for descriptor in written:
            streams.register(descriptor, selectors.EVENT_READ)
        while streams.get_map():
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(process.args, seconds or 0, *map(bytes, written.values()))
            for key, _events in streams.select(left):
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    streams.unregister(key.fd)
                written[key.fd] += chunk
                if len(written[key.fd]) > _LARGEST_TEXT:
                    raise OSError(errno.EFBIG, f"it wrote more than {_LARGEST_TEXT} bytes")
    status = process.wait(None if end is None else max(0.0, end - time.monotonic()))
    return subprocess.CompletedProcess(process.args, status, *map(bytes, written.values()))


def call(*command: str, seconds: float = _PROGRAM_SECONDS) -> str:
    """What one of the host's own programs printed. Raises StabilityError with its words."""
    name = " ".join(command)
    try:
        done = quiet_run(command, seconds, PLAIN)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StabilityError(f"{name}: {error}") from error
    if done.returncode:
        raise StabilityError(f"{name}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout


def clean_environment(home: str | Path, bin_directory: str | Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a program needs and nothing of the caller's shell: a build must give the same result whoever starts it."""
    environment = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": f"{bin_directory}:/usr/local/bin:/usr/bin:/bin",
    }
    environment.update({name: value for name, value in extra.items() if value})
    return environment


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The play's proxy settings, the only part of the caller's environment that an install or a build needs."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    return {name: environment.get(name) or environment.get(name.upper(), "") for name in names}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: str | Path,
    environment: Mapping[str, str],
    timeout: int,
    identity: Identity | None = None,
    scopes: Scopes | None = None,
    attended: bool = False,
    lines: int = 40,
) -> str:
    """Run argv and return all it wrote (both streams together), or the last 16 MiB of that.

    timeout is in seconds. With `scopes` all that it starts ends with it, wherever that has gone. What is `attended`
    also ends when nobody reads this process's output any more: the controller, or the connection to it, is gone.
    Raises CommandError with the last `lines` lines of output.
    """
    name, began = " ".join(map(str, argv[:4])), time.monotonic()
    with tempfile.TemporaryFile() as output, contextlib.ExitStack() as ended:
        words = ["/usr/bin/timeout", "--kill-after=5", str(timeout), *map(str, argv)]
        how: dict[str, Any] = {"env": dict(environment), "stdin": subprocess.DEVNULL, **as_user(identity)}
        if scopes and identity and _SYSTEMD.is_dir():
            how = {"env": PLAIN, "stdin": ended.enter_context(_in_memory([words, dict(environment)]))}
            unit = scopes.unit()
            words = scopes.command(unit, identity, timeout + 2 * _GRACE)
            ended.callback(end_scope, unit)
        try:
            process = Kept(
                words,
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o027 if identity else 0o022,
                **how,
            )
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}: {error.filename}") from error
        try:
            if process.await_end(timeout + _GRACE, _STDOUT if attended else None):
                raise CommandError(f"{name} was ended: the controller of this run, or its connection, is gone.")
            status = process.poll()
            status = _TIMED_OUT if status is None else status
        finally:
            process.end_group()
        ended.close()
        # whoever writes without end takes no memory with it
        output.seek(max(0, output.seek(0, os.SEEK_END) - _LARGEST_TEXT))
        text = output.read(_LARGEST_TEXT).decode("utf-8", "replace")
    if status == 0:
        return text
    if status in (-signal.SIGKILL, _KILLED):
        # timeout(1) kills what does not end when it is told to
        status = _TIMED_OUT if time.monotonic() - began >= timeout else _KILLED
    raise CommandError(f"{name} {_reason(status, timeout)}.{_tail(text, lines)}", text, status)


@contextlib.contextmanager
def _in_memory(content: object) -> Iterator[IO[bytes]]:
    """A file that has it as JSON, and no name."""
    with os.fdopen(os.memfd_create("words"), "w+b") as file:
        file.write(json.dumps(content).encode())
        file.seek(0)
        yield file


def _reason(status: int, timeout: int) -> str:
    if status == _TIMED_OUT:
        return f"was stopped after its time limit of {timeout} s"
    if status == _KILLED:
        return "was killed (by the kernel when the host runs out of memory)"
    return f"failed with exit status {status}"


def _tail(text: str, lines: int) -> str:
    kept = text.rstrip().splitlines()[-lines:]
    return " Its last lines:\n" + "\n".join(kept) if kept else " It wrote nothing."


@contextlib.contextmanager
def running(
    program: Program, stdin: int | IO[bytes] | None, stdout: int | IO[bytes], stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program, whose session is killed when the block ends. Raises OSError where it can't be started."""
    process = Kept(
        program.argv,
        cwd="/",
        env=dict(program.environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        # as another user it has no part in root's terminal
        start_new_session=True,
        umask=0o027,
        **as_user(program.identity),
    )
    try:
        yield process
    finally:
        process.end_group()


def text_of(file: IO[bytes]) -> str:
    """What a program wrote into it, from its beginning; bytes that are no UTF-8 are replaced."""
    file.seek(0)
    return file.read(_LARGEST_TEXT).decode("utf-8", "replace")
