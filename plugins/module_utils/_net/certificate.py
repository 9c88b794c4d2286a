# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a certificate, its chain and its key before nginx is given them.

The judge is the host's OpenSSL, which nginx uses as well, through Python's ssl: the key and the certificate are loaded
as a server loads them, and a client in the same process shakes hands with that server. No further package is needed.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._host.errors import StabilityError
from .tls import client_trusting

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
DAY = 86400
ROUNDS = 10  # of messages; a handshake takes three


@dataclass(frozen=True)
class Certificate:
    """A certificate of a site, with its chain, and its key; paths absolute or relative to the configuration."""

    certificate: str
    key: str
    names: Sequence[str] = ()
    valid_days_left: float = 0
    made_by_play: bool = False
    """Whether an earlier task makes the files, which check mode only predicts."""


def check_certificate(desired: Certificate, certificate: Path, key: Path) -> None:
    """Reads the two files; StabilityError says what is wrong with them."""
    blocks = BLOCK.findall(_text(certificate, desired.certificate))
    if not blocks:
        raise StabilityError(f"{desired.certificate} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).")
    server = _server(desired, certificate, key, blocks)
    try:
        peer = _shake_hands(server, blocks[0], None)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or error
        raise StabilityError(f"{desired.certificate} is no good for a server: {reason}.") from error
    _check_dates(desired, peer, time.time())
    _check_chain(desired, peer, blocks)
    for name in desired.names:
        _check_name(desired, server, blocks[0], name, peer)


def chain_of(text: str) -> list[bytes]:
    """The certificates of a PEM file in DER form, in the order of the file."""
    return [ssl.PEM_cert_to_DER_cert(block) for block in BLOCK.findall(text)]


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise StabilityError(f"{name} cannot be read: {error.strerror}.") from error


def _server(desired: Certificate, certificate: Path, key: Path, blocks: list[str]) -> ssl.SSLContext:
    text = _text(key, desired.key)
    if "PRIVATE KEY-----" not in text:
        raise StabilityError(f"{desired.key} holds no private key in PEM form.")
    if "ENCRYPTED" in text:
        raise StabilityError(
            f"{desired.key} is encrypted; no server can read it at boot. Store it without a passphrase."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason != "KEY_VALUES_MISMATCH":
            raise StabilityError(f"OpenSSL does not take {desired.certificate} with {desired.key}: {error}") from error
        hint = "" if len(blocks) == 1 else " If it fits another one in the file, that must come first."
        raise StabilityError(
            f"The key {desired.key} does not fit the first certificate in {desired.certificate}.{hint}"
        ) from error
    return context


def _shake_hands(server: ssl.SSLContext, trusted: str, name: str | None) -> dict[str, Any]:
    """What a client that trusts this certificate itself sees of the server; SSLError when it refuses."""
    client = client_trusting(trusted, check_hostname=name is not None)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _round in range(ROUNDS):
        if all([_advance(asking), _advance(answering)]):
            return dict(asking.getpeercert() or {})
    raise ssl.SSLError("the handshake does not end")


def _advance(end: ssl.SSLObject) -> bool:
    """Whether this end has done its part of the handshake."""
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _check_dates(desired: Certificate, peer: Mapping[str, Any], now: float) -> None:
    begins, ends = (ssl.cert_time_to_seconds(peer[field]) for field in ("notBefore", "notAfter"))
    if ends <= now and desired.valid_days_left >= 0:
        raise StabilityError(f"{desired.certificate} expired on {peer['notAfter']}, {(now - ends) / DAY:.0f} days ago.")
    if begins > now:
        raise StabilityError(f"{desired.certificate} is not valid before {peer['notBefore']}. Check the host's clock.")
    if ends < now + desired.valid_days_left * DAY:
        raise StabilityError(
            f"{desired.certificate} expires on {peer['notAfter']}, in {(ends - now) / DAY:.1f} days; at least "
            f"{desired.valid_days_left:g} are wanted. Renew it."
        )


def _check_chain(desired: Certificate, peer: Mapping[str, Any], blocks: list[str]) -> None:
    """Each certificate of the file must be the issuer of the one before it."""
    issuer = peer["issuer"]
    for number, block in enumerate(blocks[1:], start=2):
        store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        store.load_verify_locations(cadata=block)
        authorities = store.get_ca_certs()
        if not authorities or authorities[0]["subject"] != issuer:
            raise StabilityError(
                f"{desired.certificate}: certificate {number} of the file is not the issuer of the one before it, "
                f"{_written(issuer)}. Put the site's own first, then its issuer, then that one's issuer."
            )
        issuer = authorities[0]["issuer"]


def _check_name(desired: Certificate, server: ssl.SSLContext, leaf: str, name: str, peer: Mapping[str, Any]) -> None:
    # For *.example.org any name below it stands.
    try:
        _shake_hands(server, leaf, name.replace("*", "any", 1))
    except ssl.SSLCertVerificationError as error:
        held = ", ".join(value for _kind, value in peer.get("subjectAltName", ())) or "none"
        raise StabilityError(f"{desired.certificate} is not for {name}. The names in it: {held}.") from error
    except ValueError as error:
        raise StabilityError(
            f"names: {name!r} is neither a host name nor an address; expected one like shop.example.org or "
            "*.example.org."
        ) from error


def _written(name: Sequence[Sequence[tuple[str, str]]]) -> str:
    return ", ".join(f"{key}={value}" for part in name for key, value in part)
