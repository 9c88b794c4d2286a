# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics of the service for node_exporter: a file of root's in the textfile collector's directory.

The watchdog's status is written by the service's user, who must neither hold up node_exporter nor speak for another
service: names, types, help texts and the label `service` are ours. The requests are counted by Nginx's access log.
What is measured is also recorded on the host, for the report.

A program that stays, since one that starts every few seconds costs more of the processor than this one of memory.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..._host.atomic import save
from ..._nginx.access_log import AccessLog
from ..history import HistoryError
from ..records import decode, read_status
from .recorder import Places, Recorder
from .requests import Objectives, Requests
from .text import Recent, render
from .watchdog import metrics_of

_PERIOD = 5.0
_MODE = 0o644


@dataclass(frozen=True)
class Settings:
    """What the role says. Seconds and percent."""

    service: str
    status: str
    access_log: str
    """Empty where no requests are counted."""
    entry: bool
    """Whether clients come to this host; otherwise a proxy of the fleet sends them."""
    routes: list[str]
    objectives: Objectives
    target: str
    """Empty where there is no node_exporter."""
    history: Places | None


class Publisher:
    """Keeps the target as the status and the log are; what it has said so far is not written again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = AccessLog(Path(settings.access_log)) if settings.access_log else None
        self._requests = Requests(settings.objectives, settings.entry, settings.routes)
        counted = self._requests if self._log else None
        self._recorder = Recorder(settings.history, counted) if settings.history else None
        self._recent = Recent()
        self._said: str | None = None
        self._is_waiting = False

    def publish(self) -> None:
        """Where there is nothing to say there is no target. Raises OSError."""
        _written, status = read_status(Path(self._settings.status))
        if self._log:
            for line in self._log.lines():
                self._requests.add(line)
        if self._recorder:
            self._recorder.take(status, time.time())
        if self._settings.target:
            service = self._settings.service
            text = render(service, metrics_of(status), self._recent)
            self._say_or_wait(text + render(service, self._requests.metrics() if self._log else ()))

    def _say_or_wait(self, text: str) -> None:
        """What is recorded and counted does not depend on node_exporter's directory, which may be full or gone.

        One that has come back can be written to by a new process alone. Raises OSError.
        """
        try:
            self._say(text)
        except OSError as error:
            if self._recorder is None or error.errno == errno.EROFS:
                raise
            if not self._is_waiting:
                sys.stderr.write(f"{error.filename or self._settings.target}: {error.strerror}\n")
            self._is_waiting = True
        else:
            self._is_waiting = False

    def _say(self, text: str) -> None:
        if text == self._said:
            return
        target = Path(self._settings.target)
        if text:
            save(target, text.encode("utf-8", "replace"), _MODE)
        else:
            target.unlink(missing_ok=True)
        self._said = text


def run(settings: str) -> None:
    """The entry point: ends where something can't be read or written, and systemd starts it again.

    `settings` are as JSON.
    """
    given = decode(Settings, json.loads(settings))
    try:
        publisher = Publisher(given)
        while True:
            publisher.publish()
            time.sleep(_PERIOD)
    except HistoryError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    except OSError as error:
        sys.stderr.write(f"{error.filename or given.target}: {error.strerror}\n")
        raise SystemExit(1) from error
