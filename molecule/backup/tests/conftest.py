# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of backups share: one that is there, and a table of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backup import backup, backups
from databases import sql
from testinfra.host import Host


@pytest.fixture(scope="module")
def made(host: Host) -> str:
    """The label of a backup."""
    backup(host, "run", "--full")
    return str(backups(host)[-1]["label"])


@pytest.fixture
def numbers(host: Host) -> Iterator[str]:
    """A table with a thousand rows."""
    sql(host, "DROP TABLE IF EXISTS numbers; CREATE TABLE numbers AS SELECT n FROM generate_series(1, 1000) n")
    yield "numbers"
    sql(host, "DROP TABLE IF EXISTS numbers")
