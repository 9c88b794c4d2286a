# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgBackRest, which makes the backups of a server and restores them: its commands, and what is in the repository.

Its settings are in its own file. It runs as the server's user, or on a repository host as the repository's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .._host.command import PLAIN, Program, quiet_run, running, text_of
from .._host.errors import StabilityError

PROGRAM = "/usr/bin/pgbackrest"
# It ends by its own time limits, where it waits; a backup takes as long as it takes.
_ASK_SECONDS = 120.0
# Its words go where only errors are expected; there is no place for its log.
_QUIET = ("--log-level-console=off", "--log-level-stderr=warn")
# "P00  ERROR: [055]: ", and the module names of its own code
_PREFIX = re.compile(r"^P\d+\s+", re.MULTILINE)
_NOTHING_THERE = (1, 2, 3)
_UNREADABLE = ("[FormatError]", "[CryptoError]", "FormatError:", "CryptoError:")
# of a certificate it says CryptoError as well
_OF_TLS = re.compile(r"certificate|TLS|hostname")
_LONGEST = 600
# What it adds to an answer of a store: the request, and the headers of both.
_OF_STORE = "*** Path/Query ***"
_REASON = re.compile(r"<(?:Code|Message)>([^<]+)<")
# A file system of another host may hang: the server looks at how much waits only when it begins with a file.
_ARCHIVE_SECONDS = 600.0
_GIVEN_UP = "dropped WAL file"
_FULL = "full"
# Debian's libeatmydata1, whose fsync does nothing.
_WITHOUT_FSYNC = {"LD_PRELOAD": "libeatmydata.so"}
# The exit status of repo-get where there is no such file.
_MISSING = 1


class BackupError(StabilityError):
    """pgBackRest failed; the message is its own."""


@dataclasses.dataclass(frozen=True)
class Backup:
    """A backup of the repository. Bytes, and seconds since the epoch."""

    label: str
    full: bool
    ended: float
    size: int
    """Of the files of the server when it was made: what a restore takes."""
    stored: int
    """That it has added to the repository."""
    damaged: bool
    """pgBackRest has found pages whose checksums are wrong."""
    current: bool
    """It is of the server that the stanza is of now, not of one before an upgrade."""
    version: str
    """Of PostgreSQL, as in its paths."""


@dataclasses.dataclass(frozen=True)
class Said:
    """What it said of a file for the archive, and whether that was given up since too much waits."""

    text: str
    is_given_up: bool


