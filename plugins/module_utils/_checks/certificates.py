# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a certificate that is served will do."""

from __future__ import annotations

import dataclasses
import time
from urllib.parse import urlsplit

from .._acme.attempts import Failure, last_failure
from .._net.tls import CertificateDates, read_dates, reason_of
from .findings import CRITICAL, OK, FallingThresholds, Finding
from .nginx import DEFAULT_PORTS

_DAY = 86400
_RENEW = "Renew it; if it was renewed, reload Nginx (systemctl reload nginx)."
# Days. certbot renews when a third is left: with the levels of one for 90 days, one for 45 would always be a warning.
_SHORT = 63


@dataclasses.dataclass(frozen=True)
class Served:
    """Where a service's site serves its certificate: for this host name, or where there is none for the address."""

    service: str
    url: str
    host_name: str
    timeout: float


def check_served(served: Served, now: float, thresholds: FallingThresholds) -> Finding:
    """Until when the certificate is valid that is served, and why the last attempt to get another one failed."""
    parts = urlsplit(served.url)
    address = parts.hostname or ""
    name = served.host_name or address
    try:
        dates = read_dates(address, parts.port or DEFAULT_PORTS["https"], name, served.timeout)
    except OSError as error:
        reason = reason_of(error, served.timeout)
        message = f"the certificate of {name} can't be read: {reason}. Is Nginx running, and does it serve HTTPS?"
        found = Finding("certificates", CRITICAL, message, timed=isinstance(error, TimeoutError))
    else:
        found = judge_dates(name, dates, now, thresholds)
    return with_attempt(found, last_failure(served.service))


def with_attempt(found: Finding, failure: Failure | None) -> Finding:
    """A good certificate says nothing of a failure: the next attempt is made in time."""
    if found.status == OK or failure is None:
        return found
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(failure.time))
    reason = " ".join(failure.reason.split())
    return dataclasses.replace(found, message=f"{found.message} The last attempt ({when}) failed: {reason}")


def judge_dates(
    name: str,
    dates: CertificateDates,
    now: float,
    thresholds: FallingThresholds,
    *,
    check: str = "certificates",
    advice: str = _RENEW,
) -> Finding:
    """`thresholds` are in days; a certificate for less than 63 has levels of its own, a quarter and a twelfth of it."""
    lasts = max(dates.ends - dates.begins, 1) / _DAY
    if lasts < _SHORT:
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
