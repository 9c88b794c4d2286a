# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import PgError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.build import Limits, struck


@pytest.mark.parametrize(
    ("kind", "sqlstate", "seconds", "build", "limit"),
    [
        ("build", "57014", 9.1, 9, "build_timeout (9 s)"),
        ("drop", "57014", 9.1, 9, "build_timeout (9 s)"),
        ("build", "57014", 3, 9, ""),
        ("build", "57014", 3, 0, ""),
        ("swap", "57014", 9.1, 9, ""),
        ("swap", "55P03", 2, 9, "lock_timeout (2 s, 6 times)"),
    ],
)
def test_a_step_that_somebody_cancelled_ran_into_no_limit(
    kind: str, sqlstate: str, seconds: float, build: float, limit: str
) -> None:
    error = PgError("storniere Anfrage wegen Benutzeraufforderung", sqlstate)
    assert struck(kind, error, seconds, Limits(lock=2, build=build, retries=5)) == limit
