# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that were there before: set up once, and gone at the end with all around them."""

from __future__ import annotations

from collections.abc import Iterator

import by_hand
import pytest
import testinfra
from hosts import HOST, HOSTS
from testinfra.host import Host


@pytest.fixture(scope="session")
def services() -> Iterator[Host]:
    host = testinfra.get_host(f"ssh://{HOST}", ssh_config=str(HOSTS / "ssh_config"), sudo=True)
    by_hand.set_up(host)
    yield host
    by_hand.tear_down(host)
