# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-diagnose` command: the state of a service on its host, for people and, as JSON, for machines."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..._checks.findings import CRITICAL, OK, WARNING, Finding, worst_of
from ..._host.console import complain, run_command, terminal_width
from ..._host.errors import StabilityError
from ..common import become, load_settings
from ..display import EXIT, is_coloured
from .checks import database, proxy, service, system, workers
from .checks import storage as host
from .daily import Days, summary
from .runner import Check, Context, run_checks
from .samples import Samples
from .table import as_table, now

CHECKS: dict[str, Check] = {
    "release": service.check_release,
    "health": service.check_health,
    "event_loop": workers.check_event_loop,
    "proxy": service.check_proxy,
    "websocket": proxy.check_websocket,
    "certificates": proxy.check_certificates,
    "nginx": proxy.check_nginx,
    "processes": service.check_processes,
    "memory": service.check_memory,
    "descriptors": workers.check_descriptors,
    "units": service.check_units,
    "logs": host.check_logs,
    "disk": host.check_disk,
    "kernel": system.check_kernel,
    "clock": system.check_clock,
    "cron": system.check_cron,
    "secrets": service.check_secrets,
    "database": database.check_database,
    "pool": database.check_pool,
    "connections": database.check_connections,
    "statements": database.check_statements,
    "indexes": database.check_indexes,
    "backup": database.check_backup,
    "files": host.check_files,
}
_WATCH_SECONDS = 2.0
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 3600.0
# home, then clear to the end: what was there before stays in the terminal's history
_CLEAR = "\x1b[H\x1b[2J"


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command with its configuration file; returns the exit status."""
    options = _parse(arguments, config)
    try:
        settings = load_settings(Path(options.config), _checked)
        become(settings["user"])
    except StabilityError as error:
        complain(error)
        return EXIT[CRITICAL]
    if options.timeout is not None:
        settings = {**settings, "timeout_ms": options.timeout * 1000}
    if options.watch is None:
        return _once(settings, options)
    status = EXIT[OK]
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            status = _once(settings, options, clear=sys.stdout.isatty())
            time.sleep(options.watch)
    return status


def _once(settings: Mapping[str, Any], options: argparse.Namespace, clear: bool = False) -> int:
    """One run: check, keep, print."""
    started = time.monotonic()
    context = Context(settings, Samples(Path(settings["state_file"])))
    days = Days(Path(settings["days_file"]), context.now)
    chosen = {name: check for name, check in CHECKS.items() if not options.check or name in options.check}
    findings = run_checks(chosen, context)
    # a partial run has seen too little to be kept
    if not options.check and not options.read_only:
        findings += _keep(context, days, findings)
    elapsed = time.monotonic() - started
    text = as_json(settings, findings, elapsed) if options.json else as_text(settings, findings, options)
    if options.daily:
        text += summary(days.today, days.before)
        if page := settings["reports"].get("page"):
            text += f"\nThe day and the last four weeks as a page for a browser: {page}\n"
    sys.stdout.write((_CLEAR if clear else "") + text)
    sys.stdout.flush()
    if options.daily:
        _end_day(settings, days, context.now)
    return EXIT[worst_of(findings)]


def as_text(settings: Mapping[str, Any], findings: Sequence[Finding], options: argparse.Namespace) -> str:
    """Who asks for some checks, or keeps the report, wants to see all of it."""
    everything = bool(options.all or options.check or options.daily)
    return as_table(settings, findings, coloured=is_coloured(), everything=everything, width=terminal_width(sys.stdout))


def _keep(context: Context, days: Days, findings: Sequence[Finding]) -> list[Finding]:
    """What was seen, for later runs."""
    try:
        context.samples.save()
        days.add(findings, context.now)
    except OSError as error:
        path = context.config["state_file"]
        message = f"{path}: {error.strerror}; growth can't be measured. Free space or correct the directory's owner."
        return [Finding("state", WARNING, message)]
    return []


def _end_day(settings: Mapping[str, Any], days: Days, now: float) -> None:
    # that it can't be written, the report says already
    with contextlib.suppress(OSError):
        days.end(now)
    prune(settings["reports"], datetime.datetime.now(tz=datetime.UTC).date())


def run(config: str) -> None:
    """Run the command as a process of its own: a check that still hangs does not hold it up."""
    run_command(lambda: main(config))


def _parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Show the state of the service on this host.",
        epilog="Exit status: 0 all is well, 1 there is a warning, 2 something is critical,"
        " 3 something is not known, since the host was too busy to ask.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--all", action="store_true", help="also each finding that is well, in the checks' order")
    parser.add_argument("--check", action="append", choices=list(CHECKS), help="only this check; may be repeated")
    parser.add_argument(
        "--watch", nargs="?", type=_seconds, const=_WATCH_SECONDS, metavar="SECONDS",
        help=f"again and again, with a pause of so many seconds ({_WATCH_SECONDS:g}), until Ctrl-C",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS",
        help="how long each check may take (default: what the configuration file says)",
    )  # fmt: skip
    parser.add_argument("--read-only", action="store_true", help="keep no reading for later runs")
    parser.add_argument(
        "--daily", action="store_true",
        help="the daily report: add the day's worst values and what changed, and delete old reports",
    )  # fmt: skip
    parser.add_argument("--config", default=config, help="configuration file (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.daily and (options.json or options.check or options.read_only or options.watch is not None):
        parser.error("--daily is a report of everything, for people, that is kept: it goes with none of the others")
    return options


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if _LEAST_SECONDS <= float(text) <= _MOST_SECONDS:
            return float(text)
    message = f"{text!r} is not a number of seconds from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}"
    raise argparse.ArgumentTypeError(message)


def _checked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises ValueError."""
    missing = {"service", "user", "state_file", "days_file", "timeout_ms"} - settings.keys()
    if missing:
        raise ValueError(f"without {', '.join(sorted(missing))}")
    return settings


def as_json(settings: Mapping[str, Any], findings: Sequence[Finding], elapsed: float) -> str:
    report = {
        "service": settings["service"],
        "host": socket.gethostname(),
        "time": now(),
        "status": worst_of(findings),
        "elapsed_ms": round(elapsed * 1000),
        "findings": [finding.as_dict() for finding in findings],
    }
    return json.dumps(report, ensure_ascii=True) + "\n"


def prune(section: Mapping[str, Any], today: datetime.date) -> None:
    """Delete dated reports older than `keep_days`."""
    oldest = today - datetime.timedelta(days=int(section["keep_days"]))
    name = re.compile(re.escape(section["prefix"]) + r"(\d{4}-\d{2}-\d{2})\.txt")
    for path in Path(section["directory"]).glob(f"{section['prefix']}*"):
        match = name.fullmatch(path.name)
        with contextlib.suppress(ValueError, OSError):
            if match and datetime.date.fromisoformat(match[1]) < oldest:
                path.unlink()
