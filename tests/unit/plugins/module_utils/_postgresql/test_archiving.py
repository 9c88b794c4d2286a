# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of WAL a name means."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.archiving import number_of

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        ("000000010000000000000009", "00000001000000000000000A", 16 * MIB),
        ("0000000100000000000000FF", "000000010000000100000000", 16 * MIB),
        ("0000000100000000000000FF", "000000020000000100000000", 16 * MIB),
        ("000000010000000000000FFF", "000000010000000100000000", MIB),
        ("000000010000000000000003", "000000010000000100000000", 1024 * MIB),
    ],
)
def test_files_follow_each_other(before: str, after: str, size: int) -> None:
    assert number_of(after, size) == number_of(before, size) + 1
