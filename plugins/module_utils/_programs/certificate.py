# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What follows a run of certbot: a renewed certificate counts once Nginx serves it, and a failure is noted.

certbot calls it for each certificate that it has renewed, whosever that is; systemd when a run of the timer has ended.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._acme.attempts import note_failure, note_renewal, why_not_renewed
from .._host.command import call
from .._host.console import complain
from .._host.errors import StabilityError
from .._net.certificate import Certificate
from .._nginx.apply import renew
from .._nginx.plan import Desired
from .._nginx.probe import Probe
from .._nginx.staging import Layout


def run(settings: str) -> None:
    """`settings` are a JSON object: the site, its certificate and key, and the name and port that it is served by."""
    given = json.loads(settings)
    renewed, result = os.environ.get("RENEWED_LINEAGE"), os.environ.get("SERVICE_RESULT")
    try:
        if renewed == str(Path(given["certificate"]).parent):
            _serve(given)
        elif renewed is None and result is not None:
            _note(given["name"], os.environ["INVOCATION_ID"], result)
    except (StabilityError, OSError) as error:
        complain(error)
        raise SystemExit(1) from error


def _serve(given: dict[str, Any]) -> None:
    """Raises StabilityError and OSError."""
    certificate = Certificate(given["certificate"], given["key"])
    probe = Probe(
        address="127.0.0.1",
        port=given["port"],
        host=given["host"],
        path="/.probe",
        tls=True,
        expect_status=(404,),
        certificate_chain=given["certificate"],
    )
    desired = Desired(given["name"], certificates=[certificate], probes=[probe], announce=given["announce"])
    try:
        served = renew(desired, Layout())
    except (StabilityError, OSError) as error:
        # where it can't be kept, certbot's output has it still
        with suppress(OSError):
            note_failure(given["name"], f"It was renewed, but is not served: {error}")
        raise
    if served:
        note_renewal(given["name"])


def _note(name: str, invocation: str, result: str) -> None:
    """Raises StabilityError and OSError."""
    call("journalctl", "--sync")
    output = call("journalctl", "--quiet", "--output=cat", f"_SYSTEMD_INVOCATION_ID={invocation}")
    reason = why_not_renewed(output, name, result)
    if reason:
        note_failure(name, reason)
