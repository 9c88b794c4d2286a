# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What certbot has of one certificate: what is in it, and how it is renewed. Its files are root's alone."""

from __future__ import annotations

import configparser
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .._net.private_ca import HAS_CRYPTOGRAPHY, moment

if HAS_CRYPTOGRAPHY:
    from cryptography import x509

_LAST = datetime.timedelta(days=21)
_PROGRAM = b"stability._programs.certificate import run"
DIRECTORY = Path("/etc/letsencrypt")
"""Where Debian's certbot and its timer have everything."""


@dataclass(frozen=True)
class Lineage:
    """A certificate and its successors, as they follow one another under one name."""

    names: frozenset[str]
    begins: datetime.datetime
    ends: datetime.datetime
    server: str
    """URL of the authority's directory."""
    webroot: str

    @property
    def due(self) -> datetime.datetime:
        """When a timer that works has long renewed it: certbot 2.1 does so 30 days before the end, 4.0 at a third."""
        return self.ends - min((self.ends - self.begins) / 4, _LAST)


def certificate_path(name: str) -> Path:
    """With its chain."""
    return DIRECTORY / "live" / name / "fullchain.pem"


def key_path(name: str) -> Path:
    return DIRECTORY / "live" / name / "privkey.pem"


def renewal_path(name: str) -> Path:
    return DIRECTORY / "renewal" / f"{name}.conf"


def account_path(server: str) -> Path:
    """The directory of the accounts at the authority with that URL of a directory."""
    return DIRECTORY / "accounts" / server.partition("://")[2]


def archive_path(name: str) -> Path:
    """The directory of all that it has had."""
    return DIRECTORY / "archive" / name


def hook_path(name: str) -> Path:
    """What certbot calls after each renewal."""
    return DIRECTORY / "renewal-hooks" / "deploy" / name


def unit_path(name: str) -> Path:
    """What the unit that certbot's timer starts has of it."""
    return Path("/etc/systemd/system/certbot.service.d") / f"{name}.conf"


def is_ours(name: str) -> bool:
    """Whether the certificate of that name was ordered for a site of these roles: the hook is theirs."""
    try:
        return _PROGRAM in hook_path(name).read_bytes()
    except OSError:
        return False


def is_there(name: str) -> bool:
    """Whether it can be served, whatever is in it."""
    return certificate_path(name).is_file() and key_path(name).is_file()


def read_lineage(name: str) -> Lineage | None:
    """None where there is none, or none that can be used: certbot is not here, or a file is missing or damaged."""
    if not (HAS_CRYPTOGRAPHY and is_there(name)):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path(name).read_bytes())
        renewal = parse_renewal(renewal_path(name).read_text(encoding="utf-8"))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound, configparser.Error):
        return None
    return Lineage(
        names=frozenset(names.get_values_for_type(x509.DNSName)),
        begins=moment(certificate, "not_valid_before"),
        ends=moment(certificate, "not_valid_after"),
        server=renewal.get("server", ""),
        webroot=renewal.get("webroot_path", "").rstrip(","),
    )


def parse_renewal(text: str) -> Mapping[str, str]:
    """The parameters of a renewal. Raises configparser.Error.

    The file begins outside of any section, and has one in double brackets within another.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(f"[paths]\n{text}")
    return dict(parser["renewalparams"]) if parser.has_section("renewalparams") else {}
