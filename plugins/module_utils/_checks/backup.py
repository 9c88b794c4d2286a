# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be said of backups, of a server or of a service's files: how old the newest one is, when one was proven, and
whether another is due. Of a server also how much of its changes (WAL) is not in the archive.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator

from .findings import CRITICAL, OK, WARNING, Finding, Thresholds, ago, judge_value

_HOUR = 3600
_DAY = 24 * _HOUR
AHEAD = _HOUR
"""Seconds. What was made later than so long after now is of a time to come: by a clock that ran ahead."""
_MIB = 1024 * 1024
# Hours. There is one each day, at about the same time.
_BACKUP = Thresholds(30, 54)
# Percent of what may wait, and what is meant by that where the server keeps everything.
_WAITING = Thresholds(20, 50)
_USUAL_LIMIT = 1024 * _MIB
# A server that archives was started for it: so young, it need not have a backup, nor the proof of one.
_FIRST_BACKUP = 2 * _HOUR
# A restart of what the repository is on is over by then.
_LONG = _HOUR
_FIRST_DRILL = 2 * _DAY
# What the findings are called that say how old something is.
NEWEST, PROVEN = "backup.newest", "backup.restore"
# The timers come each hour, at a minute of the host's own.
_ABOUT = _DAY / 2


@dataclasses.dataclass(frozen=True)
class _Subject:
    """What the findings of backups are called, and the command for them."""

    newest: str
    proven: str
    command: str
    where: str = ""
    proof: str = "restored and found good"

    @property
    def run(self) -> str:
        return f"`{self.command} run`{self.where} makes one, or says what is wrong"

    @property
    def drill(self) -> str:
        return f"Put it right, and prove it by `{self.command} drill`{self.where}"


_SERVER = _Subject(NEWEST, PROVEN, "postgresql-backup", " on the database's host")


@dataclasses.dataclass(frozen=True)
class LastBackup:
    """Of the last attempt to make a backup. Times are seconds since the epoch, 0 for never."""

    made: float = 0.0
    """When the newest backup ended."""
    label: str = ""
    error: str = ""
    """Why the last attempt failed; empty when it did not."""
    lost: str = ""
    """The newest one of its time, where the repository has lost it; until a person demands another one."""
    repository: str = ""
    """Where it is; empty in a record of a time when these did not say so."""
    begun: float = 0.0
    """When that repository took the place of another one; 0 of the first one."""

    def missing(self, newest: str) -> str:
        """What a repository has lost that has this one as its newest: labels grow, and no expiry takes the newest."""
        return self.label if self.label > newest else self.lost


@dataclasses.dataclass(frozen=True)
class LastDrill:
    """Of the last attempt to restore a backup beside the server. Times are seconds since the epoch, 0 for never."""

    proven: float = 0.0
    """When a restore was proven last, and of which backup, in so many seconds."""
    label: str = ""
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    """What the last drill found; empty when it was a proof."""
    begun: float = 0.0
    """When one began that has not ended."""
    tried: float = 0.0
    """When the last one began, whatever it found."""
    repository: str = ""
    """As of the last backup."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What the server's host knows of its backups, and how it is set up."""

    backup: LastBackup = dataclasses.field(default_factory=LastBackup)
    drill: LastDrill = dataclasses.field(default_factory=LastDrill)
    drill_days: int = 7
    wal_limit: int = 0
    """Bytes that may wait for the archive; 0 where the server keeps all."""
    given_up: float = 0.0
    """When changes were given up last, since more had to wait."""
    replaced: float = 0.0
    """When a restored server took the place of the one before."""


def is_of_another(record: LastBackup | LastDrill, repository: str) -> bool:
    return record.repository not in ("", repository)


def of_repository(record: Record, repository: str, now: float) -> Record:
    """The record without what is known of another repository."""
    backup = LastBackup(begun=now) if is_of_another(record.backup, repository) else record.backup
    drill = LastDrill() if is_of_another(record.drill, repository) else record.drill
    backup = dataclasses.replace(backup, repository=repository)
    return dataclasses.replace(record, backup=backup, drill=dataclasses.replace(drill, repository=repository))


@dataclasses.dataclass(frozen=True)
class Archiving:
    """Of the server's archiving, as it says itself. Times are seconds since the epoch, 0 for never."""

    enabled: bool
    started: float
    """When the server was."""
    archived: float
    failed: float
    waiting: int
    """Bytes of complete WAL that are not in the archive yet."""

    @property
    def fails(self) -> bool:
        return self.failed > self.archived


def judge_backups(record: Record, archiving: Archiving, now: float) -> Iterator[Finding]:
    begun = max(archiving.started, record.backup.begun)
    yield _judge_newest(_SERVER, record, now - begun, now)
    yield _judge_drill(_SERVER, record, now - begun, now)
    yield _judge_archiving(archiving, record.wal_limit, now)


def judge_files(record: Record, begun: float, now: float, command: str) -> Iterator[Finding]:
    """Of a service's files, whose backups were set up at that time."""
    begun = max(begun, record.backup.begun)
    subject = _Subject("files.newest", "files.restore", command, proof="read and compared with the files")
    yield _judge_newest(subject, record, now - begun, now)
    yield _judge_drill(subject, record, now - begun, now)


