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
from ..backup_request import ANSWERS, HEARTBEAT_SECONDS, HEARTBEAT_TIMEOUT, REQUESTS, SUFFIX, Answer, Request
from ..records import decode
from .settings import Settings

_PAUSE = 2.0


def pgbackrest_of(settings: Settings) -> PgBackRest:
    """That makes the backups here, or has them made."""
    kind = RemotePgBackRest if settings.repository_host else PgBackRest
    return kind(settings.stanza, settings.repository_host)


class RemotePgBackRest(PgBackRest):
    """As on this host, but for the backup itself."""

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
        while time.monotonic() - heard < HEARTBEAT_TIMEOUT:
            time.sleep(_PAUSE)
            if found := problem():
                raise BackupError(found)
            try:
                answer, trouble = self._answer(), ""
            except BackupError as error:
                trouble = f" {error}"
                continue
            if answer.id == request.id and answer.ended:
                return answer
            if answer.id == request.id and answer != last:
                last, heard = answer, time.monotonic()
        silent = f"has not answered for {HEARTBEAT_TIMEOUT:.0f} s; expected a heartbeat every {HEARTBEAT_SECONDS:.0f} s"
        raise BackupError(
            f"the repository host {self._repository_host} {silent}. See backup-repository.service there.{trouble}"
        )

    def _answer(self) -> Answer:
        """What is damaged, or not there, is none."""
        try:
            return decode(Answer, json.loads(self.get(f"{ANSWERS}/{self._stanza}{SUFFIX}")))
        except ValueError:
            return Answer()
