# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-watchdog` command: the watchdog itself, and what operators ask it and order."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..._host.console import answer, run_command, terminal_width
from ..._host.errors import StabilityError
from ..._host.lock import lock
from ..._host.small_file import read_small, tail
from ..common import attempt, become
from ..display import EXIT, is_coloured, level_of
from .loop import Notifier, Watch
from .settings import Settings
from .state_files import Control, Pause
from .table import as_table, when

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_STALE_SECONDS = 60.0
_NOT_RUNNING = 3
_LARGEST_STATUS = 1024 * 1024
# What reading a record raises that is not the watchdog's: the files are its user's.
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OSError)


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; returns the exit status."""
    options = _parse(arguments, config)

    def command() -> int:
        settings = Settings.load(Path(options.config))
        become(settings.user)
        chosen: Callable[[Settings, argparse.Namespace], int] = options.command
        return chosen(settings, options)

    return attempt(command, options.config, failed=_NOT_RUNNING)


def run(config: str) -> None:
    """The entry point."""
    run_command(lambda: main(config))


def _parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Watches the service and recovers it.",
        epilog=(
            "Exit status of status: 0 ok, 1 warning or paused, 2 critical, 3 unknown, or the watchdog does not run."
            " Run it as root or as the service's user."
        ),
    )
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "run", _run, "watch until stopped; systemd does this")
    _add(commands, "status", _status, "show what it sees").add_argument("--json", action="store_true")
    pause = _add(commands, "pause", _pause, "keep watching, but do nothing")
    pause.add_argument("--for", dest="duration", type=_duration, metavar="TIME", help="for example 90s, 30m, 2h or 1d")
    _add(commands, "resume", _resume, "end a pause, and give an exhausted watchdog its budget back")
    history = _add(commands, "history", _history, "show what it did and reported, oldest first")
    history.add_argument("--json", action="store_true", help="as JSON, a line for each")
    history.add_argument("--count", type=_count, default=20, metavar="N", help="how many (default: %(default)s)")
    return parser.parse_args(arguments)


def _add(commands: Any, name: str, function: Callable[..., int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    return parser


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 2h or 1d")
    return float(int(match[1]) * _SECONDS[match[2]])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of entries, from 1 on")
    return int(text)


def _run(settings: Settings, options: argparse.Namespace) -> int:
    made_of = [Path(options.config), Path(sys.argv[0])]
    path = Path(settings.run_directory) / "lock"
    busy = StabilityError(f"a watchdog of this service runs already: it holds {path}")
    with lock(path, busy):
        Watch(settings, Notifier(), made_of).run()
    return 0


def _status(settings: Settings, options: argparse.Namespace) -> int:
    try:
        content, seen = read_small(settings.status_file, _LARGEST_STATUS)
    except OSError:
        raise StabilityError(f"the watchdog of {settings.service} does not run: see its unit") from None
    try:
        status = json.loads(content)
        text = (
            json.dumps(status, ensure_ascii=True) + "\n"
            if options.json
            else as_table(status, is_coloured(), terminal_width(sys.stdout))
        )
        code = EXIT[level_of(status)]
    except _DAMAGE:
        raise StabilityError(f"{settings.status_file} is damaged: restart the watchdog's unit") from None
    sys.stdout.write(text)
    age = time.time() - seen.st_mtime
    if age > _STALE_SECONDS:
        raise StabilityError(f"this is {age:.0f} s old: the watchdog hangs or was stopped")
    return code


def _pause(settings: Settings, options: argparse.Namespace) -> int:
    now = time.time()
    until = now + options.duration if options.duration else None
    by = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    Control(Path(settings.state_directory)).pause(Pause(round(now, 3), until, by))
    end = f"until {when(until)}" if until else "until `resume`"
    answer(f"paused {end}: the watchdog of {settings.service} keeps watching, and does nothing")
    return 0


def _resume(settings: Settings, _options: argparse.Namespace) -> int:
    Control(Path(settings.state_directory)).resume()
    answer(f"the watchdog of {settings.service} acts again, with its whole budget")
    return 0


def _history(settings: Settings, options: argparse.Namespace) -> int:
    entries = []
    for path in (settings.monitor_log, settings.recovery_log):
        for line in tail(path):
            with contextlib.suppress(*_DAMAGE):
                entry = json.loads(line)
                if entry["kind"] in ("problem", "resolved", "action", "resume", "restart"):
                    text = f"{when(entry['time'])}  {entry['kind']:<8}  {entry['key']}: {_short(entry)}"
                    entries.append((float(entry["time"]), json.dumps(entry) if options.json else text))
    entries.sort(key=lambda item: item[0])
    chosen = [text for _moment, text in entries[-options.count :]]
    if options.json:
        sys.stdout.write("".join(f"{text}\n" for text in chosen))
    else:
        answer(
            *chosen
            or [f"nothing happened yet: the watchdog of {settings.service} has neither done nor reported anything"]
        )
    return 0


def _short(entry: Mapping[str, Any]) -> str:
    """What is over was reported in full when it began."""
    message = str(entry["message"])
    return f"{entry['code']} is {message.partition(':')[0]}" if entry["kind"] == "resolved" else message
