# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""certbot's hook: a renewed certificate counts once Nginx serves it.

certbot calls it for each certificate that it has renewed, whosever that is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

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
    if os.environ.get("RENEWED_LINEAGE") != str(Path(given["certificate"]).parent):
        return
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
        renew(desired, Layout())
    except (StabilityError, OSError) as error:
        complain(error)
        raise SystemExit(1) from error
