# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gixy, the checker that our users would run, says to the whole configuration of a host: nginx -T."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from testinfra.host import Host

# Findings that are no mistake, by the name of gixy's check: words of the configuration, and why.
EXPLAINED = {
    # The way from the health location to a constant answer, after auth_request has asked the service. The file that is
    # looked for is never there; one look at a directory for each health request from outside is no load.
    "try_files_is_evil_too": ("/health",),
    # Debian 12's own nginx.conf, for servers that do not say it themselves; each of ours does.
    "weak_ssl_tls": ("ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;", "ssl_prefer_server_ciphers on;"),
}


def findings(host: Host, directory: Path) -> list[dict[str, Any]]:
    """What it finds above low in the configuration as it is on the host."""
    dump = directory / "nginx.conf"
    dump.write_text(host.check_output("nginx -T 2>/dev/null"), encoding="utf-8")
    run = subprocess.run(["gixy", "--format=json", "-ll", dump], capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def unexplained(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in found if not any(part in item["config"] for part in EXPLAINED.get(item["plugin"], ()))]


def is_seen(site: str, found: list[dict[str, Any]]) -> bool:
    """Whether the configuration has that site of ours: what is explained of each is found."""
    return any(f"/.{site}-none" in item["config"] for item in found)
