# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate of another host's authority: the key stays where it is made, a request goes, a certificate comes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from .._host.errors import StabilityError
from .private_ca import (
    Desired,
    Pair,
    fitting,
    key_pem,
    named,
    new_certificate,
    new_key,
    pem,
    plain,
    read,
    read_key,
    read_pair,
    reasons,
    reasons_for_authority,
    store,
)

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    # the module says so: private_ca.HAS_CRYPTOGRAPHY
    pass


@dataclass(frozen=True)
class Requested:
    """Why something changed, the certificate as it is then, and whether the authority has yet to issue another one.

    The `request` is what it is asked by, empty where nothing is pending, and where no key may be made.
    """

    reasons: Sequence[str]
    pair: Pair | None
    pending: bool
    request: str


def converge_requested(
    desired: Desired, authority: str, issued: str, now: datetime.datetime, *, dry: bool
) -> Requested:
    """Keep a certificate of another host's authority.

    While the answer, `issued`, is not there the files stay as they are, but for a missing key: what is in use goes on.
    Raises StabilityError where the answer is not what was asked for.
    """
    trusted = _authority(authority)
    key, kept = read_key(desired.key), read(desired.key)
    if key is None or kept is None:
        key = new_key()
        kept = key_pem(key)
    files = {desired.key: (kept, desired.owner)}
    pair = fitting(read(desired.certificate), key)
    why = reasons(pair, trusted, desired, now)
    if issued:
        pair = fitting(issued.encode(), key)
        if wrong := reasons(pair, trusted, desired, now):
            raise StabilityError(f"issued: the certificate is not what was asked for: {'; '.join(wrong)}")
        files[desired.certificate] = issued.encode(), "root"
    if issued or not why:
        files[desired.authority] = pem(trusted), "root"
    changed, pending = store(files, dry=dry), bool(why) and not issued
    return Requested(why or changed, pair, pending, _request(key, desired) if pending and not dry else "")


def _authority(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise StabilityError(f"authority: no certificate in PEM form: {error}") from error


def _request(key: ec.EllipticCurvePrivateKey, desired: Desired) -> str:
    """The names in it are nobody's business: the authority is given them by the inventory."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(desired.names[0]))
    return pem(builder.sign(key, hashes.SHA256())).decode()


def issue(desired: Desired, request: str, now: datetime.datetime) -> str:
    """A certificate, PEM, of the authority in the directory, for the key of the request and for what is desired.

    Raises StabilityError.
    """
    authority = read_pair(desired.authority, desired.authority_key)
    why = reasons_for_authority(authority, desired, now)
    if why or authority is None:
        raise StabilityError(f"{desired.directory}: {'; '.join(why)}")
    try:
        asked = x509.load_pem_x509_csr(request.encode())
    except ValueError as error:
        raise StabilityError(f"request: no signing request in PEM form: {error}") from error
    public = asked.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not asked.is_signature_valid:
        raise StabilityError("request: its signature is not that of its key, or its key is of another kind")
    return pem(new_certificate(authority, public, list(map(plain, desired.names)), desired, now)).decode()
