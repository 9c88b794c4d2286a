# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying out a plan on a PM2 daemon, and being sure of it: PM2 itself answers 0 for apps that die at once."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Literal

from .._host.address_in_use import explain
from .._host.command import Identity, effective_user
from .._host.service_tree import opened
from .client import Pm2Client
from .errors import Pm2Error
from .fields import milliseconds
from .plan import Step, ended, finished, plan
from .process import Pm2Process, status_of
from .rpc import live_processes

_POLL_SECONDS = 0.3
_GIVE_UP_RESTARTS = 3
# Node.js prints an uncaught error and its stack in up to 17 lines
_LOG_LINES = 20
_CAUSE_LINES = 200
_LOG_BYTES = 16_384
_LIST_BYTES = 64 << 20


def execute(client: Pm2Client, steps: Iterable[Step], config_file: Path, live: Sequence[Pm2Process]) -> None:
    """Run the steps in order, with one command for several in a row that are alike. `live` is what ran before them.

    The ecosystem file already holds what is desired.
    """
    for (action, whole), alike in groupby(steps, key=attrgetter("action", "whole")):
        group = list(alike)
        numbers = {number for step in group for number in step.ids}
        ids = [str(number) for step in group for number in step.ids]
        stops = [process for process in live if process.pm_id in numbers]
        only = (str(config_file), "--only", ",".join(step.name for step in group))
        if action in ("delete", "recreate"):
            client.run("delete", *ids, stops=stops)
        if action in ("start", "recreate"):
            client.run("start", *only)
        elif action == "reload":
            client.run("startOrReload", *only, stops=stops)
        elif action == "restart" and whole:
            # as it is declared; by its number PM2 would change some of a process's settings
            client.run("startOrRestart", *only, stops=stops)
        elif action in ("restart", "stop"):
            client.run(action, *ids, stops=stops)
        elif action == "scale":
            for step in group:
                client.run("scale", step.name, str(step.instances), stops=stops)


class LogTail:
    """What an app has written to its error log since the object was made, or ever (`whole`), read as the app's user."""

    def __init__(self, app: Mapping[str, Any], user: Identity | None, *, whole: bool = False) -> None:
        named = app.get("error_file")
        self._path = Path(str(app.get("cwd") or "/"), str(named)) if named else None
        self._user = user
        self._start = 0
        if not whole:
            with contextlib.suppress(OSError), self._opened() as stream:
                self._start = _size(stream)

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self._path is None:
            raise FileNotFoundError
        return opened(self._path, self._user)

    def causes(self) -> list[str]:
        """What can be said of why it failed; processes that die again and again bury the first words."""
        return explain(self.lines(_CAUSE_LINES))

    def lines(self, count: int = _LOG_LINES) -> list[str]:
        try:
            with self._opened() as stream:
                size = _size(stream)
                # a rotation in between leaves a shorter file
                start = self._start if size >= self._start else 0
                stream.seek(max(start, size - _LOG_BYTES))
                return stream.read(_LOG_BYTES).decode(errors="replace").splitlines()[-count:]
        except OSError:
            return []


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def settle(
    client: Pm2Client,
    apps: Sequence[Mapping[str, Any]],
    logs: Mapping[str, LogTail],
    wait: float,
    stay_up: float | None,
) -> list[Pm2Process]:
    """Wait until every process of the apps has stayed up for a while. Raises Pm2Error with the app's own last words."""
    deadline = time.monotonic() + wait
    live = live_processes(client)
    first = {process.pm_id: process.restarts for process in live}
    while True:
        unsettled = _unsettled(apps, live, stay_up)
        failed = _failed(unsettled, first)
        if failed or (unsettled and time.monotonic() > deadline):
            raise Pm2Error(_explain(failed or unsettled, logs, "" if failed else f" within {wait:g} s"))
        if not unsettled:
            return live
        time.sleep(_POLL_SECONDS)
        live = live_processes(client)


