# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-alert` command: reports what the watchdog found, by the channels of the user's choice."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..._host.console import complain
from ..._host.errors import StabilityError
from .channels import check
from .config import Config, collect_all, load_config, load_secrets, send_test, show
from .run import send


def run(config: str) -> None:
    raise SystemExit(main(config))


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command with its configuration file; returns the exit status."""
    options = _parse(arguments, config)
    try:
        if options.command == "check":
            return _check()
        return _act(options, load_config(Path(options.config)))
    except StabilityError as error:
        complain(error)
    except OSError as error:
        complain(f"{error.filename or options.config}: {error.strerror}")
    return 1


def _act(options: argparse.Namespace, config: Config) -> int:
    if options.command == "collect":
        return collect_all(config)
    if options.command == "send":
        return send(config, load_secrets(Path(options.secrets) if options.secrets else config.secrets))
    secrets = load_secrets(config.secrets)
    if options.command == "test":
        return send_test(config, secrets)
    return show(config, secrets, as_json=options.json)


def _check() -> int:
    """Whether this host's Apprise takes the URLs that come as a JSON list; not by a file, which would be one more."""
    try:
        urls = json.load(sys.stdin)
    except ValueError:
        raise StabilityError("standard input is no JSON list of URLs") from None
    check([str(url) for url in urls])
    return 0


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
