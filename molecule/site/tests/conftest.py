# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the tests; what they look at is in molecule/conftest.py."""

from __future__ import annotations

import pytest

# What the host is like right after the playbook, and only then: first. What changes it most: last.
# A deployment leaves variables of its own, which differ from what is declared.
ORDER = {"test_second_run": 0, "test_drift": 1, "test_reboot": 3}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.get(item.path.stem, 2))
