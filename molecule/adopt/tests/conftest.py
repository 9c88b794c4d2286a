# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that were there before: set up once, and gone at the end with all around them."""

from __future__ import annotations

from collections.abc import Iterator

import by_hand
import pytest
from hosts import HOST, host_of
from testinfra.host import Host


@pytest.fixture(scope="session")
def services() -> Iterator[Host]:
    host = host_of(HOST)
    by_hand.set_up(host)
    yield host
    by_hand.tear_down(host)
