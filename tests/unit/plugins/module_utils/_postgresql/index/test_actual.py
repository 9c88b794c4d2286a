# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.actual import is_reindex_left_over


@pytest.mark.parametrize(
    ("name", "of", "is_one"),
    [
        ("i_ccnew", "i", True),
        ("i_ccold3", "i", True),
        ("j_ccnew", "i", False),
        ("i_ccnewer", "i", False),
        ("x" * 57 + "_ccnew", "x" * 63, True),
        ("x" * 20 + "_ccnew", "x" * 63, False),
    ],
)
def test_what_a_reindex_left_over_is_known_by_its_name(name: str, of: str, is_one: bool) -> None:
    assert is_reindex_left_over(name, of) is is_one
