# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the unit does: a backup and a drill, where one is due or asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from collections.abc import Iterator

from ..._checks.backup import LastBackup, LastDrill, Record, is_backup_due, is_of_another, wants_proof
from ..._host.atomic import save_json
from ..._host.command import Identity
from ..._host.errors import StabilityError
from ..backup_record import load_record, shortened
from .archive import comparing, damaged, is_whole, packing, unreadable, unwritten
from .repositories import Repositories
from .restic import ResticError, Snapshot, sentence
from .settings import Settings

_BUSY_SECONDS = 12 * 3600.0
_READABLE = 0o640
# tar's: some files changed while it read them, or differ
_DIFFERENT = 1
_MOST_NAMED = 3
_EMPTY = "the repository is empty, though backup {} was made: is its disk mounted? If it is to be a new one: {}."
_LOST = "The repository has lost the newest backup, {}: find out who removed it, then: `{} run`."
_ANOTHER = (
    "the repository has backups that this host has no record of: where it was made again, restore first what is needed"
    " of them. Then {}."
)


class Jobs:
    """Each says what was done. Raises StabilityError, which is in the record as well, and OSError."""

    def __init__(self, settings: Settings, repositories: Repositories) -> None:
        self._settings = settings
        self._repositories = repositories
        self._user = Identity.of(settings.user)

    def due(self) -> str:
        """A backup, and a drill of it where the last proof is old or has failed."""
        with self._alone():
            if not is_backup_due(self._record.backup.made, 0.0, self._settings.hour, time.time()):
                return "Nothing is due."
            made = self._back_up(is_demanded=False)
            proven = self._drill() if wants_proof(self._record, time.time()) else ""
            return f"{whole(made)} {proven}".strip()

    def backup(self) -> str:
        with self._alone():
            return whole(self._back_up())

    def first(self) -> str:
        """A backup into a repository that is another one than before."""
        with self._alone():
            return whole(self._back_up(is_first=True))

    def drill(self) -> str:
        with self._alone():
            return self._drill()

    def take_over(self, found: Snapshot) -> None:
        """Go on after the newest backup of the host that is lost."""
        self._keep(backup=LastBackup(found.begun, found.label, repository=self._settings.repository))

    @property
    def _record(self) -> Record:
        record = load_record(self._settings.record, self._settings.repository)
        return dataclasses.replace(record, drill_days=self._settings.drill_days)

    def _keep(self, *, backup: LastBackup | None = None, drill: LastDrill | None = None) -> None:
        before = self._record
        record = dataclasses.replace(before, backup=backup or before.backup, drill=drill or before.drill)
        save_json(self._settings.record, dataclasses.asdict(shortened(record)), _READABLE, durable=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """What another job does comes first; of one that was killed the record says so."""
        with self._settings.alone(_BUSY_SECONDS):
            if is_of_another(load_record(self._settings.record).backup, self._settings.repository):
                # the first backup into this one may take hours
                self._keep()
            drill = self._record.drill
            if drill.begun:
                problem = f"The drill was ended before it had found out: see the journal of {self._settings.unit('*')}."
                self._keep(drill=dataclasses.replace(drill, begun=0.0, problems=(problem,)))
            yield

    def _back_up(self, *, is_first: bool = False, is_demanded: bool = True) -> LastBackup:
        """Older ones go where it is whole. Who demands one knows of what was lost."""
        try:
            made = self._store(self._record.backup, is_first)
            made = dataclasses.replace(made, lost="") if is_demanded else made
            self._keep(backup=made)
            if not made.error:
                self._repositories.forget()
        except ResticError as error:
            self._keep(backup=dataclasses.replace(self._record.backup, error=str(error)))
            raise
        return made

    def _store(self, before: LastBackup, is_first: bool) -> LastBackup:
        """Its error is what could not be read, of the files or of the repositories whose turn it is not."""
        restic = self._repositories.current(time.time())
        own = restic.snapshots()
        snapshots, problems = self._repositories.snapshots()
        # what can't be read may hold some
        is_empty = not snapshots and not problems
        known = before.label
        is_lost = known and not problems and known not in {each.label for each in snapshots}
        first = f"`{self._settings.command} run --first`"
        if known and is_empty and not is_first:
            raise ResticError(_EMPTY.format(known, first))
        if not known and not is_empty and not is_first:
            raise ResticError(" ".join([_ANOTHER.format(first), *problems]))
        if own is None:
            restic.create()
        restic.unlock()
        label, packed = restic.store(packing(self._settings.shared, self._user), is_whole, socket.gethostname())
        if unread := unwritten(packed.errors) if packed.status > _DIFFERENT else "":
            problems.insert(0, f"not all of the files could be read: {sentence(unread)}")
        lost = known if is_lost else before.lost
        return LastBackup(time.time(), label, " ".join(problems), lost, before.repository, before.begun)

    def _drill(self) -> str:
        before, began = self._record, time.time()
        self._keep(drill=dataclasses.replace(before.drill, begun=began))
        label = ""
        lost = before.backup.lost
        problems = [_LOST.format(lost, self._settings.command)] if lost else []
        try:
            newest = self._newest(before.backup.label)
            label = newest.label
            newest.repository.unlock()
            newest.repository.check()
            problems += self._compare(newest)
        except ResticError as error:
            problems.append(str(error))
        if problems:
            self._keep(drill=dataclasses.replace(before.drill, begun=0.0, problems=tuple(problems)))
            raise StabilityError("\n".join(problems))
        ended = time.time()
        self._keep(drill=LastDrill(ended, label, ended - began, repository=before.drill.repository))
        return f"Backup {label} was read and compared with the files, in {ended - began:.0f} s."

    def _newest(self, known: str) -> Snapshot:
        """The one that was made last here."""
        snapshots, problems = self._repositories.snapshots()
        found = [each for each in snapshots if each.label == known] if known else snapshots
        if problems and not found:
            raise ResticError(" ".join(problems))
        if not snapshots:
            raise ResticError("The repository holds no backup.")
        if not found:
            raise ResticError(_LOST.format(known, self._settings.command))
        return found[-1]

    def _compare(self, newest: Snapshot) -> Iterator[str]:
        """All that was stored is read, and what was not changed since has to be the same."""
        compared = newest.repository.fetch(newest.label, comparing(self._settings.shared, self._user))
        if compared.status < 0:
            yield "tar was killed while it compared the files."
        elif said := unreadable(compared.errors):
            yield f"What was stored is no whole archive: {sentence(said)}"
        if found := damaged(compared.output, self._settings.shared, self._user, newest.begun):
            named = ", ".join(found[:_MOST_NAMED])
            more = f" and {len(found) - _MOST_NAMED} others" if len(found) > _MOST_NAMED else ""
            yield f"What was stored of these is not what they are, though nobody has changed them: {named}{more}."


def whole(made: LastBackup) -> str:
    """What is said of a backup. Raises StabilityError where something is missing in it."""
    if made.error:
        raise StabilityError(f"Backup {made.label} is made, but {made.error}")
    return f"Backup {made.label} is made."
