# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records once a minute what the metrics say, and what happens, for the report: docs/report.md has the names.

All of it but the requests is the service's user's: names are ours, values are numbers, and texts are cut to size.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._host.disk import used_percent
from ..._host.service_tree import open_directory
from ..._host.small_file import tail
from ..._service import deployments
from ..history import MINUTE, DamageError, Event, History, HistoryError
from ..records import mapping, mappings, number
from .requests import Requests

_KINDS = ("problem", "resolved", "action", "restart")
_MOST_WORKERS = 32
_HIGHEST_WORKER = 999
_MOST_LOGS = 1000
_LARGEST = 2.0**53
# What reading a line raises that is not the watchdog's.
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Places:
    """Where to record, and what besides the status and the requests."""

    store: str
    events: list[str]
    """The watchdog's logs."""
    logs: Mapping[str, str]
    """Directories of logs, each with what the names of the service's own begin with."""
    disks: list[str]
    deployments: str
    """The service's directory, which has the record of them."""


class Recorder:
    def __init__(self, places: Places, requests: Requests | None) -> None:
        """Without `requests` none are counted. Raises HistoryError."""
        self._places = places
        self._requests = requests
        self._history = History(Path(places.store))
        self._minute: int | None = None
        self._seen: dict[str, list[float]] = defaultdict(list)
        self._counted: Mapping[str, float] = {}
        self._sizes: Mapping[tuple[int, int], int] | None = None
        self._stamps: dict[str, tuple[int, int]] = {}

    def take(self, status: Mapping[str, Any], now: float) -> None:
        """Take in what is there now, and write when a minute is over. A minute that can't be written is lost, and said.

        Raises DamageError.
        """
        minute = int(now // MINUTE) * MINUTE
        try:
            events = list(self._happened())
            if minute != self._minute:
                events += _deployed(Path(self._places.deployments))
                if self._minute is not None:
                    self._write(self._minute)
            if events:
                self._history.note(events, now)
        except DamageError:
            raise
        except HistoryError as error:
            sys.stderr.write(f"{error}\n")
            # to be noted the next time
            self._stamps = {}
        self._minute = minute
        for name, value in readings_of(status):
            self._seen[name].append(value)

    def _write(self, minute: int) -> None:
        seen, self._seen = self._seen, defaultdict(list)
        readings = {name: (sum(values) / len(values), max(values)) for name, values in seen.items()}
        self._history.record(minute, readings | {name: (value, value) for name, value in self._by_minute()})

    def _by_minute(self) -> Iterator[tuple[str, float]]:
        if self._requests:
            before, self._counted = self._counted, self._requests.totals()
            yield from ((name, count - before.get(name, 0)) for name, count in self._counted.items())
            yield from ((f"objective.{name}", value) for name, value in vars(self._requests.objectives).items())
        yield from _disks(self._places.disks)
        sizes, self._sizes = self._sizes, dict(_sizes(self._places.logs))
        if sizes is not None:
            yield "log.bytes", sum(_grown(sizes.get(log), size) for log, size in self._sizes.items())

    def _happened(self) -> Iterator[Event]:
        """What the logs say that have changed; what is known already the history leaves out."""
        for log in map(Path, self._places.events):
            with contextlib.suppress(OSError), open_directory(log.parent) as directory:
                found = os.stat(log.name, dir_fd=directory, follow_symlinks=False)
                if (found.st_ino, found.st_size) != self._stamps.get(log.name):
                    self._stamps[log.name] = found.st_ino, found.st_size
                    yield from events_of(tail(log.name, directory))


def readings_of(status: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of the watchdog's status; what is none is left out."""
    for name, value in _values(status):
        if (found := number(value)) is not None and 0 <= found <= _LARGEST:
            yield name, found


def _values(status: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    readings, limits = mapping(status.get("readings")), mapping(status.get("limits"))
    phase = mapping(mapping(status.get("targets")).get("service")).get("phase")
    if phase is not None:
        yield "healthy", float(phase == "healthy")
    yield from ((f"limit.{name}", limits.get(name)) for name in ("heap", "memory"))
    yield "daemon.rss", mapping(readings.get("daemon")).get("rss")
    host = mapping(readings.get("host"))
    available, total = number(host.get("available")), number(host.get("total"))
    if available is not None and total:
        yield "memory.host", 100 * (1 - available / total)
    diagnosis = mapping(status.get("diagnosis"))
    yield "connections.open", diagnosis.get("connections")
    yield "connections.limit", diagnosis.get("connections_limit")
    for worker in mappings(readings.get("workers"))[:_MOST_WORKERS]:
        found, loop = number(worker.get("pm_id")), mapping(worker.get("event_loop_ms"))
        if found is None or not 0 <= found <= _HIGHEST_WORKER:
            continue
        name = f"worker.{found:.0f}"
        yield f"{name}.rss", worker.get("rss")
        yield f"{name}.heap", worker.get("heap_used")
        yield from ((f"{name}.loop_{share}", loop.get(share)) for share in ("p50", "p95"))


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """What the lines of the watchdog's logs say has happened."""
    for line in lines:
        with contextlib.suppress(*_DAMAGE):
            entry = json.loads(line)
            moment = number(entry["time"])
            if entry["kind"] in _KINDS and moment is not None:
                texts = (str(entry.get(name, "")) for name in ("kind", "key", "code", "severity", "message"))
                yield Event(moment, *texts)


def _deployed(directory: Path) -> Iterator[Event]:
    for one in deployments.read(directory):
        severity = "info" if one.result == deployments.SUCCEEDED else "warning"
        yield Event(one.time, "deployment", one.release, one.result, severity, one.activation)


def _disks(paths: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Each file system once."""
    devices = set()
    for path in paths:
        with contextlib.suppress(OSError):
            usage, device = os.statvfs(path), Path(path).stat().st_dev
            if device not in devices:
                devices.add(device)
                yield f"disk.{path}", used_percent(usage)


def _sizes(logs: Mapping[str, str]) -> Iterator[tuple[tuple[int, int], int]]:
    """By the file, whatever its name."""
    for path, prefix in logs.items():
        with contextlib.suppress(OSError), open_directory(path) as directory, os.scandir(directory) as entries:
            for entry in itertools.islice(entries, _MOST_LOGS):
                if entry.name.startswith(prefix) and entry.name.endswith(".log"):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield (found.st_dev, found.st_ino), found.st_size


def _grown(before: int | None, size: int) -> int:
    """A new file has grown by all of it, as one that was emptied."""
    return size - before if before is not None and before <= size else size
