# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-diagnose` command: the state of a service on its host, for people and, as JSON, for machines."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pwd
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _diagnose_database as database
from . import _diagnose_host as host
from . import _diagnose_proxy as proxy
from . import _diagnose_secrets as secrets
from . import _diagnose_service as service
from . import _diagnose_system as system
from . import _diagnose_workers as workers
from ._diagnose_run import Check, Context, run_checks
from ._diagnose_state import Samples
from ._findings import CRITICAL, OK, WARNING, Finding, worst_of

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
    "secrets": secrets.check_secrets,
    "database": database.check_database,
    "pool": database.check_pool,
    "connections": database.check_connections,
    "statements": database.check_statements,
    "indexes": database.check_indexes,
}
EXIT = {OK: 0, WARNING: 1, CRITICAL: 2}
_COLOURS = {OK: "32", WARNING: "33", CRITICAL: "31"}


class ConfigError(Exception):
    """The command can't begin; the message says why."""


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command with its configuration file; returns the exit status."""
    options = _parse(arguments, config)
    try:
        settings = load_config(Path(options.config))
        become(settings["user"])
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT[CRITICAL]
    started = time.monotonic()
    context = Context(settings, Samples(Path(settings["state_file"])))
    chosen = {name: check for name, check in CHECKS.items() if not options.check or name in options.check}
    findings = run_checks(chosen, context) + _keep(context, complete=not options.check)
    elapsed = time.monotonic() - started
    text = as_json(settings, findings, elapsed) if options.json else as_table(settings, findings, _coloured())
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
    if options.prune:
        prune(settings["reports"], datetime.datetime.now(tz=datetime.UTC).date())
    return EXIT[worst_of(findings)]


def run(config: str) -> None:
    """Run the command and end the process at once: a check that still hangs must not hold it up."""
    status = main(config)
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)


def _parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Show the state of the service on this host.",
        epilog="Exit status: 0 all is well, 1 there is a warning, 2 something is critical.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--check", action="append", choices=list(CHECKS), help="only this check; may be repeated")
    parser.add_argument("--prune", action="store_true", help="afterwards delete daily reports older than configured")
    parser.add_argument("--config", default=config, help="configuration file (default: %(default)s)")
    return parser.parse_args(arguments)


def load_config(path: Path) -> dict[str, Any]:
    """Raises ConfigError."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise ConfigError(f"{path} is not readable for you: run this as root or as the service's user") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}. Apply the playbook to have it written anew.") from error
    if not isinstance(settings, dict) or not {"service", "user", "state_file", "timeout"} <= set(settings):
        raise ConfigError(f"{path} is no configuration of this command. Apply the playbook to have it written anew.")
    return settings


def become(user: str) -> None:
    """As root, turn into the service's user for good: root then sees what cron sees, and leaves no file of its own."""
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except (KeyError, OSError) as error:
        raise ConfigError(f"can't become user {user}: {error}") from error


def _keep(context: Context, complete: bool) -> list[Finding]:
    """Save the samples of a complete run (a partial one would lose the others')."""
    if not complete:
        return []
    try:
        context.samples.save()
    except OSError as error:
        path = context.config["state_file"]
        message = f"{path}: {error.strerror}; growth can't be measured. Free space or correct the directory's owner."
        return [Finding("state", WARNING, message)]
    return []


def as_json(settings: Mapping[str, Any], findings: Sequence[Finding], elapsed: float) -> str:
    report = {
        "service": settings["service"],
        "host": socket.gethostname(),
        "time": _now(),
        "status": worst_of(findings),
        "elapsed_ms": round(elapsed * 1000),
        "findings": [finding.as_dict() for finding in findings],
    }
    return json.dumps(report, ensure_ascii=True) + "\n"


def as_table(settings: Mapping[str, Any], findings: Sequence[Finding], coloured: bool) -> str:
    width = max((len(finding.check) for finding in findings), default=0)
    lines = [f"{_paint(finding.status, coloured)}  {finding.check:<{width}}  {finding.message}" for finding in findings]
    counts = [f"{sum(finding.status == status for finding in findings)} {status}" for status in (CRITICAL, WARNING, OK)]
    head = f"{settings['service']} on {socket.gethostname()} at {_now()}: {worst_of(findings).upper()}"
    return "\n".join([f"{head} ({', '.join(counts)})", *lines]) + "\n"


def _paint(status: str, coloured: bool) -> str:
    label = f"{status:<8}"
    return f"\x1b[{_COLOURS[status]}m{label}\x1b[0m" if coloured else label


def _coloured() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def prune(section: Mapping[str, Any], today: datetime.date) -> None:
    """Delete dated reports older than `keep_days`."""
    oldest = today - datetime.timedelta(days=int(section["keep_days"]))
    name = re.compile(re.escape(section["prefix"]) + r"(\d{4}-\d{2}-\d{2})\.txt")
    for path in Path(section["directory"]).glob(f"{section['prefix']}*"):
        match = name.fullmatch(path.name)
        with contextlib.suppress(ValueError, OSError):
            if match and datetime.date.fromisoformat(match[1]) < oldest:
                path.unlink()
