# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL of the tests' own, beside the service's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from own_postgresql import Postgres, own_postgresql
from testinfra.host import Host


@pytest.fixture(scope="module")
def postgres(host: Host) -> Iterator[Postgres]:
    yield from own_postgresql(host)
