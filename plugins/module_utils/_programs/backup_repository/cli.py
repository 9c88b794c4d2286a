# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `backup-repository` program: makes the backups that database hosts ask for, one after the other.

A database host may write into the repository what it likes: what is no request is removed.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..._host.atomic import save_json
from ..._host.console import answer, run_command
from ..._host.service_tree import discard_path
from ..._postgresql.pgbackrest import BackupError, PgBackRest
from ..backup_request import ANSWERS, HEARTBEAT_SECONDS, LARGEST, REQUESTS, SUFFIX, Answer, Request
from ..common import attempt, load_settings
from ..records import decode, load_or_new

_STANZA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_READERS = "the repository's user"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the role says."""

    repository: str
    """pgBackRest's."""


class Requests:
    """Those that are in the repository. Each method raises OSError."""

    def __init__(self, repository: Path) -> None:
        self._requests, self._answers = repository / REQUESTS, repository / ANSWERS

    def fulfil(self) -> list[str]:
        """All, also those that come meanwhile; returns what was made."""
        made = []
        while waiting := self._waiting():
            stanza = waiting[0]
            request = self._take(stanza)
            if request.id:
                made.append(f"{stanza}: {self._make(stanza, request) or 'a backup is made'}")
        return made

    def _waiting(self) -> list[str]:
        """The stanzas that have one, the oldest first. What else is there goes: it would begin this again and again."""
        files = sorted(self._requests.glob(f"*{SUFFIX}"), key=lambda path: path.lstat().st_mtime)
        stanzas = [
            path.stem for path in files if _STANZA.fullmatch(path.stem) and path.is_file() and not path.is_symlink()
        ]
        for path in files:
            if path.stem not in stanzas:
                discard_path(path)
        return stanzas

    def _take(self, stanza: str) -> Request:
        """It is then no more: what ends this in the middle has the other host ask again."""
        request = load_or_new(Request, self._path(stanza), LARGEST)
        self._path(stanza).unlink(missing_ok=True)
        return request

    def _path(self, stanza: str) -> Path:
        return self._requests / f"{stanza}{SUFFIX}"

    def _make(self, stanza: str, request: Request) -> str:
        """The error, if there is one."""
        error = ""
        try:
            for heartbeat in PgBackRest(stanza).backing_up(request.full, HEARTBEAT_SECONDS):
                self._answer(stanza, Answer(request.id, heartbeat=heartbeat))
                self._answer_waiting(heartbeat)
        except BackupError as failure:
            error = str(failure)
        self._answer(stanza, Answer(request.id, ended=True, error=error))
        return error

    def _answer_waiting(self, heartbeat: int) -> None:
        for stanza in self._waiting():
            if identity := load_or_new(Request, self._path(stanza), LARGEST).id:
                self._answer(stanza, Answer(identity, heartbeat=heartbeat))

    def _answer(self, stanza: str, content: Answer) -> None:
        save_json(self._answers / f"{stanza}{SUFFIX}", dataclasses.asdict(content))


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Make what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description="Makes the backups that database hosts have asked for.")
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    options = parser.parse_args(arguments)

    def command() -> int:
        settings = load_settings(Path(options.config), lambda content: decode(Settings, content), _READERS)
        answer(*Requests(Path(settings.repository)).fulfil())
        return os.EX_OK

    return attempt(command, options.config)


def run(config: str) -> None:
    """The entry point."""
    run_command(lambda: main(config))
