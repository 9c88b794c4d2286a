# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgBackRest, which makes the backups of this host's server and restores them: its commands, and what is in the
repository. Its settings are in its own file; all of it runs as the server's user.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from .._host.command import PLAIN, quiet_run
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
_LONGEST = 600
# A file system of another host may hang: the server looks at how much waits only when it begins with a file.
_ARCHIVE_SECONDS = 600.0
_GIVEN_UP = "dropped WAL file"
_FULL = "full"


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


@dataclasses.dataclass(frozen=True)
class Said:
    """What it said of a file for the archive, and whether that was given up since too much waits."""

    text: str
    is_given_up: bool


class PgBackRest:
    """The commands for one stanza, which is pgBackRest's word for a server and all its backups."""

    def __init__(self, stanza: str) -> None:
        self._stanza = stanza

    def backups(self) -> list[Backup]:
        """What is in the repository, the oldest first. Raises BackupError where it can't be read."""
        return parse(self._run("info", ["--output=json"], seconds=_ASK_SECONDS).stdout, self._stanza)

    def create_stanza(self) -> None:
        """One that is there already stays, if it is of this server. Raises BackupError."""
        self._run("stanza-create")

    def backup(self, full: bool) -> None:
        """Raises BackupError."""
        self._run("backup", [f"--type={_FULL if full else 'diff'}"])

    def restore(self, data_directory: str, options: Sequence[str]) -> None:
        """Into a directory that is empty, or not there. Raises BackupError."""
        places = [f"--pg1-path={data_directory}", f"--tablespace-map-all={data_directory}-tablespaces"]
        self._run("restore", [*places, *options])

    def archive(self, file: str) -> Said:
        """A file of changes into the repository. Raises BackupError where it has to be tried again."""
        said = self._run("archive-push", words=[file], seconds=_ARCHIVE_SECONDS).stderr
        return Said(said, _GIVEN_UP in said)

    def _run(
        self, command: str, options: Sequence[str] = (), words: Sequence[str] = (), seconds: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        # the shell's own are settings of it as well
        environment = {**PLAIN, "HOME": os.environ.get("HOME", "/")}
        argv = [PROGRAM, f"--stanza={self._stanza}", *_QUIET, *options, command, *words]
        try:
            done = quiet_run(argv, seconds, environment)
        except OSError as error:
            raise BackupError(f"{PROGRAM}: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            raise BackupError(f"`pgbackrest {command}` did not end within {seconds:.0f} s.") from error
        if done.returncode:
            said = done.stderr.strip() or f"exit status {done.returncode}"
            raise BackupError(f"`pgbackrest {command}` failed: {sentence(said)}")
        return done


def parse(text: str, stanza: str) -> list[Backup]:
    """The backups of a stanza by what `pgbackrest info` says, as JSON. Raises BackupError."""
    try:
        found = next((each for each in json.loads(text) if each["name"] == stanza), None)
        if found is None:
            return []
        status = found["status"]
        if status["code"] not in (0, *_NOTHING_THERE):
            # where the repository itself is the trouble its own message says more
            messages = [repo["status"]["message"] for repo in found.get("repo", []) if repo["status"]["code"]]
            raise BackupError(sentence("; ".join(messages) or status["message"]))
        return [_backup(each) for each in found["backup"]]
    except (ValueError, LookupError, TypeError) as error:
        raise BackupError(f"`pgbackrest info` said what is not understood: {type(error).__name__}.") from error


def _backup(found: Mapping[str, Any]) -> Backup:
    info = found["info"]
    return Backup(
        label=str(found["label"]),
        full=found["type"] == _FULL,
        ended=float(found["timestamp"]["stop"]),
        size=int(info["size"]),
        stored=int(info["repository"]["delta"]),
        damaged=bool(found.get("error")),
    )


def sentence(text: str) -> str:
    """What it says in one line; of what can't be decrypted it says every byte."""
    if any(mark in text for mark in _UNREADABLE):
        return "what is in the repository can't be read: its passphrase is another one, or its files are damaged."
    line = " ".join(_PREFIX.sub("", text).split())
    return (line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...").rstrip(".") + "."
