# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks of Nginx have in common: sites on the host of molecule, asked by wrk from that host itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def ansible(*command: str) -> None:
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)


def nginx_site(**arguments: Any) -> None:
    module = ["--module-name=workbot.stability.nginx_site", f"--args={json.dumps(arguments)}"]
    ansible("ansible", "--inventory=molecule/inventory", "app", "--become", *module)


INSTALL_WRK = "command -v wrk >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes wrk"


def wrk(name: str, port: int, connections: int, seconds: int) -> str:
    """The command that asks a site for so long."""
    return (
        f"wrk --threads 1 --connections {connections} --duration {seconds}s --latency --header 'Host: {name}'"
        f" http://127.0.0.1:{port}/page"
    )


def refuse_errors(name: str, output: str) -> None:
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{name} failed:\n{output}")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"wrk says something else than expected:\n{text}")
    return match[1]
