# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-alert` command: reports what the watchdog found, by the channels of the user's choice."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._host.atomic import save_json
from ..._host.console import answer, complain, run_command
from ..._host.errors import StabilityError
from ..._host.units import run_unit
from ..codes import Code
from ..common import attempt
from ..words import moment
from .channels import channels, check
from .config import READABLE, Config, Secrets, collect_all, load_config, load_secrets, read_unit
from .inbox import TEST
from .outbox import Channel
from .run import send
from .store import State, Store

_TEST_SECONDS = 240.0
_NO_CHANNEL = "no channel is set, so nothing is reported: set alerting_urls and apply the playbook"
# Of check: other than 1, which is a refusal.
_NOBODY_TO_ASK = 3


def run(config: str) -> None:
    """Run the command as a process of its own."""
    run_command(lambda: main(config))


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command with its configuration file; returns the exit status."""
    options = _parse(arguments, config)
    return attempt(lambda: _act(options), options.config)


def _act(options: argparse.Namespace) -> int:
    if options.command == "check":
        return _check()
    config = load_config(Path(options.config))
    if options.command == "collect":
        return collect_all(config)
    secrets = load_secrets(Path(options.secrets) if options.command == "send" and options.secrets else config.secrets)
    if options.command == "status":
        return _show(config, secrets, as_json=options.json)
    if not secrets.urls and not (options.command == "send" and secrets.heartbeat_url):
        raise StabilityError(_silent(config))
    return send(config, secrets) if options.command == "send" else _send_test(config, secrets)


def _silent(config: Config) -> str:
    """Why nothing is reported from here."""
    by_monitor = f"{config.reported_by}, the monitor of all hosts, reports what happens here: see this command there"
    return f"{config.service}: {by_monitor if config.reported_by else _NO_CHANNEL}"


def _check() -> int:
    """Whether this host's Apprise takes the URLs that come as a JSON list; not by a file, which would be one more.

    1 where it does not, 3 where there is none.
    """
    try:
        urls = json.load(sys.stdin)
    except ValueError:
        raise StabilityError("standard input is no JSON list of URLs") from None
    if check([str(url) for url in urls]):
        return 0
    complain("Debian's package apprise is not installed")
    return _NOBODY_TO_ASK


def _send_test(config: Config, secrets: Secrets) -> int:
    """As root: a test message through the unit itself, by all channels, with what waits for them. Raises OSError."""
    began = time.time()
    name = f"{time.time_ns():020d}-{os.getpid()}{TEST}"
    path = config.inbox / name
    save_json(path, {"kind": "test", "code": Code.TEST, "time": began, "severity": "info"}, READABLE)
    run_unit("start", config.unit)  # at least once: a run that has taken the message may not have sent it yet
    while path.exists():
        if time.time() - began > _TEST_SECONDS:
            raise StabilityError(f"{config.unit} does not take the message: see journalctl -u {config.unit}")
        run_unit("start", config.unit)
    return _report_test(_state(config), secrets)


def _report_test(state: State, secrets: Secrets) -> int:
    failures = 0
    for channel in channels(secrets.urls):
        known = state.outbox.channels.get(channel.name)
        error = "it was not tried" if known is None else known.error
        failures += bool(error)
        answer(f"{channel.label}: {f'{error}; it is tried again' if error else 'delivered'}")
    return 1 if failures else 0


def _show(config: Config, secrets: Secrets, as_json: bool) -> int:
    """Channels, what waits, open problems. Exit status 1 while a channel fails."""
    report = _report(config, secrets, _state(config))
    if as_json:
        sys.stdout.write(f"{json.dumps(report, ensure_ascii=True)}\n")
    elif not secrets.urls and not secrets.heartbeat_url:
        answer(_silent(config))
    else:
        answer(*_table(report))
    return 1 if any(channel["error"] for channel in report["channels"]) else 0


def _state(config: Config) -> State:
    return Store([config.state_directory, config.runtime_directory]).load()


def _report(config: Config, secrets: Secrets, state: State) -> dict[str, Any]:
    listed = []
    for channel in channels(secrets.urls):
        known = state.outbox.channels.get(channel.name, Channel())
        waiting = sum(channel.name in message.waiting for message in state.outbox.messages)
        said = {"error": known.error, "tries": known.tries, "delivered": known.delivered}
        listed.append({"channel": channel.label, "waiting": waiting, **said})
    problems = [
        {"key": key, "code": problem.code, "severity": problem.severity, "since": problem.since}
        for key, problem in state.ledger.problems.items()
    ]
    return {
        "service": config.service,
        # a run records it
        "watchdog_installed": read_unit(config).installed if state.ran else None,
        "ran": state.ran,
        "channels": listed,
        "held": state.outbox.held_count,
        "dropped": state.outbox.dropped,
        "flapping": sorted(state.ledger.flapping),
        "problems": problems,
    }


def _table(report: dict[str, Any]) -> list[str]:
    lines = [f"{report['service']}: last run {moment(report['ran']) if report['ran'] else 'never'}"]
    lines += ["the watchdog is not installed here: nothing is watched"] if report["watchdog_installed"] is False else []
    lines += [] if report["channels"] else [_NO_CHANNEL]
    for channel in report["channels"]:
        state = f"{channel['error']} (tries: {channel['tries']})" if channel["error"] else "ok"
        last = f", last delivery {moment(channel['delivered'])}" if channel["delivered"] else ""
        lines.append(f"channel {channel['channel']}: {state}, {channel['waiting']} waiting{last}")
    lines += [f"{report['held']} held back by the limit of messages in an hour"] if report["held"] else []
    lines += [f"{report['dropped']} dropped: too many were waiting"] if report["dropped"] else []
    lines += [f"flapping: {', '.join(report['flapping'])}"] if report["flapping"] else []
    lines += [f"{entry['severity']}: {entry['key']} since {moment(entry['since'])}" for entry in report["problems"]]
    return lines if report["problems"] else [*lines, "no open problem"]


def _parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Reports what the watchdog found.")
    parser.add_argument("--config", default=config, help="configuration file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    status = commands.add_parser("status", help="show the channels, what waits for them and the open problems")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    commands.add_parser("test", help="send a test message, and what waits, by all channels, and say what became of it")
    commands.add_parser("check", help="read URLs as a JSON list and say whether Apprise knows them")
    commands.add_parser("collect", help="for the unit: take over the watchdog's events")
    send_parser = commands.add_parser("send", help="for the unit: make messages of the events, and send what is due")
    send_parser.add_argument("--secrets", default="", help="file with the URLs")
    return parser.parse_args(arguments)
