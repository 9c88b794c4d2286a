# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees who asks how the backups are: at night, and in a hurry."""

from __future__ import annotations

import time

from ..._checks.backup import judge_backups
from ..._checks.findings import CRITICAL, OK, WARNING, Finding, ago, worst_of
from ..._host.console import answer
from ..._postgresql.archiving import read_archiving
from ..._postgresql.client import MissingDriverError, PgError
from ..._postgresql.pgbackrest import Backup, BackupError, PgBackRest
from ..display import show_findings, stamp
from .kept import Kept
from .server import removing, to_running
from .settings import Settings
from .state import State

_MOST_SHOWN = 14
_MB = 1_000_000


def show_overview(settings: Settings, state: State, pgbackrest: PgBackRest) -> bool:
    """Print it; return whether all is well."""
    now = time.time()
    findings = _findings(settings, state, now)
    lines = []
    try:
        backups = pgbackrest.backups()
    except BackupError as error:
        findings.append(Finding("repository", CRITICAL, str(error)))
        backups = []
    if backups:
        lines += ["", *_table(backups, now)]
        lines += ["", f"The server can be had as it was at any time since {stamp(backups[0].ended + 1)}:"]
        lines.append(f"  postgresql-backup restore --time '{stamp(max(backups[0].ended + 1, now - 600))}'")
        lines.append("makes a second one beside it, to look at and to take from; nothing of the running one changes.")
    answer(f"Backups of PostgreSQL {settings.version}, stanza {settings.stanza}", "")
    show_findings(findings)
    answer(*lines, *_kept(settings))
    return worst_of(findings) == OK


def _findings(settings: Settings, state: State, now: float) -> list[Finding]:
    try:
        with to_running(settings) as client:
            archiving = read_archiving(client)
    except (PgError, MissingDriverError) as error:
        return [Finding("server", WARNING, f"the running server can't be asked: {error}")]
    return list(judge_backups(state.record, archiving, now))


def _kept(settings: Settings) -> list[str]:
    """What takes as much of the disk as the server does."""
    lines = []
    for home in (settings.restored, removing(settings.restored)):
        if home.exists():
            lines.append(f"{home} has a restored server. To remove it: postgresql-backup forget")
    if settings.replaced.exists():
        kept = Kept(settings)
        lines += [f"The server is {kept.active()}.", *kept.lines()]
    return ["", *lines] if lines else []


def _table(backups: list[Backup], now: float) -> list[str]:
    left = len(backups) - _MOST_SHOWN
    lines = [f"({left} older ones)"] if left > 0 else []
    return lines + [
        f"  {backup.label:<34} {stamp(backup.ended)}  {ago(now - backup.ended):>11} old"
        f"  {backup.size / _MB:7.0f} MB, {backup.stored / _MB:.0f} MB of them new"
        for backup in backups[-_MOST_SHOWN:]
    ]
