# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is restored."""

from __future__ import annotations

import datetime
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restic import Restic, Snapshot
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restoring import _snapshot

RESTIC = Restic("/cache", (), {})
HOUR = 3600.0


def repositories(*hours: float, problems: tuple[str, ...] = ()) -> Any:
    """With backups of so many hours from now, the oldest first."""
    found = [Snapshot(f"{each:+}", time.time() + each * HOUR, RESTIC) for each in hours]
    return SimpleNamespace(snapshots=lambda: (found, list(problems)))


@pytest.mark.parametrize(
    ("hours", "label"), [((-48, -24), "-24"), ((-24, 0.5), "+0.5"), ((-24, 900), "-24"), ((800, 900), "+900")]
)
def test_a_backup_of_a_time_to_come_is_the_newest_only_where_there_is_no_other(
    hours: tuple[float, ...], label: str
) -> None:
    assert _snapshot(repositories(*hours), None).label == label


def test_by_a_time_it_is_the_last_one_before() -> None:
    moment = datetime.datetime.now(datetime.UTC)
    hours = datetime.timedelta(hours=1)
    assert _snapshot(repositories(-48, -24, 900), moment - 30 * hours).label == "-48"
    assert _snapshot(repositories(-48, -24, 900), moment + 901 * hours).label == "+900"
    with pytest.raises(StabilityError, match="there is no backup of that time"):
        _snapshot(repositories(-24, 900), moment - 30 * hours)


def test_what_can_not_be_read_may_be_the_one_that_is_asked_for() -> None:
    with pytest.raises(StabilityError, match="repository 1"):
        _snapshot(repositories(-24, problems=("repository 1 can't be read.",)), None)
    with pytest.raises(StabilityError, match="holds no backup"):
        _snapshot(repositories(), None)
