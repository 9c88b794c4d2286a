# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""restic, which keeps the backups of a service's files: its commands, and what is in the repository.

It is given one archive of all files: so it needs no right to read what is the service's, and follows none of its links.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._host.command import PLAIN, Program, quiet_run
from ..._host.errors import StabilityError
from ..._host.pipe import Ended, pipe
from ..._host.service_tree import discard_path, entries, open_directory

PROGRAM = "/usr/bin/restic"
_ARCHIVE = "files.tar"
# It ends by its own time limits, where it waits; these commands only ask. A size takes all of the index.
_ASK_SECONDS = 60.0
_SIZE_SECONDS = 600.0
_NO_REPOSITORY = "Is there a repository at the following location?"
# Of a directory and of a bucket; any other trouble to reach it has that question as well.
_NOT_THERE = ("no such file", "does not exist")
_MOST_KEPT = 7
_CUT_OFF = "broken pipe"
_HAS_KEYS = "repository already contains keys"
_WITHOUT_CONFIG = (
    "It has no config: its creation was cut off, or the config is lost. Move the repository to another place; one that"
    " has no snapshots can be removed."
)
# All that there is before the config, the last that `restic init` writes.
_BEFORE_CONFIG = ("/keys/", "/config-tmp-")
_WRONG_KEY = "wrong password or no key found"
_LONGEST = 600


class ResticError(StabilityError):
    """restic failed; the message is its own."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A backup of a repository; `begun` is in seconds since the epoch."""

    label: str
    begun: float
    repository: Restic


