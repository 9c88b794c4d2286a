# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate, issued by an authority of the host's own, which issues nothing else, or by that of another host.

Those who trust the authority go on doing so when a certificate is renewed. No key ever leaves its host: another host's
authority is sent a request. A given certificate is only checked and stored.
"""

from __future__ import annotations

import datetime
import ipaddress
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
_PURPOSES = {"server": ("SERVER_AUTH",), "client": ("CLIENT_AUTH",), "peer": ("SERVER_AUTH", "CLIENT_AUTH")}
_OTHER_USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


def moment(certificate: x509.Certificate, field: str) -> datetime.datetime:
    """`not_valid_before` or `not_valid_after`. Before release 42 the library has no time zones."""
    aware: datetime.datetime | None = getattr(certificate, f"{field}_utc", None)
    return aware or getattr(certificate, field).replace(tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Desired:
    """A certificate for these names in this directory; its key belongs to `owner`, who is a `server`, a `client` or,
    as a `peer`, both."""

    directory: Path
    owner: str
    names: Sequence[str]
    valid_days: int
    renew_days: int
    usage: str = "server"

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
        return moment(self.certificate, "not_valid_after")

    @property
    def names(self) -> list[str]:
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [str(name.value) for name in found]


def read_pair(certificate: Path, key: Path) -> Pair | None:
    """The pair as it is; None where there is none that fits together, such as after a run that was killed."""
    secret = read_key(key)
    return fitting(read(certificate), secret) if secret else None


def read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    """None where there is no key of the kind that is made here."""
    try:
        found = serialization.load_pem_private_key(read(path) or b"", None)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, ec.EllipticCurvePrivateKey) else None


def fitting(certificate: bytes | None, key: ec.EllipticCurvePrivateKey) -> Pair | None:
    try:
        found = x509.load_pem_x509_certificate(certificate or b"")
    except ValueError:
        return None
    return Pair(found, key) if _bytes(key.public_key()) == _bytes(found.public_key()) else None


def pem(found: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return found.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _bytes(key: t.Any) -> bytes:
    """The public key in a form that can be compared: before release 40 of the library the objects cannot."""
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def reasons_for_authority(authority: Pair | None, desired: Desired, now: datetime.datetime) -> list[str]:
    """Why a new authority is needed: it must outlive what it issues."""
    if authority is None:
        return ["there is no authority"]
    if authority.ends < now + datetime.timedelta(days=desired.valid_days):
        return [f"the authority expires on {authority.ends:%Y-%m-%d}"]
    return []


def reasons(pair: Pair | None, authority: x509.Certificate, desired: Desired, now: datetime.datetime) -> list[str]:
    """Why the certificate has to be reissued; empty while it is good."""
    if pair is None:
        return ["there is none with its key"]
    if not _issued_by(pair.certificate, authority):
        return ["it is of another authority"]
    missing = [name for name in desired.names if plain(name) not in pair.names]
    found = [f"it is not for {name}" for name in missing]
    if pair.ends < now + datetime.timedelta(days=desired.renew_days):
        found.append(f"it expires on {pair.ends:%Y-%m-%d}")
    return found


def _issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    algorithm, public = certificate.signature_hash_algorithm, authority.public_key()
    if (
        algorithm is None
        or certificate.issuer != authority.subject
        or not isinstance(public, ec.EllipticCurvePublicKey)
    ):
        return False
    try:
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def new_authority(name: str, now: datetime.datetime) -> Pair:
    key = new_key()
    subject = named(f"Authority of {name}")
    builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(issues=True), critical=True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def new_certificate(
    authority: Pair, public: ec.EllipticCurvePublicKey, names: Sequence[str], desired: Desired, now: datetime.datetime
) -> x509.Certificate:
    """For these names and this key, and as long and for what is desired."""
    issuer = authority.key.public_key()
    purposes = [getattr(ExtendedKeyUsageOID, purpose) for purpose in _PURPOSES[desired.usage]]
    builder = _builder(named(names[0]), authority.certificate.subject, public, now, desired.valid_days)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names, desired.usage)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
    return builder.sign(authority.key, hashes.SHA256())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    """Valid from an hour ago: the clocks of other hosts may be behind."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME])])


