# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository on another host: it makes the backups, when this one asks for it, and is let in meanwhile."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Callable

from ..._postgresql.pgbackrest import BackupError, PgBackRest
from ..backup_request import ANSWERS, REQUESTS, SUFFIX, Answer, Request
from ..records import decode
from .settings import Settings

_PAUSE = 2.0
# A sign of life comes each 10 seconds. Where the network is away for longer it is asked again an hour later.
_SILENT_SECONDS = 180.0


def pgbackrest_of(settings: Settings) -> PgBackRest:
    """That makes the backups here, or has them made."""
    kind = RemotePgBackRest if settings.repository_host else PgBackRest
    return kind(settings.stanza, settings.repository_host)


class RemotePgBackRest(PgBackRest):
    """As on this host, but for what the repository host does itself."""

    def create_stanza(self) -> None:
        """It does that with each backup: while it makes one nobody else may."""

    def backup(self, full: bool) -> None:
        request = Request(secrets.token_hex(8), full)
        with self.serving() as problem:
            self.put(f"{REQUESTS}/{self._stanza}{SUFFIX}", json.dumps(dataclasses.asdict(request)))
            answer = self._await(request, problem)
        if answer.error:
            raise BackupError(answer.error)

    def _await(self, request: Request, problem: Callable[[], str]) -> Answer:
        """Its answer, when it has ended."""
        last, heard, trouble = Answer(), time.monotonic(), ""
        while time.monotonic() - heard < _SILENT_SECONDS:
            time.sleep(_PAUSE)
            if found := problem():
                raise BackupError(found)
            try:
                answer, trouble = self._answer(), ""
            except BackupError as error:
                trouble = f" {error}"
                continue
            if answer.name == request.name and answer.ended:
                return answer
            if answer.name == request.name and answer != last:
                last, heard = answer, time.monotonic()
        where = f"see backup-repository.service on {self._repository_host}"
        raise BackupError(f"the repository host makes no backup: {where}.{trouble}")

    def _answer(self) -> Answer:
        """What is damaged, or not there, is none."""
        try:
            return decode(Answer, json.loads(self.get(f"{ANSWERS}/{self._stanza}{SUFFIX}")))
        except ValueError:
            return Answer()
