# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerting on its host: its configuration, and what root does for its unit."""

from __future__ import annotations

import dataclasses
import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..._host import proc
from ..._host.atomic import save_json
from ..._host.console import complain
from ..._host.units import LOOK_SECONDS, UnitError, unit_states
from ..common import load_settings, read_settings
from ..records import decode, read_status
from .alertmanager import Monitor
from .heartbeat import Clock, Unit
from .inbox import collect

# systemd starts the unit again at once while events lie there; what can't be moved must not become a busy loop.
_PAUSE = 5.0
# For the unit's user, in whose directories root writes.
READABLE = 0o644


@dataclasses.dataclass(frozen=True)
class Config:
    service: str
    language: str
    repeat_interval_minutes: int
    messages_per_hour: int
    actions: bool
    heartbeat_timeout: float
    events: Path
    status: Path
    secrets: Path
    state_directory: Path
    runtime_directory: Path
    unit: str
    watched_units: tuple[str, ...]
    """The watchdog's; on the monitor's host Prometheus' and Alertmanager's."""
    monitor: Monitor | None = None
    """On the monitor's host, where Alertmanager takes the place of the watchdog's events and status."""
    reported_by: str = ""
    """The monitor's host, where that reports what happens here."""
    host: str = ""

    @property
    def inbox(self) -> Path:
        return self.state_directory / "inbox"

    @property
    def unit_file(self) -> Path:
        return self.runtime_directory / "watched-units.json"

    @property
    def status_copy(self) -> Path:
        return self.runtime_directory / "status.json"


@dataclasses.dataclass(frozen=True)
class Secrets:
    urls: Sequence[str]
    heartbeat_url: str


def load_config(path: Path) -> Config:
    """Raises StabilityError."""
    return load_settings(path, lambda content: decode(Config, {**content, "host": socket.gethostname()}), "root")


def load_secrets(path: Path) -> Secrets:
    """None where there is no such file: neither a channel nor a heartbeat is set then. Raises StabilityError, which
    shows nothing of the content.
    """
    content = read_settings(path, "root") if path.exists() else {}
    return Secrets([str(url) for url in content.get("urls", [])], str(content.get("heartbeat_url", "")))


def clock() -> Clock:
    return Clock(time.time(), proc.uptime(), proc.boot_id())


def collect_all(config: Config) -> int:
    """As root: take over the events, and record the state of what is watched: alerting's own unit can't ask systemd.

    Nor can it read the watchdog's status, which is the service's user's alone.
    """
    _save_units(config)
    if config.monitor:
        return 0
    try:
        save_json(config.status_copy, read_status(config.status), READABLE)
    except (OSError, RecursionError) as error:
        complain(f"{config.status_copy}: {error}")
    try:
        collect(config.events, config.inbox)
    except FileNotFoundError:
        return 0  # the watchdog has not run yet
    except OSError as error:
        complain(f"{error.filename or config.events}: {error.strerror}")
        time.sleep(_PAUSE)
        return 1
    return 0


def _save_units(config: Config) -> None:
    try:
        found = unit_states(config.watched_units, LOOK_SECONDS)
        save_json(config.unit_file, [found.get(name, {}) for name in config.watched_units], READABLE)
    except (OSError, UnitError) as error:
        complain(f"{', '.join(config.watched_units)}: {error}")


def read_copied_status(config: Config) -> tuple[int, Mapping[str, Any]]:
    """The watchdog's status when the run began, as `read_status` has it."""
    try:
        written, status = json.loads(config.status_copy.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, {}
    return int(written), status


def read_unit(config: Config) -> Unit:
    """As it was found when the run began, of several the one that explains a silence; by default not installed."""
    try:
        listed = json.loads(config.unit_file.read_text(encoding="utf-8"))
        units = [Unit(found["LoadState"], found["ActiveState"], found["Result"]) for found in listed]
        return max(units, key=lambda unit: (unit.active != "active", not unit.stopped))
    except (OSError, ValueError, KeyError, TypeError):
        return Unit()
