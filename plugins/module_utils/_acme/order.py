# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate from an authority: what differs from what is wanted, and the order that brings it about.

An order that failed is remembered and not repeated within an hour: authorities count failures, for a name and for an
account, and lock out whoever goes on.
"""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from .._host.atomic import save_json
from .._host.command import PLAIN, CommandError, run
from .._host.errors import StabilityError
from .._host.service_tree import discard_path
from .._host.small_file import read_json
from .._net.private_ca import HAS_CRYPTOGRAPHY
from .._service.secret_values import hide
from .challenge import check_challenge
from .lineage import (
    Lineage,
    archive_path,
    certificate_path,
    hook_path,
    is_ours,
    read_lineage,
    renewal_path,
)

PROGRAM = Path("/usr/bin/certbot")
STATE = Path("/var/lib/certbot_certificate")
PAUSE = datetime.timedelta(hours=1)
_SECONDS = 300
_BUSY = "Another instance of Certbot is already running"
_BUSY_SECONDS = 120
_BUSY_PAUSE = 2.0
_LARGEST = 64 * 1024
_ENVIRONMENT = {**PLAIN, "HOME": "/root"}
_NOISE = (
    "Saving debug log",
    "Ask for help",
    "Hint:",
    "Requesting a certificate",
    "Renewing an existing",
    "Account reg",
)


@dataclass(frozen=True)
class Desired:
    name: str
    """certbot's name of the certificate."""
    names: Sequence[str]
    """Host names, the first of which is the certificate's common name."""
    email: str
    server: str
    webroot: str
    eab_kid: str = ""
    eab_hmac_key: str = ""

    def differences(self, found: Lineage | None, now: datetime.datetime) -> list[str]:
        """Why a certificate is to be ordered; empty where what is there is as it should be."""
        if found is None:
            return ["there is none"]
        wanted = frozenset(map(str.lower, self.names))
        pairs = (
            (wanted - found.names, f"it is not for {', '.join(sorted(wanted - found.names))}"),
            (found.names - wanted, f"it is also for {', '.join(sorted(found.names - wanted))}"),
            (found.server != self.server, f"it is of {found.server or 'an unknown authority'}"),
            (found.webroot != self.webroot, f"it is renewed by {found.webroot or 'other means'}"),
            (found.due < now, f"it ends on {found.ends:%Y-%m-%d}, and no timer has renewed it"),
        )
        return [reason for differs, reason in pairs if differs]

    @property
    def content(self) -> dict[str, Any]:
        """What an order is made of; of its secret only what tells it from another."""
        return {
            **asdict(self),
            "names": list(self.names),
            "eab_hmac_key": sha256(self.eab_hmac_key.encode()).hexdigest(),
        }


def converge(desired: Desired, *, check: bool, insist: bool) -> tuple[list[str], Lineage | None]:
    """Why the certificate was ordered (or would be), and what is there afterwards. Raises StabilityError and OSError.

    `insist` asks the authority at once, also where an order has failed within the hour, or where it seems that the
    authority would not find the challenge.
    """
    found = read_lineage(desired.name)
    why = desired.differences(found, _now())
    if not why or check:
        return why, found
    _refuse_remains(desired.name)
    if not insist:
        _refuse_early(desired)
        check_challenge(desired.names, Path(desired.webroot))
    try:
        return why, _order(desired)
    except StabilityError as error:
        reason = hide(str(error), {desired.eab_hmac_key} - {""})
        STATE.mkdir(mode=0o700, exist_ok=True)
        save_json(_note(desired.name), {"time": time.time(), "reason": reason, "content": desired.content})
        again = "The same is not ordered again within an hour, unless it is insisted on."
        raise StabilityError(f"{reason}\n{again}") from error


def remove(name: str, *, check: bool) -> bool:
    """The certificate of a site of these roles; whether there was one. Raises StabilityError and OSError.

    The hook goes last: it says whose the rest is.
    """
    ours = is_ours(name)
    if check or not ours:
        return ours
    if PROGRAM.exists() and renewal_path(name).exists():
        _certbot(["delete", "--cert-name", name])
    for path in (certificate_path(name).parent, archive_path(name), renewal_path(name), _note(name), hook_path(name)):
        discard_path(path)
    return True


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _refuse_remains(name: str) -> None:
    """Raises StabilityError where certbot would find out too late that it can't keep what was issued."""
    if not HAS_CRYPTOGRAPHY:
        raise StabilityError("this Python has no module cryptography: install the Debian package python3-cryptography")
    remains = [path for path in (certificate_path(name).parent, archive_path(name)) if path.exists()]
    if remains and not renewal_path(name).exists():
        raise StabilityError(f"{remains[0]} is there, and certbot knows nothing of it: move it away")


def _order(desired: Desired) -> Lineage:
    """Raises StabilityError."""
    arguments = [
        *("certonly", "--agree-tos", "--no-eff-email", "--email", desired.email, "--server", desired.server),
        *("--cert-name", desired.name, "--webroot", "--webroot-path", desired.webroot),
        # whether it is due was decided here, and who ordered it has it served
        *("--force-renewal", "--renew-with-new-domains", "--no-directory-hooks"),
        *(word for name in desired.names for word in ("--domain", name)),
    ]
    with _binding(desired) as binding:
        _certbot([*binding, *arguments])
    made = read_lineage(desired.name)
    if made is None or (left := desired.differences(made, _now())):
        raise StabilityError(f"certbot ordered the certificate, but {'; '.join(left) if made else 'it is not there'}")
    _note(desired.name).unlink(missing_ok=True)
    return made


@contextmanager
def _binding(desired: Desired) -> Iterator[list[str]]:
    """The account at an authority that knows its customers: by a file, since others see a command's arguments."""
    if not desired.eab_kid:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".ini") as file:
        file.write(f"eab-kid = {desired.eab_kid}\neab-hmac-key = {desired.eab_hmac_key}\n")
        file.flush()
        yield ["--config", file.name]


def _certbot(arguments: Sequence[str]) -> None:
    """Raises StabilityError with what certbot says, the authority's reason in it."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            run([PROGRAM, "--non-interactive", *arguments], cwd="/", environment=_ENVIRONMENT, timeout=_SECONDS)
        except CommandError as error:
            # the timer's run, which orders one certificate after another
            if _BUSY in error.output and time.monotonic() < deadline:
                time.sleep(_BUSY_PAUSE)
                continue
            raise StabilityError(_said(error)) from error
        return


def _said(error: CommandError) -> str:
    lines = [line.strip() for line in error.output.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    return "\n".join(kept) or str(error)


def _note(name: str) -> Path:
    return STATE / f"{name}.json"


def _refuse_early(desired: Desired) -> None:
    """Raises StabilityError where the same order has failed within the hour."""
    note: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        note = read_json(_note(desired.name), _LARGEST)
    failed = datetime.datetime.fromtimestamp(float(note.get("time", 0)), datetime.UTC)
    left = failed + PAUSE - _now()
    # a clock that was set back makes no longer pause
    if note.get("content") == desired.content and datetime.timedelta() < left <= PAUSE:
        raise StabilityError(
            f"{note.get('reason')}\nThat was at {failed:%H:%M} UTC; the same is not ordered again before"
            f" {failed + PAUSE:%H:%M} UTC, unless it is insisted on."
        )