class PgBackRest:
    """The commands for one stanza, which is pgBackRest's word for a server and all its backups."""

    def __init__(self, stanza: str, repository_host: str = "") -> None:
        """`repository_host`: the one that is asked for all that is in the repository; empty where that is this one."""
        self._stanza = stanza
        self._repository_host = repository_host

    def backups(self) -> list[Backup]:
        """What is in the repository, the oldest first. Raises BackupError where it can't be read."""
        return parse(self._run("info", ["--output=json"], seconds=_ASK_SECONDS).stdout, self._stanza)

    def backup(self, full: bool) -> None:
        """A new one, and before it the stanza, which stays if it is of this server. Raises BackupError."""
        for _count in self.backing_up(full):
            pass

    def backing_up(self, full: bool, seconds: float | None = None) -> Iterator[int]:
        """The same, with a count at once and whenever so many seconds have passed. What goes on ends with the iterator.

        Raises BackupError.
        """
        count = itertools.count(1)
        for command, options in (("stanza-create", []), ("backup", [f"--type={_FULL if full else 'diff'}"])):
            with self._running(command, options) as (process, problem):
                while process.poll() is None:
                    yield next(count)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(seconds)
                if process.returncode:
                    raise BackupError(problem())

    @contextlib.contextmanager
    def serving(self) -> Iterator[Callable[[], str]]:
        """Let the repository host in, as the settings say, while the block lasts.

        What is yielded says why that has ended, empty while it has not. Raises BackupError where it can't be started.
        """
        with self._running("server") as (process, problem):
            yield lambda: "" if process.poll() is None else problem()

    def put(self, file: str, text: str) -> None:
        """A file into the repository. Raises BackupError."""
        self._run("repo-put", ["--raw"], [file], _ASK_SECONDS, text)

    def get(self, file: str) -> str:
        """A file of the repository, empty where there is none. Raises BackupError."""
        return self._run("repo-get", ["--raw", "--ignore-missing"], [file], _ASK_SECONDS, may_miss=True).stdout

    def restore(self, data_directory: str, options: Sequence[str], *, fleeting: bool = False) -> None:
        """Into a directory that is empty, or not there; where it is `fleeting`, no file waits for the disk.

        Raises BackupError.
        """
        places = [f"--pg1-path={data_directory}", f"--tablespace-map-all={data_directory}-tablespaces"]
        self._run("restore", [*places, *options], added=_WITHOUT_FSYNC if fleeting else None)

    def archive(self, file: str) -> Said:
        """A file of changes into the repository. Raises BackupError where it has to be tried again."""
        said = self._run("archive-push", words=[file], seconds=_ARCHIVE_SECONDS).stderr
        return Said(said, _GIVEN_UP in said)

    @contextlib.contextmanager
    def _running(
        self, command: str, options: Sequence[str] = ()
    ) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
        """The process, and what says how it has failed. Raises BackupError where it can't be started."""
        program = Program(self._argv(command, options), _environment())
        with contextlib.ExitStack() as held:
            said = held.enter_context(tempfile.TemporaryFile())
            try:
                process = held.enter_context(running(program, subprocess.DEVNULL, subprocess.DEVNULL, said))
            except OSError as error:
                raise BackupError(f"{PROGRAM}: {error.strerror}.") from error
            yield process, lambda: _failure(command, process.returncode, text_of(said))

    def _run(
        self,
        command: str,
        options: Sequence[str] = (),
        words: Sequence[str] = (),
        seconds: float | None = None,
        text: str = "",
        *,
        may_miss: bool = False,
        added: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        environment = {**_environment(), **(added or {})}
        try:
            done = quiet_run([*self._argv(command, options), *words], seconds, environment, text)
        except OSError as error:
            raise BackupError(f"{PROGRAM}: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            where = f": does {self._repository_host} answer" if self._repository_host else ""
            raise BackupError(f"`pgbackrest {command}` did not end within {seconds:.0f} s{where}.") from error
        if done.returncode and not (may_miss and done.returncode == _MISSING):
            raise BackupError(_failure(command, done.returncode, done.stderr))
        return done

    def _argv(self, command: str, options: Sequence[str]) -> list[str]:
        # what serves is for all stanzas
        stanza = [] if command == "server" else [f"--stanza={self._stanza}"]
        return [PROGRAM, *stanza, *_QUIET, *options, command]


def _environment() -> dict[str, str]:
    """pgBackRest takes PGBACKREST_* of the shell's as options."""
    return {**PLAIN, "HOME": os.environ.get("HOME", "/")}


def _failure(command: str, status: int, said: str) -> str:
    return f"`pgbackrest {command}` failed: {sentence(said.strip() or f'exit status {status}')}"


def parse(text: str, stanza: str) -> list[Backup]:
    """The backups of a stanza by what `pgbackrest info` says, as JSON. Raises BackupError."""
    try:
        # what a wrong key makes of a file is quoted as it is, control characters too
        stanzas = json.loads(text, strict=False)
        found = next((each for each in stanzas if each["name"] == stanza), None)
        if found is None:
            return []
        status = found["status"]
        if status["code"] not in (0, *_NOTHING_THERE):
            # where the repository itself is the trouble its own message says more
            messages = [repo["status"]["message"] for repo in found.get("repo", []) if repo["status"]["code"]]
            raise BackupError(sentence("; ".join(messages) or status["message"]))
        # the last one of each repository
        current = {db["repo-key"]: db["id"] for db in found["db"]}
        versions = {(db["repo-key"], db["id"]): str(db["version"]) for db in found["db"]}
        return [_backup(each, current, versions) for each in found["backup"]]
    except (ValueError, LookupError, TypeError) as error:
        raise BackupError(f"`pgbackrest info` said what is not understood: {type(error).__name__}.") from error


def _backup(found: Mapping[str, Any], current: Mapping[int, int], versions: Mapping[tuple[int, int], str]) -> Backup:
    info, server = found["info"], found["database"]
    return Backup(
        label=str(found["label"]),
        full=found["type"] == _FULL,
        ended=float(found["timestamp"]["stop"]),
        size=int(info["size"]),
        stored=int(info["repository"]["delta"]),
        damaged=bool(found.get("error")),
        current=current[server["repo-key"]] == server["id"],
        version=versions[server["repo-key"], server["id"]],
    )


def sentence(text: str) -> str:
    """What it says in one line; of what can't be decrypted it says every byte, of a store's answer every header."""
    if any(mark in text for mark in _UNREADABLE) and not _OF_TLS.search(text):
        return "what is in the repository can't be read: its passphrase is another one, or its files are damaged."
    text, _mark, answer = text.partition(_OF_STORE)
    text = ": ".join([text.rstrip(": \n"), *_REASON.findall(answer)]) if answer else text
    line = " ".join(_PREFIX.sub("", text).split())
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...").rstrip(".") + "."
