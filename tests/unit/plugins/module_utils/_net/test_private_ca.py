# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's certificate and its authority: what clients make of them, and when they are replaced."""

from __future__ import annotations

import datetime
import getpass
import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import _shake_hands
from ansible_collections.workbot.stability.plugins.module_utils._net.private_ca import (
    Desired,
    converge_given,
    converge_made,
)
from certificates import issue

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
NAMES = ["192.0.2.5", "db1.test"]


@pytest.fixture
def desired(tmp_path: Path) -> Desired:
    return Desired(tmp_path / "tls", getpass.getuser(), NAMES, valid_days=825, renew_days=180)


def converge(desired: Desired, days: float = 0, *, dry: bool = False) -> list[str]:
    return converge_made(desired, NOW + datetime.timedelta(days=days), dry=dry)[0]


def contents(desired: Desired) -> dict[str, str]:
    return {path.name: path.read_text() for path in desired.directory.iterdir()} if desired.directory.exists() else {}


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_accepts_the_server_by_each_name(desired: Desired, name: str) -> None:
    converge(desired)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(desired.certificate, desired.key)
    assert _shake_hands(server, desired.authority.read_text(), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, desired.authority.read_text(), "192.0.2.6")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, issue("Another", authority=True).pem, name)


def test_a_second_run_changes_nothing_and_the_keys_are_private(desired: Desired) -> None:
    assert converge(desired, dry=True) == ["there is no authority"]
    assert not desired.directory.exists()
    converge(desired)
    before = contents(desired)
    assert converge(desired) == []
    assert contents(desired) == before
    modes = {path.name: path.stat().st_mode & 0o777 for path in desired.directory.iterdir()}
    assert modes == {"server.pem": 0o644, "authority.pem": 0o644, "server.key": 0o600, "authority.key": 0o600}


def test_it_is_renewed_in_time_and_the_authority_stays(desired: Desired) -> None:
    converge(desired)
    before = contents(desired)
    assert converge(desired, 644) == []
    expires = f"{NOW + datetime.timedelta(days=825):%Y-%m-%d}"
    assert converge(desired, 646, dry=True) == [f"it expires on {expires}"]
    assert contents(desired) == before
    converge(desired, 646)
    after = contents(desired)
    assert {name for name in before if before[name] != after[name]} == {"server.pem", "server.key"}
    assert converge(desired, 646) == []


def test_an_authority_that_would_not_outlive_its_certificate_is_replaced(desired: Desired) -> None:
    converge(desired)
    [reason] = converge(desired, 7300 - 824)
    assert reason.startswith("the authority expires on ")
    assert converge(desired, 7300 - 824) == []


def test_a_new_name_is_added_and_one_that_another_service_uses_stays(desired: Desired) -> None:
    converge(desired)
    other = replace(desired, names=["db1.test", "db1.internal.test"])
    assert converge(other) == ["it is not for db1.internal.test"]
    assert converge(desired) == converge(other) == []


@pytest.mark.parametrize("address", ["2001:DB8::5", "2001:0db8:0:0::0005"])
def test_an_address_is_the_same_however_it_is_written(desired: Desired, address: str) -> None:
    here = replace(desired, names=[address, "db1.test"])
    assert converge(here) == ["there is no authority"]
    assert converge(here) == []


def test_the_server_gets_at_its_key_whatever_the_umask_is(desired: Desired) -> None:
    before = os.umask(0o077)
    try:
        converge(desired)
    finally:
        os.umask(before)
    assert desired.directory.stat().st_mode & 0o777 == 0o755
    assert desired.certificate.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("file", ["server.key", "authority.key"])
def test_a_key_that_others_may_read_is_private_again(desired: Desired, file: str) -> None:
    converge(desired)
    before = contents(desired)
    key = desired.directory / file
    key.chmod(0o644)
    reason = [f"{file} is not {getpass.getuser()}'s alone"]
    assert converge(desired, dry=True) == reason
    assert key.stat().st_mode & 0o777 == 0o644
    assert converge(desired) == reason
    assert key.stat().st_mode & 0o777 == 0o600
    assert converge(desired) == []
    assert contents(desired) == before


def test_a_given_key_that_others_may_read_is_private_again(desired: Desired) -> None:
    given = issue("db1.test", names=NAMES)
    converge_given(desired, given.pem, given.key_pem(), dry=False)
    desired.key.chmod(0o640)
    assert converge_given(desired, given.pem, given.key_pem(), dry=False) == [
        f"server.key is not {desired.owner}'s alone"
    ]
    assert converge_given(desired, given.pem, given.key_pem(), dry=False) == []


@pytest.mark.parametrize(
    ("file", "reason"),
    [("server.key", "there is none with its key"), ("server.pem", "there is none"), ("authority.key", "no authority")],
)
def test_what_a_killed_run_left_is_repaired(desired: Desired, file: str, reason: str) -> None:
    converge(desired)
    (desired.directory / file).write_text(issue("left").key_pem())
    assert reason in converge(desired)[0]
    assert converge(desired) == []


def test_a_certificate_of_another_authority_is_not_kept(desired: Desired) -> None:
    foreign = issue("db1.test", names=NAMES, ends=800)
    converge_given(desired, foreign.pem, foreign.key_pem(), dry=False)
    assert converge(desired) == ["there is no authority"]
    converge_given(desired, foreign.pem, foreign.key_pem(), dry=False)
    assert converge(desired) == ["it is of another authority"]


def test_a_given_one_is_stored_once(desired: Desired) -> None:
    given = issue("db1.test", names=NAMES)
    assert converge_given(desired, given.pem, given.key_pem(), dry=True)
    assert not desired.directory.exists()
    assert len(converge_given(desired, given.pem, given.key_pem(), dry=False)) == 2
    assert contents(desired) == {"server.pem": given.pem, "server.key": given.key_pem()}
    assert converge_given(desired, given.pem, given.key_pem(), dry=False) == []


@pytest.mark.parametrize(
    ("names", "ends", "message"),
    [(["db2.test"], 90, "is not for 192.0.2.5. The names in it: db2.test"), (NAMES, -0.5, "expired on")],
)
def test_a_given_one_that_is_no_good_is_refused(desired: Desired, names: list[str], ends: float, message: str) -> None:
    given = issue("db", names=names, ends=ends)
    with pytest.raises(StabilityError, match=message):
        converge_given(desired, given.pem, given.key_pem(), dry=False)
    assert not desired.directory.exists()
    with pytest.raises(StabilityError, match="does not fit"):
        converge_given(desired, given.pem, issue("other").key_pem(), dry=False)


def test_what_is_in_the_certificates_is_valid_for_the_library(desired: Desired) -> None:
    """Python's strict verification, the default from 3.13 on, wants key identifiers and usages."""
    converge(desired)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(desired.certificate, desired.key)
    strict = ssl.create_default_context(cadata=desired.authority.read_text())
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = strict.wrap_bio(ends[0], ends[1], server_hostname=NAMES[0])
    answering = server.wrap_bio(ends[1], ends[0], server_side=True)
    for _round in range(5):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"
    assert client.getpeercert()
