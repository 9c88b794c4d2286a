# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the tests; what they look at is in molecule/conftest.py."""

from __future__ import annotations

import pytest

# What the host is like right after the playbook, and only then: first. What changes it most: last.
FIRST, LAST = "test_second_run", "test_reboot"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {FIRST: 0, LAST: 2}
    items.sort(key=lambda item: order.get(item.path.stem, 1))
