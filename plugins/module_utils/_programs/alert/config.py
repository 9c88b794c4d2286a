# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerting on its host: configuration, what needs root, and what people ask it by hand."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._host import boot_clock
from ..._host.console import answer, complain
from ..._host.errors import StabilityError
from ..._host.processes import ProcessError, unit_states
from ..._host.quiet_run import quiet_run
from ..._host.state_file import save_json
from ..codes import Code
from .channels import channels
from .heartbeat import Clock, Unit
from .inbox import TEST, collect
from .store import State, Store
from .texts import moment

# systemd starts the unit again at once while events lie there; what can't be moved must not become a busy loop.
_PAUSE = 5.0
_TEST_SECONDS = 240.0
# For the unit's user, in whose directories root writes.
_READABLE = 0o644


@dataclasses.dataclass(frozen=True)
class Config:
    service: str
    language: str
    reminder: float
    per_hour: int
    report_actions: bool
    heartbeat_timeout: float
    events: Path
    status: Path
    secrets: Path
    state_directory: Path
    runtime_directory: Path
    unit: str
    watchdog_unit: str
    host: str = ""

    @property
    def inbox(self) -> Path:
        return self.state_directory / "inbox"

    @property
    def unit_file(self) -> Path:
        return self.runtime_directory / "watchdog-unit.json"


@dataclasses.dataclass(frozen=True)
class Secrets:
    urls: Sequence[str]
    heartbeat_url: str


def load_config(path: Path) -> Config:
    """Raises StabilityError."""
    content = _load(path)
    content.pop("managed_by", None)
    try:
        paths = {name: Path(content[name]) for name in _PATHS}
        return Config(**{**content, **paths, "host": socket.gethostname()})
    except (KeyError, TypeError) as error:
        message = f"{path} is no configuration of this command. Apply the playbook to recreate it."
        raise StabilityError(message) from error


_PATHS = ("events", "status", "secrets", "state_directory", "runtime_directory")


def load_secrets(path: Path) -> Secrets:
    """Raises StabilityError, which shows nothing of the content."""
    content = _load(path)
    return Secrets([str(url) for url in content.get("urls", [])], str(content.get("heartbeat_url", "")))


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise StabilityError(f"{path} is not readable for you: run this as root") from error
    except OSError as error:
        raise StabilityError(f"{path}: {error.strerror}. Apply the playbook to recreate it.") from error
    except ValueError:
        raise StabilityError(f"{path} is damaged. Apply the playbook to recreate it.") from None
    if not isinstance(content, dict):
        raise StabilityError(f"{path} is damaged. Apply the playbook to recreate it.")
    return content


def clock() -> Clock:
    return Clock(time.time(), boot_clock.now(), boot_clock.boot_id())


def collect_all(config: Config) -> int:
    """As root: take over the events, and record the watchdog unit's state: alerting's own unit can't ask systemd."""
    _save_unit(config)
    try:
        collect(config.events, config.inbox)
    except FileNotFoundError:
        return 0  # the watchdog has not run yet
    except OSError as error:
        complain(f"{error.filename or config.events}: {error.strerror}")
        time.sleep(_PAUSE)
        return 1
    return 0


def _save_unit(config: Config) -> None:
    try:
        found = unit_states([config.watchdog_unit]).get(config.watchdog_unit, {})
        save_json(config.unit_file, found, _READABLE)
    except (OSError, ProcessError) as error:
        complain(f"{config.watchdog_unit}: {error}")


def read_unit(config: Config) -> Unit:
    """As it was found when the run began; not installed where nothing was found."""
    try:
        found = json.loads(config.unit_file.read_text(encoding="utf-8"))
        return Unit(found["LoadState"], found["ActiveState"], found["Result"])
    except (OSError, ValueError, KeyError, TypeError):
        return Unit()


def send_test(config: Config, secrets: Secrets) -> int:
    """As root: a test message through the unit itself, by all channels, with what waits for them. Raises OSError."""
    if not secrets.urls:
        raise StabilityError("there are no channels: set alerting_urls and apply the playbook")
    began = time.time()
    name = f"{time.time_ns():020d}-{os.getpid()}{TEST}"
    path = config.inbox / name
    save_json(path, {"kind": "test", "code": Code.TEST, "time": began, "severity": "info"}, _READABLE)
    _start(config)  # at least once: a run that has taken the message may not have sent it yet
    while path.exists():
        if time.time() - began > _TEST_SECONDS:
            raise StabilityError(f"{config.unit} does not take the message: see journalctl -u {config.unit}")
        _start(config)
    return _report_test(_state(config), secrets)


def _start(config: Config) -> None:
    started = quiet_run(["systemctl", "start", config.unit])
    if started.returncode:
        raise StabilityError(f"{config.unit} does not start: {started.stderr.strip()}")


def _report_test(state: State, secrets: Secrets) -> int:
    failures = 0
    for channel in channels(secrets.urls):
        known = state.outbox.channels.get(channel.name)
        error = "it was not tried" if known is None else known.error
        failures += bool(error)
        answer(f"{channel.label}: {f'failed: {error}; it is tried again' if error else 'delivered'}")
    return 1 if failures else 0


def show(config: Config, secrets: Secrets, as_json: bool) -> int:
    """Channels, what waits, open problems. Exit status 1 while a channel fails."""
    state = _state(config)
    report = _report(config, secrets, state)
    if as_json:
        answer(json.dumps(report, ensure_ascii=True))
    else:
        answer(*_table(report))
    return 1 if any(channel["error"] for channel in report["channels"]) else 0


def _state(config: Config) -> State:
    return Store([config.state_directory, config.runtime_directory]).load()


def _report(config: Config, secrets: Secrets, state: State) -> dict[str, Any]:
    listed = []
    for channel in channels(secrets.urls):
        known = state.outbox.channels.get(channel.name)
        waiting = sum(channel.name in message.waiting for message in state.outbox.messages)
        listed.append(
            {
                "channel": channel.label,
                "waiting": waiting,
                "error": known.error if known else "",
                "tries": known.tries if known else 0,
                "delivered": known.delivered if known else 0.0,
            }
        )
    problems = [
        {"key": key, "code": problem.code, "severity": problem.severity, "since": problem.since}
        for key, problem in state.ledger.problems.items()
    ]
    return {
        "service": config.service,
        "watchdog_installed": read_unit(config).installed,
        "ran": state.ran,
        "channels": listed,
        "held": state.outbox.held_count,
        "dropped": state.outbox.dropped,
        "flapping": sorted(state.ledger.flapping),
        "problems": problems,
    }


def _table(report: dict[str, Any]) -> list[str]:
    lines = [f"{report['service']}: last run {moment(report['ran']) if report['ran'] else 'never'}"]
    lines += [] if report["watchdog_installed"] else ["the watchdog is not installed here: nothing is watched"]
    for channel in report["channels"]:
        state = f"failing: {channel['error']} ({channel['tries']} tries)" if channel["error"] else "ok"
        last = f", last delivery {moment(channel['delivered'])}" if channel["delivered"] else ""
        lines.append(f"channel {channel['channel']}: {state}, {channel['waiting']} waiting{last}")
    lines += [f"{report['held']} held back by the limit of messages in an hour"] if report["held"] else []
    lines += [f"{report['dropped']} dropped: too many were waiting"] if report["dropped"] else []
    lines += [f"flapping: {', '.join(report['flapping'])}"] if report["flapping"] else []
    lines += [f"{entry['severity']}: {entry['key']} since {moment(entry['since'])}" for entry in report["problems"]]
    return lines if report["problems"] else [*lines, "no open problem"]