def _unsettled(
    apps: Sequence[Mapping[str, Any]], live: Sequence[Pm2Process], stay_up: float | None
) -> list[Pm2Process]:
    by_name = {app["name"]: app for app in apps}
    now = time.time()
    return [
        process
        for process in live
        if (app := by_name.get(process.name)) is not None
        and not finished(app, process)
        and (process.status != "online" or now - process.started_at < _required_uptime(app, stay_up))
    ]


def _required_uptime(app: Mapping[str, Any], stay_up: float | None) -> float:
    if stay_up is not None:
        return stay_up
    return milliseconds(app["min_uptime"]) / 1000 if app.get("min_uptime") is not None else 1.0


def _failed(processes: Iterable[Pm2Process], first: Mapping[int, int]) -> list[Pm2Process]:
    return [
        process
        for process in processes
        if process.dead or process.restarts - first.get(process.pm_id, process.restarts) >= _GIVE_UP_RESTARTS
    ]


def _explain(processes: Sequence[Pm2Process], logs: Mapping[str, LogTail], limit: str) -> str:
    states = ", ".join(
        f"{item.name} ({item.pm_id}) is {item.status} after {item.restarts} restarts" for item in processes
    )
    said = last_words([logs[name] for name in sorted({item.name for item in processes})])
    return f"not every process stayed up{limit}: {states}" + (said or "\nThe error log has no new lines.")


def last_words(logs: Collection[LogTail]) -> str:
    """What can be said of why apps failed, and the end of their error logs, to be put behind a message."""
    said = [line for tail in logs for line in tail.lines()]
    causes = "".join(f"\n{cause}" for tail in logs for cause in tail.causes())
    return causes + ("\nThe error log ends with:\n" + "\n".join(said) if said else "")


def verify(apps: Sequence[Mapping[str, Any]], live: Sequence[Pm2Process], gone: Iterable[str]) -> None:
    """PM2 must now run exactly what is declared; when it does not, say which field it did not take."""
    left = plan(apps, live, set(gone))
    if left:
        reasons = "; ".join(f"{step.name}: {step.action} ({', '.join(step.reasons)})" for step in left)
        raise Pm2Error(f"PM2 did not apply everything: {reasons}")


SavedList = Literal["current", "missing", "damaged", "readable by others", "another"]


def saved_list(client: Pm2Client, live: Sequence[Pm2Process]) -> SavedList:
    """How dump.pm2, the list that `pm2 resurrect` reads, stands to what lives."""
    try:
        with opened(client.home / "dump.pm2", client.owner) as stream:
            private = os.fstat(stream.fileno()).st_mode & 0o077 == 0
            stated = json.loads(stream.read(_LIST_BYTES))
            saved = [_fingerprint(entry) for entry in stated] if isinstance(stated, list) else None
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return "damaged"
    if saved is None:
        return "damaged"
    if Counter(saved) != Counter(_fingerprint(process.settings) for process in live):
        return "another"
    return "current" if private else "readable by others"


def _fingerprint(settings: Mapping[str, Any]) -> str:
    keys = ("name", "pm_exec_path", "pm_cwd", "exec_mode", "node_args", "args", "max_memory_restart", "env")
    # what was stopped stays so when the list is read again; all else is started
    stopped = status_of(settings) == "stopped" and not ended(settings, settings.get("exit_code"))
    return json.dumps([*(settings.get(key) or None for key in keys), stopped], sort_keys=True)


def save(client: Pm2Client) -> None:
    """--force: PM2 otherwise keeps the old list when nothing is left to run. Raises Pm2Error, OSError."""
    lists = [client.home / name for name in ("dump.pm2", "dump.pm2.bak")]
    with effective_user(client.owner):
        for path in lists:
            # PM2 would wait for whoever reads a FIFO
            if path.is_symlink() or (path.exists() and not path.is_file()):
                path.unlink()
    client.run("save", "--force")
    with effective_user(client.owner):
        for path in lists:
            if path.is_file():
                path.chmod(0o600)
