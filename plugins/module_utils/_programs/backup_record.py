# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of backups as text, for whoever asks the server, and of file backups in a file."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

from .._checks.backup import Record, of_repository
from .records import decode, load_or_new

_LONGEST = 500
_MOST_PROBLEMS = 5
_LARGEST = 64 * 1024
LOCK = "lock"
"""Beside the record: made once, and not written to."""


def to_text(record: Record) -> str:
    """Everybody reads it: what is long is cut."""
    return json.dumps(dataclasses.asdict(shortened(record)))


def from_text(text: str) -> Record:
    """What is damaged, or nothing, says that nothing was made yet."""
    try:
        return decode(Record, json.loads(text))
    except ValueError:
        return Record()


def load_record(path: Path, repository: str | None = None) -> Record:
    """What is damaged, or not there, says that nothing was made yet; so does what is of another repository."""
    record = load_or_new(Record, path, _LARGEST)
    return record if repository is None else of_repository(record, repository, time.time())


def begun_at(path: Path) -> float:
    """When the first run began that kept its record there; before that, when all was set up. Raises OSError."""
    first = path.with_name(LOCK)
    return (first if first.exists() else path.parent).stat().st_mtime


def shortened(record: Record) -> Record:
    problems = tuple(problem[:_LONGEST] for problem in record.drill.problems[:_MOST_PROBLEMS])
    return dataclasses.replace(
        record,
        backup=dataclasses.replace(record.backup, error=record.backup.error[:_LONGEST]),
        drill=dataclasses.replace(record.drill, problems=problems),
    )
