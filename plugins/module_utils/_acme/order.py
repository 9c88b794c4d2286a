# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate from an authority: what differs from what is wanted, and the order that brings it about.

An order that failed is remembered and not repeated within an hour: authorities count failures, for a name and for an
account, and lock out whoever goes on.
"""

from __future__ import annotations

import datetime
import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from .._host.command import PLAIN, CommandError, run
from .._host.errors import StabilityError
from .._host.lock import lock
from .._host.service_tree import discard_path
from .._host.small_file import read_small
from .._host.units import reload_daemon
from .._net.private_ca import HAS_CRYPTOGRAPHY
from .._service.secret_values import hide
from .attempts import (
    BUSY,
    failure_path,
    last_refusal,
    note_failure,
    note_order,
    refusal_path,
    renewed_path,
    said,
)
from .challenge import challenge_problems, refuse_open
from .lineage import (
    Lineage,
    account_path,
    archive_path,
    certificate_path,
    hook_path,
    is_ours,
    read_lineage,
    renewal_path,
    unit_path,
)

PROGRAM = Path("/usr/bin/certbot")
LOCK = Path("/run/certbot_certificate.lock")
PAUSE = datetime.timedelta(hours=1)
_SECONDS = 300
_BUSY_SECONDS = 120
_ALONE_SECONDS = _SECONDS + _BUSY_SECONDS
_BUSY_PAUSE = 2.0
_LOG = Path("/var/log/letsencrypt/letsencrypt.log")
_LARGEST = 4 * 1024 * 1024
_MASK = "AttributeError: can't set attribute"
_WORDS = re.compile(r"^acme\.messages\.Error: (.+)", re.MULTILINE)
_REVOKED = re.compile(r"already ?revoked", re.IGNORECASE)
_CLOCK = ("certificate is not yet valid", "certificate has expired")
# As Boulder (Let's Encrypt), Pebble and step-ca say it: certbot leaves out the error's type.
_LOST_ACCOUNT = re.compile(r"\baccount\b.*\b(not found|does not exist|deactivated|not active)\b", re.IGNORECASE)
_ENVIRONMENT = {**PLAIN, "HOME": "/root"}


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
    def fingerprint(self) -> str:
        """What tells this order from another."""
        return sha256(json.dumps(asdict(self)).encode()).hexdigest()


def converge(desired: Desired, *, check: bool, insist: bool) -> list[str]:
    """Why the certificate was ordered, or would be. Raises StabilityError and OSError.

    `insist` asks the authority at once, also where an order has failed within the hour, or where it seems that the
    authority would not find the challenge.
    """
    why = desired.differences(read_lineage(desired.name), _now())
    if not why or check:
        return why
    busy = StabilityError(f"another run has been ordering a certificate for {_ALONE_SECONDS} s (it holds {LOCK})")
    with lock(LOCK, busy, seconds=_ALONE_SECONDS):
        return _converge(desired, insist=insist)


def _converge(desired: Desired, *, insist: bool) -> list[str]:
    """Raises StabilityError and OSError."""
    # another run may have ordered it while this one waited: an authority would count a second order
    why = desired.differences(read_lineage(desired.name), _now())
    if not why:
        return why
    _refuse_remains(desired.name)
    webroot = Path(desired.webroot)
    if insist:
        refuse_open(webroot)
    else:
        _refuse_early(desired)
        if problems := challenge_problems(desired.names, webroot):
            raise StabilityError("\n".join(["An authority would not find this host, so none was asked:", *problems]))
    try:
        _order(desired)
    except StabilityError as error:
        reason = hide(str(error), {desired.eab_hmac_key} - {""})
        raise StabilityError("\n".join([reason, *_note(desired, reason, insist=insist)])) from error
    return why


def _note(desired: Desired, reason: str, *, insist: bool) -> list[str]:
    """Keeps why an order has failed; returns what follows from that for the next one."""
    problems = ["certbot has asked nobody: the next run may order at once."] if BUSY in reason else []
    if not insist and not problems:
        # a host that has gone while the authority looked for it: the next run sees whether it is back
        with suppress(StabilityError):
            problems = challenge_problems(desired.names, Path(desired.webroot))
    try:
        note_failure(desired.name, reason, "" if problems else desired.fingerprint)
    except OSError as error:
        return [*problems, f"That could not be kept for the next run: {error}"]
    return problems or ["The same is not ordered again within an hour, unless it is insisted on."]


def remove(name: str, *, check: bool, revoke: bool = False) -> bool:
    """The certificate of a site of these roles; whether there was one. Raises StabilityError and OSError.

    The hook goes last: it says whose the rest is. What its authority does not revoke, though that is wanted, stays.
    """
    ours = is_ours(name)
    if check or not ours:
        return ours
    known = PROGRAM.exists() and renewal_path(name).exists()
    if revoke and certificate_path(name).exists():
        if not known:
            raise StabilityError(
                f"{certificate_path(name)} can't be revoked: certbot or {renewal_path(name)} is missing"
            )
        _revoke(name)
    if known:
        _certbot(["delete", "--cert-name", name])
    notes = (failure_path(name), refusal_path(name), renewed_path(name))
    has_unit = unit_path(name).exists()
    for path in (certificate_path(name).parent, archive_path(name), renewal_path(name), *notes, unit_path(name)):
        discard_path(path)
    # systemd forgets the hook before it is gone: else no certificate of the host would be renewed
    if has_unit:
        reload_daemon()
    discard_path(hook_path(name))
    return True


def _revoke(name: str) -> None:
    """Raises StabilityError, but not where a run that was killed has had it revoked before."""
    try:
        _certbot(["revoke", "--cert-name", name, "--reason", "keycompromise", "--no-delete-after-revoke"])
    except StabilityError as error:
        if not _REVOKED.search(str(error)):
            raise


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _refuse_remains(name: str) -> None:
    """Raises StabilityError where certbot would find out too late that it can't keep what was issued."""
    if not HAS_CRYPTOGRAPHY:
        raise StabilityError("this Python has no module cryptography: install the Debian package python3-cryptography")
    remains = [path for path in (certificate_path(name).parent, archive_path(name)) if path.exists()]
    if remains and not renewal_path(name).exists():
        raise StabilityError(f"{remains[0]} is there, and certbot knows nothing of it: move it away")


