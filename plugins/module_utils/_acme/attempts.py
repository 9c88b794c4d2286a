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
    time: float
    reason: str
    order: str = ""
    """The fingerprint of what was ordered; empty where it needs no pause, or the timer tried to renew what is there."""


def failure_path(name: str) -> Path:
    """The last attempt, if it failed."""
    return STATE / f"{name}.json"


def refusal_path(name: str) -> Path:
    """The last order, if it was refused: no renewal meanwhile ends the pause before the next one."""
    return STATE / f"{name}.refused.json"


def renewed_path(name: str) -> Path:
    """Exists once a renewal that the timer began was served: Nginx looks for it."""
    return STATE / f"{name}.renewed"


def note_failure(name: str, reason: str, order: str = "") -> None:
    """Raises OSError."""
    _make_directory()
    failure = asdict(Failure(time.time(), reason, order))
    for path in (failure_path(name), *([refusal_path(name)] if order else [])):
        save_json(path, failure, 0o644)


def note_renewal(name: str) -> None:
    """Raises OSError."""
    _make_directory()
    save(renewed_path(name), b"", 0o644)
    failure_path(name).unlink(missing_ok=True)


def note_order(name: str) -> None:
    """Of one that has succeeded: nothing is left of failures. Raises OSError."""
    for path in (failure_path(name), refusal_path(name)):
        path.unlink(missing_ok=True)


def last_failure(name: str) -> Failure | None:
    """None where the last attempt has succeeded, none was made, or that can't be read."""
    return _read(failure_path(name))


def last_refusal(name: str) -> Failure | None:
    """The same of orders."""
    return _read(refusal_path(name))


def _read(path: Path) -> Failure | None:
    with suppress(OSError, ValueError, TypeError):
        return Failure(**read_json(path, _LARGEST))
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
