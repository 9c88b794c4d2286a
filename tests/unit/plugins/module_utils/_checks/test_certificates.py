# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, judged by their dates."""

from __future__ import annotations

import time

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.certificates import judge_dates
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    FallingThresholds,
)
from ansible_collections.workbot.stability.plugins.module_utils._net.tls import CertificateDates

DAY = 86400


@pytest.mark.parametrize(
    ("begins", "ends", "status", "said"),
    [
        (-1, 90, OK, "90 days"),
        (-69, 21, WARNING, "Renew it"),
        (-83, 7, CRITICAL, "Renew it"),
        # those that are valid for 45 days, and for six
        (-31, 14, OK, "valid for 14 days"),
        (-34, 11, WARNING, "Renew it"),
        (-4, 2, OK, "valid for 2 days"),
        (-5, 1, WARNING, "Renew it"),
        (-5.6, 0.4, CRITICAL, "Renew it"),
        # for six minutes
        (-0.001, 0.003, OK, "valid for 0 days"),
        (-1, -2, CRITICAL, "has expired"),
        (1, 90, CRITICAL, "not valid before"),
    ],
)
def test_dates_are_judged(begins: float, ends: float, status: str, said: str) -> None:
    now = time.time()
    dates = CertificateDates(now + begins * DAY, now + ends * DAY)
    finding = judge_dates("x.test", dates, now, FallingThresholds(21, 7))
    assert finding.status == status
    assert said in finding.message
