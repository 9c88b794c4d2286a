# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs: the host's own for what they say, others in a clean environment, with a time limit and as another user.

What runs as that user can also be a part of this process, for a moment. The time limit of a build is kept by
coreutils' timeout(1), not only by this process: one whose Ansible module was killed still ends by itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import select
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import StabilityError

# For what is to say and to do the same whoever runs it, however.
PLAIN = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_PROGRAM_SECONDS = 120.0
_TIMED_OUT = 124
_GRACE = 10
# Of what a program says; more is left out, or an error where all of it is wanted.
_LARGEST_TEXT = 16 * 1024 * 1024
_CHUNK = 65536


class CommandError(StabilityError):
    """The program failed; the message says which one, how, and the last lines it wrote. output is all that it wrote."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


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


class _Kept(subprocess.Popen[bytes]):
    """The first process of a session of its own. When it has ended it stays in the process table until end_group().

    Until then nothing else gets its number, which is also its group's: what is sent to that meets nobody else.
    """

    def poll(self) -> int | None:
        if self.returncode is None:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found:
                self.returncode = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        status = self.poll()
        if status is None:
            self._await_end(timeout)
            status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _await_end(self, timeout: float | None) -> None:
        """Without polling, as Popen does it: a descriptor can be waited for with a time limit."""
        descriptor = os.pidfd_open(self.pid)
        try:
            ends = select.poll()
            ends.register(descriptor, select.POLLIN)
            ends.poll(None if timeout is None else timeout * 1000)
        finally:
            os.close(descriptor)

    def end_group(self) -> None:
        """What the program left running in its group (a build server, a watcher) must not outlive it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        # Popen.wait does nothing where the status is known, and takes a lock that a signal may have left taken.
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def run(
    argv: Sequence[str | Path],
    *,
    cwd: str | Path,
    environment: Mapping[str, str],
    timeout: int,
    identity: Identity | None = None,
    keep_open: Sequence[int] = (),
    lines: int = 40,
) -> str:
    """Run argv and return all it wrote (both streams together), or the last 16 MiB of that.

    timeout is in seconds. keep_open are file descriptors the program inherits (a lock, so that it stays held while
    the program runs on). Raises CommandError with the last `lines` lines of output.
    """
    name = " ".join(map(str, argv[:4]))
    with tempfile.TemporaryFile() as output:
        try:
            process = _Kept(
                ["/usr/bin/timeout", "--kill-after=5", str(timeout), *argv],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o027 if identity else 0o022,
                pass_fds=tuple(keep_open),
                **as_user(identity),
            )
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}: {error.filename}") from error
        status = _wait(process, timeout + _GRACE)
        # whoever writes without end takes no memory with it
        output.seek(max(0, output.seek(0, os.SEEK_END) - _LARGEST_TEXT))
        text = output.read(_LARGEST_TEXT).decode("utf-8", "replace")
    if status == 0:
        return text
    raise CommandError(f"{name} {_reason(status, timeout)}.{_tail(text, lines)}", text)


def _wait(process: _Kept, seconds: int) -> int:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return _TIMED_OUT
    finally:
        process.end_group()


def _reason(status: int, timeout: int) -> str:
    if status == _TIMED_OUT:
        return f"was stopped after its time limit of {timeout} s"
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "was killed (by the kernel when the host runs out of memory, or by the time limit)"
    return f"failed with exit status {status}"


def _tail(text: str, lines: int) -> str:
    kept = text.rstrip().splitlines()[-lines:]
    return " Its last lines:\n" + "\n".join(kept) if kept else " It wrote nothing."


@contextlib.contextmanager
def running(
    program: Program, stdin: int | IO[bytes] | None, stdout: int | IO[bytes], stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program, whose session is killed when the block ends. Raises OSError where it can't be started."""
    process = _Kept(
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
