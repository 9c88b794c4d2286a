# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the inventory reach each other where service_address says."""

from __future__ import annotations

import pytest
from fleet import ALL, address_of
from hosts import host_of


@pytest.mark.parametrize("name", ALL)
def test_each_host_reaches_every_other(name: str) -> None:
    host = host_of(name)
    for other in ALL:
        host.check_output(f"python3 -c 'import socket; socket.create_connection((\"{address_of(other)}\", 22), 5)'")