class Restic:
    """The commands for one repository, which is named among the secrets, as restic has them in its environment."""

    def __init__(self, cache: str, options: tuple[str, ...], secrets: Mapping[str, str]) -> None:
        self._options = options
        self._environment = {
            **PLAIN,
            **secrets,
            "RESTIC_CACHE_DIR": cache,
            # the service comes first
            "GOMAXPROCS": "1",
        }

    def snapshots(self) -> list[Snapshot] | None:
        """The oldest first; None where there is no repository. Raises ResticError."""
        done = self._done("snapshots", "--json", "--no-lock", seconds=_ASK_SECONDS)
        if done.returncode and _NO_REPOSITORY in done.stderr and any(words in done.stderr for words in _NOT_THERE):
            return None
        return parse(self._checked(done, "snapshots"), self)

    def size(self, label: str) -> int:
        """Bytes of the files in a backup. Raises ResticError."""
        words = ("stats", "--json", "--no-lock", "--mode=restore-size", label)
        try:
            return int(json.loads(self._checked(self._done(*words, seconds=_SIZE_SECONDS), "stats"))["total_size"])
        except (ValueError, LookupError, TypeError) as error:
            raise ResticError(f"`restic stats` said what is not understood: {type(error).__name__}.") from error

    def create(self) -> None:
        """Where it was cut off before, restic refuses the keys that are there. Raises ResticError."""
        place = self._environment["RESTIC_REPOSITORY"]
        try:
            if place.startswith("/") and _has_keys_alone(place):
                discard_path(f"{place}/keys")
            self._run("init")
        except OSError as error:
            raise ResticError(f"{error.filename}: {error.strerror}.") from error
        except ResticError as error:
            if _HAS_KEYS not in str(error):
                raise
            raise ResticError(f"{error} {_WITHOUT_CONFIG}") from error

    def unlock(self) -> None:
        """Remove the locks of runs that were killed, for whoever is alone. Raises ResticError.

        By itself restic asks by a signal whether the process of a lock still runs: after a reboot that is another one.
        """
        self._run("unlock", "--remove-all")

    def check(self) -> None:
        """Whether all is there that belongs to a backup. Raises ResticError."""
        self._run("check", "--quiet")

    def forget(self, days: int) -> None:
        """Remove backups that are so much older than the newest one, but for some. Raises ResticError."""
        kept = (f"--keep-within={days}d", f"--keep-last={_MOST_KEPT}")
        self._run("forget", *kept, "--group-by=", "--prune", "--quiet")

    def store(self, source: Program, is_whole: Callable[[Ended], bool], host: str) -> tuple[str, Ended]:
        """Make a backup of what the program writes; its label, and how the program ended. Raises ResticError.

        Of what is not whole none is made: where others keep the repository nobody could remove it.
        """
        words = ("backup", "--json", "--quiet", f"--host={host}", "--stdin", f"--stdin-filename={_ARCHIVE}")
        try:
            written, stored = pipe(source, self._program(*words), is_whole)
        except OSError as error:
            raise ResticError(f"{error.filename}: {error.strerror}.") from error
        if not is_whole(written):
            said = sentence(written.errors) or "it was killed."
            raise ResticError(f"{source.argv[0]} could not read the files: {said}")
        # what has not seen the end has stored a part at most
        if stored.status or written.is_unread:
            raise _failed("backup", stored.status, f"{written.errors}\n{stored.errors}")
        if not (label := _label(stored.output)):
            raise ResticError("`restic backup` did not say what it has made.")
        return label, written

    def fetch(self, label: str, sink: Program) -> Ended:
        """Give a program what was stored; how it ended. Raises ResticError."""
        try:
            read, taken = pipe(self._program("dump", "--no-lock", label, f"/{_ARCHIVE}"), sink)
        except OSError as error:
            raise ResticError(f"{error.filename}: {error.strerror}.") from error
        # one that ends early ends restic, too
        is_cut_off = taken.status and (read.status == -signal.SIGPIPE or _CUT_OFF in read.errors)
        if read.status and not is_cut_off:
            raise _failed("dump", read.status, read.errors)
        return taken

    def by_hand(self, words: Sequence[str]) -> int:
        """A command of its own in the terminal of this program; the exit status. Raises OSError."""
        # This logic does not know AnsibleModule, so it cannot use its run_command.
        argv, environment = self._argv(*words), self._environment
        return os.spawnve(os.P_WAIT, PROGRAM, argv, environment)  # pylint: disable=ansible-bad-function

    def _argv(self, *words: str) -> list[str]:
        return [PROGRAM, *self._options, *words]

    def _program(self, *words: str) -> Program:
        return Program(self._argv(*words), self._environment)

    def _run(self, *words: str) -> None:
        self._checked(self._done(*words), words[0])

    def _done(self, *words: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
        try:
            return quiet_run(self._argv(*words), seconds, self._environment)
        except OSError as error:
            raise ResticError(f"{PROGRAM}: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            said = sentence((error.stderr or b"").decode(errors="replace"))
            raise ResticError(f"`restic {words[0]}` did not end within {seconds:.0f} s. {said}".strip()) from error

    def _checked(self, done: subprocess.CompletedProcess[str], command: str) -> str:
        if done.returncode:
            raise _failed(command, done.returncode, done.stderr)
        return done.stdout


def parse(text: str, repository: Restic) -> list[Snapshot]:
    """What `restic snapshots` says, as JSON, of the backups in that repository. Raises ResticError."""
    try:
        found = [
            Snapshot(str(each["short_id"]), datetime.datetime.fromisoformat(each["time"]).timestamp(), repository)
            for each in json.loads(text)
        ]
    except (ValueError, LookupError, TypeError) as error:
        raise ResticError(f"`restic snapshots` said what is not understood: {type(error).__name__}.") from error
    return sorted(found, key=lambda each: each.begun)


def _has_keys_alone(directory: str) -> bool:
    """Whether nothing is in a repository but what comes before its config. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), open_directory(directory) as top:
        return all(each.is_directory or each.path.startswith(_BEFORE_CONFIG) for each in entries(top, ""))
    return False


def _label(text: str) -> str:
    """As `restic snapshots` shows it: the first letters of what a backup says of itself; nothing where it made none."""
    try:
        return str(json.loads(text.splitlines()[-1])["snapshot_id"])[:8]
    except (ValueError, LookupError, TypeError):
        return ""


def _failed(command: str, status: int, said: str) -> ResticError:
    return ResticError(f"`restic {command}` failed: {sentence(said) or f'exit status {status}.'}")


def sentence(text: str) -> str:
    """What it says, in one line, whether as text or as JSON."""
    if _WRONG_KEY in text:
        return "what is in the repository can't be read: its passphrase is another one."
    plain = " ".join(map(_plain, text.splitlines())).partition(_NO_REPOSITORY)[0]
    line = " ".join(plain.split()).removeprefix("Fatal: ")
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...").rstrip(".") + "." if line else ""


def _plain(line: str) -> str:
    try:
        said: Any = json.loads(line)
        return str(said["message"])
    except (ValueError, LookupError, TypeError):
        return line