def _judge_newest(subject: _Subject, record: Record, up: float, now: float) -> Finding:
    check, backup, run = subject.newest, record.backup, subject.run
    if not backup.made:
        where = f" in {backup.repository}" if backup.begun else ""
        if not backup.error and up < _FIRST_BACKUP:
            return Finding(check, OK, f"there is no backup{where} yet; the first one is made soon")
        return Finding(check, CRITICAL, f"there is no backup{where}. {_because(backup)}{run}.")
    if backup.lost:
        lost = f"the repository has lost backup {backup.lost}, which was the newest one. {_because(backup)}"
        return Finding(check, CRITICAL, f"{lost}Find out who removed it, then: `{subject.command} run`{subject.where}.")
    if backup.made > now + AHEAD:
        return _judge_ahead(subject, record, now)
    if max(record.given_up, record.replaced) > backup.made:
        return _judge_outdated(record, now)
    message = f"the newest backup, {backup.label}, is {ago(now - backup.made)} old"
    found = judge_value(
        check, round((now - backup.made) / _HOUR, 1), _BACKUP, message, f"{_because(backup)}{run}.", unit="hours"
    )
    if found.status == OK and backup.error:
        found = dataclasses.replace(found, status=WARNING, message=f"{message}. {_because(backup)}{run}.")
    return found


def _judge_ahead(subject: _Subject, record: Record, now: float) -> Finding:
    """Nobody knows what was before it and what since, and pgBackRest makes none whose label is older."""
    backup = record.backup
    message = f"backup {backup.label} is of a time to come: the host's clock was wrong then, or is now."
    if record.given_up:
        message += f" Changes were given up {ago(now - record.given_up)} ago, maybe since."
    advice = f"Set the clock right. {subject.run}; where that is refused see docs/backup.md."
    status = CRITICAL if backup.error or record.given_up else WARNING
    return Finding(subject.newest, status, f"{message} {_because(backup)}{advice}")


def _judge_outdated(record: Record, now: float) -> Finding:
    """Something has happened since the newest backup that makes another one necessary."""
    status, message = WARNING, f"the server was replaced {ago(now - record.replaced)} ago; it has no backup yet."
    if record.given_up > record.backup.made:
        message = f"changes were given up {ago(now - record.given_up)} ago: what was done since can't be restored"
        status, message = CRITICAL, f"{message} before there is a new backup."
    return Finding(NEWEST, status, f"{message} {_because(record.backup)}{_SERVER.run}.")


def _because(backup: LastBackup) -> str:
    return f"The last attempt failed: {backup.error} " if backup.error else ""


def _judge_drill(subject: _Subject, record: Record, up: float, now: float) -> Finding:
    check, drill = subject.proven, record.drill
    if drill.problems:
        return Finding(check, CRITICAL, f"the backup could not be proven: {' '.join(drill.problems)} {subject.drill}.")
    if not drill.proven:
        if up < _FIRST_DRILL:
            return Finding(check, OK, "no backup has been proven yet; the first drill is made soon")
        return Finding(check, WARNING, f"no backup has been proven yet. {subject.drill}.")
    days = Thresholds(record.drill_days + 3, 2 * record.drill_days + 7)
    age = round((now - drill.proven) / _DAY, 1)
    message = f"backup {drill.label} was {subject.proof} {ago(now - drill.proven)} ago, in {drill.seconds:.0f} s"
    return judge_value(check, age, days, message, f"{subject.drill}.", unit="days")


def _judge_archiving(found: Archiving, limit: int, now: float) -> Finding:
    check = "backup.archive"
    if not found.enabled:
        message = "the server archives nothing (archive_mode), so that only what a backup holds can be restored"
        return Finding(check, CRITICAL, f"{message}. Apply the playbook.")
    waiting = f"{found.waiting / _MIB:.0f} MB of changes wait for the archive"
    then = (
        f"beyond {limit / _MIB:.0f} MB they are given up" if limit else "the server keeps them until its disk is full"
    )
    advice = f"The repository does not take them, or not fast enough: {then}. See the server's log."
    share = round(100 * found.waiting / (limit or _USUAL_LIMIT), 1)
    judged = judge_value(check, share, _WAITING, waiting, advice, unit="%")
    if not found.fails:
        return judged
    # how much waits the server does not know where it has archived nothing since it was started
    failing = now - max(found.archived, found.started)
    status = CRITICAL if failing > _LONG or judged.status == CRITICAL else WARNING
    message = f"archiving fails, for {ago(failing)}; {waiting}. {advice}"
    return dataclasses.replace(judged, status=status, message=message)


def is_backup_due(newest: float, since: float, hour: int, now: float) -> bool:
    """There is to be one since that hour, and since then. A time to come is a clock's fault."""
    return not max(_last(hour, now), since) <= newest <= now + AHEAD


def _last(hour: int, now: float) -> float:
    """When that hour began last, by the clock on the wall: of one that comes twice the first one counts."""
    begun = datetime.datetime.fromtimestamp(now).replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    if begun.timestamp() > now:
        begun -= datetime.timedelta(days=1)
    return begun.timestamp()


def is_full_due(newest: float, days: int, now: float) -> bool:
    return now - newest > days * _DAY - _ABOUT


def is_drill_due(record: Record, hour: int, now: float) -> bool:
    """As soon as there is a backup; later at that hour, by the age of the last proof or its failure.

    A host that was off at that hour drills when it is on again.
    """
    if not record.backup.made:
        return False
    drill = record.drill
    if not (drill.proven or drill.problems):
        return True
    planned = _last(hour, now)
    is_done = planned <= max(drill.tried, drill.proven) <= now
    return not is_done and wants_proof(record, planned)


def wants_proof(record: Record, now: float) -> bool:
    """Whether the last proof is old, or has failed."""
    is_young = 0 <= now - record.drill.proven < record.drill_days * _DAY - _ABOUT
    return bool(record.drill.problems) or not is_young
