# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the backups of a service's files are: in one repository, or in some that take turns.

A repository host removes what is old without looking into it: its user has neither the key nor a reason to trust what
is in there. So a new repository begins where one has been in use for as long as backups are kept, and goes as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from .restic import Restic, ResticError, Snapshot
from .settings import Settings

_REPOSITORY = "RESTIC_REPOSITORY"
_DAY_SECONDS = 24 * 3600


class Repositories:
    """Those of a service; `secrets` are what restic has to be given in its environment."""

    def __init__(self, settings: Settings, secrets: Mapping[str, str]) -> None:
        places = [secrets[_REPOSITORY]]
        if settings.turns > 1:
            places = [f"{places[0]}{turn}/" for turn in range(settings.turns)]
        self._days = settings.files_days
        self._all = [Restic(settings.cache, settings.options, {**secrets, _REPOSITORY: place}) for place in places]

    def current(self, now: float) -> Restic:
        """The one whose turn it is."""
        return self._all[int(now // (self._days * _DAY_SECONDS)) % len(self._all)]

    def snapshots(self) -> tuple[list[Snapshot], list[str]]:
        """Of all that can be read, the oldest first; and what is wrong with each of the others."""
        found: list[Snapshot] = []
        problems = []
        for turn, restic in enumerate(self._all):
            try:
                found += restic.snapshots() or []
            except ResticError as error:
                problems.append(f"repository {turn} can't be read: {error}" if len(self._all) > 1 else str(error))
        return sorted(found, key=lambda each: each.begun), problems

    def forget(self) -> None:
        """Remove old backups, where no other host does that. Raises ResticError."""
        if len(self._all) == 1:
            self._all[0].forget(self._days)
