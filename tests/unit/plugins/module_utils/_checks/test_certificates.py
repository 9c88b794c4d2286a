# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, judged by their dates."""

from __future__ import annotations

import time

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme.attempts import Failure
from ansible_collections.workbot.stability.plugins.module_utils._checks.certificates import judge_dates, with_attempt
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    WARNING,
    FallingThresholds,
    Finding,
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


@pytest.mark.parametrize(("left", "status"), [(31, OK), (29, WARNING), (13, CRITICAL)])
def test_levels_of_one_s_own_are_kept(left: float, status: str) -> None:
    """Let's Encrypt's are for 90 days, less a second."""
    now = time.time()
    dates = CertificateDates(now + (left - 90) * DAY + 1, now + left * DAY)
    assert judge_dates("x.test", dates, now, FallingThresholds(30, 14)).status == status


def test_why_the_last_attempt_failed_is_said_where_that_matters() -> None:
    failure = Failure(0, "Certbot failed:\n  Detail: refused")
    warning, fine = (Finding("certificates", status, "20 days.") for status in (WARNING, OK))
    said = "20 days. The last attempt (1970-01-01 00:00 UTC) failed: Certbot failed: Detail: refused"
    assert with_attempt(warning, failure).message == said
    assert with_attempt(warning, None) == warning
    assert with_attempt(fine, failure) == fine
