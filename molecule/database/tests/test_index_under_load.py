# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers hardly notice that an index of their table is built, or replaced."""

from __future__ import annotations

import pytest
from own_postgresql import Postgres
from write_load import CLIENTS, make_table, writing

# A build that blocks writes would stall them for as long as it takes: a multiple of this.
LONGEST_STALL = 1.0


@pytest.fixture(scope="module")
def written(postgres: Postgres) -> None:
    make_table(postgres)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(("columns", "action"), [(["c", "a"], "create"), (["c", "b", "a DESC"], "replace")])
def test_no_write_stalls_while_an_index_is_made_or_replaced(
    postgres: Postgres, columns: list[str], action: str
) -> None:
    wanted = [{"name": "written_c", "table": "written", "columns": columns}]
    with writing(postgres) as writes:
        made = postgres.converge(wanted)
    assert made.actions == {"written_c": action}
    assert writes.count > 100 * CLIENTS
    assert writes.longest < LONGEST_STALL
