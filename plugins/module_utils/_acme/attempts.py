# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the last attempt to get a certificate: the runs, certbot's timer and the diagnosis know it from here.

Root writes it, and everybody may read it: nothing in it is secret.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .._host.atomic import save, save_json
from .._host.small_file import read_json
from .lineage import certificate_path, renewal_path

STATE = Path("/var/lib/certbot_certificate")
BUSY = "Another instance of Certbot is already running"
_LARGEST = 64 * 1024
_FRAME = re.compile(r"^- - - [- ]*$", re.MULTILINE)
_NOISE = (
    "Saving debug log",
    "Ask for help",
    "Hint:",
    "Requesting a certificate",
    "Renewing an existing",
    "Account reg",
)
_ENDED = ("success", "exit-code")


@dataclass(frozen=True)
class Failure:
    """Of the last attempt; there is none where that has succeeded, or none was made."""

    time: float
    reason: str
    order: str = ""
    """The fingerprint of what was ordered; empty where it needs no pause, or the timer tried to renew what is there."""


def failure_path(name: str) -> Path:
    return STATE / f"{name}.json"


def renewed_path(name: str) -> Path:
    """Is there once a renewal was served, which nobody but the timer had begun: Nginx looks for it."""
    return STATE / f"{name}.renewed"


def note_failure(name: str, reason: str, order: str = "") -> None:
    """Raises OSError."""
    _make_directory()
    save_json(failure_path(name), asdict(Failure(time.time(), reason, order)), 0o644)


def note_renewal(name: str) -> None:
    """Raises OSError."""
    _make_directory()
    save(renewed_path(name), b"", 0o644)
    forget_failure(name)


def forget_failure(name: str) -> None:
    """Raises OSError."""
    failure_path(name).unlink(missing_ok=True)


def last_failure(name: str) -> Failure | None:
    """None where there is none, or where it can't be read."""
    with suppress(OSError, ValueError, TypeError):
        return Failure(**read_json(failure_path(name), _LARGEST))
    return None


def said(output: str) -> str:
    """What certbot says about a failure, without what it says of itself."""
    lines = [line.strip() for line in output.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(_NOISE))


def why_not_renewed(output: str, name: str, result: str) -> str:
    """Why a run of certbot for all certificates has not renewed that one; empty where it has, or where it was not due.

    `output` is what it has said, `result` what systemd calls the result of its unit.
    """
    failed = (f"{certificate_path(name)} (failure)", f"{renewal_path(name)} (parsefail)")
    heading, *blocks = f"Processing {renewal_path(name)}", *map(str.strip, _FRAME.split(output))
    if heading in blocks and any(line in output for line in failed):
        return said(blocks[blocks.index(heading) + 1])
    if result not in _ENDED:
        return f"certbot was ended: {result}"
    if result != "success" and heading not in blocks and BUSY not in output:
        return said(output)
    return ""


def _make_directory() -> None:
    STATE.mkdir(exist_ok=True)
    # everybody may pass through it, whatever root's umask is
    STATE.chmod(0o755)
