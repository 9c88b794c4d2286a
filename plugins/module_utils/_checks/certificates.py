# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a certificate that is served will do."""

from __future__ import annotations

import time

from .._net.tls import CertificateDates
from .findings import CRITICAL, OK, FallingThresholds, Finding

_DAY = 86400
_RENEW = "Renew it; if it was renewed, reload Nginx (systemctl reload nginx)."


def judge_dates(
    name: str,
    dates: CertificateDates,
    now: float,
    thresholds: FallingThresholds,
    *,
    check: str = "certificates",
    advice: str = _RENEW,
) -> Finding:
    """`thresholds` are in days."""
    lasts = max(dates.ends - dates.begins, 1) / _DAY
    # certbot renews when a third is left: of a certificate for 45 days, or for six, that is no warning
    if lasts < 3 * thresholds.warning:
        thresholds = FallingThresholds(lasts / 4, lasts / 12)
    left = (dates.ends - now) / _DAY
    days = round(left, 1)
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(dates.ends))
    if dates.begins > now:
        begins = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(dates.begins))
        message = f"the certificate of {name} is not valid before {begins}. Is the host's clock right?"
        return Finding(check, CRITICAL, message, days, thresholds.critical, "days")
    if left <= 0:
        message = f"the certificate of {name} has expired on {until}. {advice}"
        return Finding(check, CRITICAL, message, days, thresholds.critical, "days")
    status = thresholds.status(left)
    message = f"the certificate of {name} is valid for {days:g} days, until {until}"
    message += "" if status == OK else f". {advice}"
    return Finding(check, status, message, days, thresholds.exceeded(left), "days")