def _order(desired: Desired) -> None:
    """Raises StabilityError."""
    arguments = [
        *("certonly", "--agree-tos", "--no-eff-email", "--email", desired.email, "--server", desired.server),
        *("--cert-name", desired.name, "--webroot", "--webroot-path", desired.webroot),
        # whether it is due was decided here, and who ordered it has it served
        *("--force-renewal", "--renew-with-new-domains", "--no-directory-hooks"),
        *(word for name in desired.names for word in ("--domain", name)),
    ]
    with _binding(desired) as binding:
        try:
            _certbot([*binding, *arguments])
        except StabilityError as error:
            raise StabilityError("\n".join([str(error), *_advice(str(error), desired.server)])) from error
    made = read_lineage(desired.name)
    if made is None or (left := desired.differences(made, _now())):
        raise StabilityError(f"certbot ordered the certificate, but {'; '.join(left) if made else 'it is not there'}")
    note_order(desired.name)


def _advice(reason: str, server: str) -> Iterator[str]:
    """What to do where the authority's or certbot's words do not tell."""
    if _LOST_ACCOUNT.search(reason):
        yield (
            f"The authority no longer accepts certbot's account: move {account_path(server)} away, and the next order"
            " makes another one."
        )
    if any(words in reason for words in _CLOCK):
        yield f"Is this host's clock right? It says {_now():%Y-%m-%d %H:%M} UTC."


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
            if BUSY in error.output and time.monotonic() < deadline:
                time.sleep(_BUSY_PAUSE)
                continue
            raise StabilityError(_unmasked(said(error.output)) or str(error)) from error
        return


def _unmasked(reason: str) -> str:
    """With the authority's words, which certbot of Debian 12 has in its log alone: it fails at them itself."""
    words: list[str] = []
    if _MASK in reason:
        with suppress(OSError):
            words = _WORDS.findall(read_small(_LOG, _LARGEST)[0].decode(errors="replace"))
    return reason.replace(_MASK, words[-1]) if words else reason


def _refuse_early(desired: Desired) -> None:
    """Raises StabilityError where the same order has failed within the hour."""
    failure = last_refusal(desired.name)
    if failure is None or failure.order != desired.fingerprint:
        return
    failed = datetime.datetime.fromtimestamp(failure.time, datetime.UTC)
    # a clock that was set back makes no longer pause
    if datetime.timedelta() < failed + PAUSE - _now() <= PAUSE:
        raise StabilityError(
            f"{failure.reason}\nThat was at {failed:%H:%M} UTC; the same is not ordered again before"
            f" {failed + PAUSE:%H:%M} UTC, unless it is insisted on."
        )
