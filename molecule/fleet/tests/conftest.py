# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the tests; what they look at is in molecule/support/fleet.py."""

from __future__ import annotations

import pytest

# What the hosts are like right after the playbook, and only then: first. What changes them most: last.
ORDER = ("test_second_run", "test_addresses", "test_requests", "test_bad_inventory", "test_outages", "test_membership")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))
