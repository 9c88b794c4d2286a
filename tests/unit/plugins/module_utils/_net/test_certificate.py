# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, sound and broken, as a site may bring them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import (
    Certificate,
    chain_of,
    check_certificate,
)
from certificates import Issued, issue

ROOT = issue("Root", authority=True)
BETWEEN = issue("Between", ROOT, authority=True)
SITE = issue("shop.test", BETWEEN, names=["shop.test", "*.shop.test", "192.0.2.1"])
ALONE = issue("alone.test", names=["alone.test"])
# As `openssl req -x509` makes it.
AUTHORITY_ITSELF = issue("self.test", names=["self.test"], authority=True)
CHAIN = SITE.pem + BETWEEN.pem


def check(path: Path, pem: str, key: str, names: tuple[str, ...] = (), days: float = 0) -> None:
    (path / "chain.pem").write_text(pem)
    (path / "key.pem").write_text(key)
    check_certificate(Certificate("chain.pem", "key.pem", names, days), path / "chain.pem", path / "key.pem")


@pytest.mark.parametrize(
    ("pem", "issued", "names"),
    [
        (CHAIN, SITE, ("shop.test", "www.shop.test", "*.shop.test", "192.0.2.1")),
        (CHAIN + ROOT.pem, SITE, ("shop.test",)),
        (SITE.pem, SITE, ()),
        ("Some words of the authority\n" + CHAIN, SITE, ()),
        (ALONE.pem, ALONE, ("alone.test",)),
        (AUTHORITY_ITSELF.pem, AUTHORITY_ITSELF, ("self.test",)),
    ],
)
def test_a_sound_one_is_taken(tmp_path: Path, pem: str, issued: Issued, names: tuple[str, ...]) -> None:
    check(tmp_path, pem, issued.key_pem(), names, days=89)


@pytest.mark.parametrize(
    ("pem", "key", "message"),
    [
        ("", SITE.key_pem(), "chain.pem holds no certificate in PEM form"),
        (SITE.key_pem(), SITE.key_pem(), "chain.pem holds no certificate in PEM form"),
        (CHAIN, CHAIN, "key.pem holds no private key"),
        (CHAIN, ALONE.key_pem(), "key.pem does not fit the first certificate in chain.pem.*must come first"),
        (ALONE.pem, SITE.key_pem(), r"key.pem does not fit the first certificate in chain.pem\.$"),
        (BETWEEN.pem + SITE.pem, SITE.key_pem(), "does not fit the first certificate.*must come first"),
        (SITE.pem + ROOT.pem, SITE.key_pem(), "certificate 2 of the file is not the issuer of the one before it"),
        (SITE.pem + ROOT.pem + BETWEEN.pem, SITE.key_pem(), "certificate 2 .* commonName=Between"),
        (CHAIN + ALONE.pem, SITE.key_pem(), "certificate 3 of the file is not the issuer"),
        (CHAIN, SITE.key_pem(b"hidden"), "key.pem is encrypted"),
        (CHAIN.replace("M", "?", 20), SITE.key_pem(), "OpenSSL does not take chain.pem with key.pem"),
    ],
)
def test_a_broken_one_is_refused_with_its_reason(tmp_path: Path, pem: str, key: str, message: str) -> None:
    with pytest.raises(StabilityError, match=message):
        check(tmp_path, pem, key)


@pytest.mark.parametrize(
    ("begins", "ends", "days", "message"),
    [
        (-30, -2, 0, r"expired on .* GMT, 2 days ago"),
        (2, 30, 0, "not valid before .* clock"),
        (-30, 5, 7, r"expires on .*, in 5\.0 days; at least 7 are wanted"),
    ],
)
def test_the_dates_are_told(tmp_path: Path, begins: float, ends: float, days: float, message: str) -> None:
    issued = issue("shop.test", begins=begins, ends=ends)
    with pytest.raises(StabilityError, match=message):
        check(tmp_path, issued.pem, issued.key_pem(), days=days)


@pytest.mark.parametrize("name", ["other.test", "a.b.shop.test", "192.0.2.2"])
def test_a_name_that_is_not_in_it_is_refused_with_those_that_are(tmp_path: Path, name: str) -> None:
    with pytest.raises(StabilityError, match=rf"chain\.pem is not for {name}\. The names in it: shop\.test, \*\.shop"):
        check(tmp_path, CHAIN, SITE.key_pem(), ("shop.test", name))


@pytest.mark.parametrize("name", ["", ".shop.test", "a" * 64 + ".test"])
def test_a_name_that_is_none_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(StabilityError, match=f"names: '{name}' is neither a host name nor an address"):
        check(tmp_path, CHAIN, SITE.key_pem(), (name,))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=r"chain\.pem cannot be read: No such file"):
        check_certificate(Certificate("chain.pem", "key.pem"), tmp_path / "chain.pem", tmp_path / "key.pem")
    (tmp_path / "chain.pem").write_text(CHAIN)
    with pytest.raises(StabilityError, match=r"key\.pem cannot be read: No such file"):
        check_certificate(Certificate("chain.pem", "key.pem"), tmp_path / "chain.pem", tmp_path / "key.pem")


def test_no_error_shows_the_key(tmp_path: Path) -> None:
    lines = ALONE.key_pem().splitlines()[1:-1]
    with pytest.raises(StabilityError) as caught:
        check(tmp_path, CHAIN, ALONE.key_pem())
    assert not any(line in str(caught.value) for line in lines)


def test_a_chain_is_read_in_order() -> None:
    assert len(chain_of(CHAIN)) == 2
    assert chain_of(CHAIN)[1:] == chain_of(BETWEEN.pem)