def _usage(*, issues: bool) -> x509.KeyUsage:
    unused = dict.fromkeys(_OTHER_USAGES, False)
    return x509.KeyUsage(digital_signature=not issues, key_cert_sign=issues, crl_sign=issues, **unused)


def plain(name: str) -> str:
    """A name as the certificate has it: of an IPv6 address there are many spellings."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _alternatives(names: Sequence[str], usage: str) -> list[x509.GeneralName]:
    """A peer's addresses stand among the host names as well: pgBackRest before 2.53 looks for them there alone."""
    found = [_alternative(name) for name in names]
    if usage == "peer":
        found += [x509.DNSName(plain(name)) for name in names if isinstance(_alternative(name), x509.IPAddress)]
    return found


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def converge_made(desired: Desired, now: datetime.datetime, *, dry: bool) -> tuple[list[str], Pair]:
    """Why something changed (nothing did where there is no reason), and the certificate as it is then.

    Names that the present certificate has stay in it: another service may reach the server by them. A key is written
    before its certificate; a run that ends in between leaves a pair that does not fit, and the next one makes another.
    """
    files: dict[Path, tuple[bytes, str]] = {}
    authority = read_pair(desired.authority, desired.authority_key)
    why = reasons_for_authority(authority, desired, now)
    if why or authority is None:
        authority = new_authority(desired.names[0], now)
        files |= {
            desired.authority_key: (key_pem(authority.key), "root"),
            desired.authority: (pem(authority.certificate), "root"),
        }
    pair = read_pair(desired.certificate, desired.key)
    kept = pair.names if pair and _issued_by(pair.certificate, authority.certificate) else []
    why = why or reasons(pair, authority.certificate, desired, now)
    if why or pair is None:
        key, names = new_key(), list(dict.fromkeys([*map(plain, desired.names), *kept]))
        pair = Pair(new_certificate(authority, key.public_key(), names, desired, now), key)
        files |= {desired.key: (key_pem(key), desired.owner), desired.certificate: (pem(pair.certificate), "root")}
    else:
        keys = {desired.key: desired.owner, desired.authority_key: "root"}
        files = {key: (key.read_bytes(), owner) for key, owner in keys.items()}
    changed = store(files, dry=dry)
    return why or changed, pair


def converge_given(desired: Desired, certificate: str, key: str, *, dry: bool) -> list[str]:
    """Why something changed. Raises StabilityError, before it does, where the two are no good for a server."""
    with tempfile.TemporaryDirectory() as directory:
        staged = Path(directory) / "server.pem", Path(directory) / "server.key"
        save(staged[0], certificate.encode())
        save(staged[1], key.encode())
        check_certificate(Certificate("The given certificate", "the given key", desired.names), *staged)
    given = {desired.key: (key.encode(), desired.owner), desired.certificate: (certificate.encode(), "root")}
    return store(given, dry=dry)


def store(files: Mapping[Path, tuple[bytes, str]], *, dry: bool) -> list[str]:
    """Give each file its content, and a key to its owner alone, as PostgreSQL wants it; what differed."""
    why = []
    for path, (content, owner) in files.items():
        is_key = path.suffix == ".key"
        if read(path) != content:
            why.append(f"{path.name} is another one")
        elif is_key and not _is_private(path, owner):
            why.append(f"{path.name} is not {owner}'s alone")
        else:
            continue
        if not dry:
            _write(path, content, owner, _PRIVATE if is_key else 0o644)
    return why


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _is_private(path: Path, owner: str) -> bool:
    found = path.stat()
    try:
        uid = pwd.getpwnam(owner).pw_uid
    except KeyError:
        # a user that check mode has only predicted
        return False
    return (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, _PRIVATE)


def _write(path: Path, content: bytes, owner: str, mode: int) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        # whatever the umask of root is: the server has to get at its key
        path.parent.chmod(0o755)
    account = pwd.getpwnam(owner)
    save(path, content, mode, (account.pw_uid, account.pw_gid))
