# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's certificate, issued by an authority of the host's own, which issues nothing else.

Clients trust the authority, so that a renewed certificate changes nothing for them. The authority's key never leaves
the host. A given certificate is only checked and stored.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import stat
import tempfile
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._host.atomic import save
from .certificate import Certificate, check_certificate

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

AUTHORITY_DAYS = 7300
_LONGEST_COMMON_NAME = 64
_PRIVATE = 0o600


@dataclass(frozen=True)
class Wanted:
    """A certificate for these names in this directory; its key belongs to `owner`."""

    directory: Path
    owner: str
    names: Sequence[str]
    valid_days: int
    renew_days: int

    @property
    def certificate(self) -> Path:
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        return self.directory / "server.key"

    @property
    def authority(self) -> Path:
        return self.directory / "authority.pem"

    @property
    def authority_key(self) -> Path:
        return self.directory / "authority.key"


@dataclass(frozen=True)
class Pair:
    """A certificate and the key to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def ends(self) -> datetime.datetime:
        return ends_of(self.certificate)

    @property
    def names(self) -> list[str]:
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [str(name.value) for name in found]


def ends_of(certificate: x509.Certificate) -> datetime.datetime:
    """When it expires; before release 42 the library has no time zones."""
    aware: datetime.datetime | None = getattr(certificate, "not_valid_after_utc", None)
    return aware or certificate.not_valid_after.replace(tzinfo=datetime.UTC)


def read_pair(certificate: Path, key: Path) -> Pair | None:
    """The pair as it is; None where there is none that fits together, such as after a run that was killed."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or _bytes(secret.public_key()) != _bytes(found.public_key()):
        return None
    return Pair(found, secret)


def _bytes(key: t.Any) -> bytes:
    """The public key in a form that can be compared: before release 40 of the library the objects cannot."""
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def reasons_for_authority(authority: Pair | None, wanted: Wanted, now: datetime.datetime) -> list[str]:
    """Why a new authority is needed: it must outlive what it issues."""
    if authority is None:
        return ["there is no authority"]
    if authority.ends < now + datetime.timedelta(days=wanted.valid_days):
        return [f"the authority expires on {authority.ends:%Y-%m-%d}"]
    return []


def reasons(pair: Pair | None, authority: Pair, wanted: Wanted, now: datetime.datetime) -> list[str]:
    """Why the certificate has to be issued anew; empty while it is good."""
    if pair is None:
        return ["there is none with its key"]
    if not _issued_by(pair.certificate, authority):
        return ["it is not of this host's authority"]
    missing = [name for name in wanted.names if plain(name) not in pair.names]
    found = [f"it is not for {name}" for name in missing]
    if pair.ends < now + datetime.timedelta(days=wanted.renew_days):
        found.append(f"it expires on {pair.ends:%Y-%m-%d}")
    return found


def _issued_by(certificate: x509.Certificate, authority: Pair) -> bool:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or certificate.issuer != authority.certificate.subject:
        return False
    try:
        public = authority.key.public_key()
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def new_authority(name: str, now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"Authority of the database server {name}")
    builder = _builder(subject, subject, key, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(issues=True), critical=True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def new_certificate(authority: Pair, names: Sequence[str], days: int, now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.key.public_key()
    builder = _builder(_named(names[0]), authority.certificate.subject, key, now, days)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    """Valid from an hour ago: the clocks of other hosts may be behind."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME])])


def _usage(*, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )


def plain(name: str) -> str:
    """A name as the certificate has it: of an IPv6 address there are many spellings."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def converge_made(wanted: Wanted, now: datetime.datetime, *, dry: bool) -> tuple[list[str], Pair]:
    """Why something changed (nothing did where there is no reason), and the certificate as it is then.

    Names that the present certificate has stay in it: another service may reach the server by them. The key is written
    before the certificate; a run that ends in between leaves a pair that does not fit, and the next one makes another.
    """
    authority = read_pair(wanted.authority, wanted.authority_key)
    why = reasons_for_authority(authority, wanted, now)
    if why or authority is None:
        authority = new_authority(wanted.names[0], now)
        if not dry:
            _store(wanted.authority_key, _key_pem(authority), _PRIVATE, "root")
            _store(wanted.authority, _pem(authority), 0o644, "root")
    pair = read_pair(wanted.certificate, wanted.key)
    kept = pair.names if pair and _issued_by(pair.certificate, authority) else []
    why += reasons(pair, authority, wanted, now) if not why else []
    if why or pair is None:
        names = list(dict.fromkeys([*map(plain, wanted.names), *kept]))
        pair = new_certificate(authority, names, wanted.valid_days, now)
        if not dry:
            _store(wanted.key, _key_pem(pair), _PRIVATE, wanted.owner)
            _store(wanted.certificate, _pem(pair), 0o644, "root")
    else:
        why = _keep_private({wanted.key: wanted.owner, wanted.authority_key: "root"}, dry=dry)
    return why, pair


def converge_given(wanted: Wanted, certificate: str, key: str, *, dry: bool) -> list[str]:
    """Why something changed. Raises StabilityError, before it does, where the two are no good for a server."""
    with tempfile.TemporaryDirectory() as directory:
        staged = Path(directory) / "server.pem", Path(directory) / "server.key"
        save(staged[0], certificate.encode())
        save(staged[1], key.encode())
        check_certificate(Certificate("The given certificate", "the given key", wanted.names), *staged)
    files = {wanted.key: (key, _PRIVATE, wanted.owner), wanted.certificate: (certificate, 0o644, "root")}
    differs = [path for path, (text, _mode, _owner) in files.items() if _read(path) != text]
    for path in differs if not dry else []:
        text, mode, owner = files[path]
        _store(path, text.encode(), mode, owner)
    private = {wanted.key: wanted.owner} if wanted.key not in differs else {}
    return [*(f"{path.name} is another one" for path in differs), *_keep_private(private, dry=dry)]


def _keep_private(keys: Mapping[Path, str], *, dry: bool) -> list[str]:
    """Give keys back to those whose alone they are: PostgreSQL does not start with one that others may read."""
    why = []
    for path, owner in keys.items():
        found, uid = path.stat(), _uid(owner)
        if (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, _PRIVATE):
            continue
        why.append(f"{path.name} is not {owner}'s alone")
        if not dry:
            path.chmod(_PRIVATE)
            _own(path, owner)
    return why


def _uid(owner: str) -> int | None:
    """None for a user that check mode has only predicted."""
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _store(path: Path, content: bytes, mode: int, owner: str) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        # whatever the umask of root is: the server has to get at its key
        path.parent.chmod(0o755)
    save(path, content, mode)
    _own(path, owner)


def _own(path: Path, owner: str) -> None:
    entry = pwd.getpwnam(owner)
    if path.stat().st_uid != entry.pw_uid:
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _pem(pair: Pair) -> bytes:
    return pair.certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(pair: Pair) -> bytes:
    return pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
