# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate of another host's authority: what goes to and fro, and what those at either end of it believe then."""

from __future__ import annotations

import datetime
import getpass
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import _shake_hands
from ansible_collections.workbot.stability.plugins.module_utils._net.private_ca import Desired, converge_made
from ansible_collections.workbot.stability.plugins.module_utils._net.requested_certificate import (
    converge_requested,
    issue,
)
from certificates import issue as issue_foreign
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
NAMES = ["192.0.2.6", "app1.test"]
NONE = "there is none with its key"


@pytest.fixture
def monitor(tmp_path: Path) -> Desired:
    """The host of the authority, which is a client itself."""
    found = Desired(tmp_path / "monitor", getpass.getuser(), ["192.0.2.9"], 825, 180, "client")
    converge_made(found, NOW, dry=False)
    return found


@pytest.fixture
def desired(tmp_path: Path) -> Desired:
    return Desired(tmp_path / "exporter", getpass.getuser(), NAMES, 825, 180)


def contents(desired: Desired) -> dict[str, str]:
    return {path.name: path.read_text() for path in desired.directory.iterdir()} if desired.directory.exists() else {}


def ask(desired: Desired, monitor: Desired, days: float = 0, *, dry: bool = False) -> tuple[list[str], str]:
    now = NOW + datetime.timedelta(days=days)
    found = converge_requested(desired, monitor.authority.read_text(), "", now, dry=dry)
    assert found.pending is (bool(found.request) or dry)
    return list(found.reasons), found.request


def store(desired: Desired, monitor: Desired, issued: str, days: float = 0) -> list[str]:
    now = NOW + datetime.timedelta(days=days)
    found = converge_requested(desired, monitor.authority.read_text(), issued, now, dry=False)
    assert not found.pending
    return list(found.reasons)


def obtain(desired: Desired, monitor: Desired, days: float = 0, usage: str = "server") -> list[str]:
    """All three calls, as the tasks of a run make them."""
    why, request = ask(desired, monitor, days)
    if request:
        at_monitor = replace(monitor, names=desired.names, usage=usage)
        issued = issue(at_monitor, request, NOW + datetime.timedelta(days=days))
        assert store(desired, monitor, issued, days) == why
    return why


def answers(server: Desired, client: Desired) -> bool:
    """Whether a server that wants a client's certificate of its authority, and that client, come to terms."""
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.load_cert_chain(server.certificate, server.key)
    asking.load_cert_chain(client.certificate, client.key)
    for context, end in ((serving, server), (asking, client)):
        context.load_verify_locations(end.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        asking.wrap_bio(to_client, to_server, server_hostname=server.names[0]),
        serving.wrap_bio(to_server, to_client, server_side=True),
    )
    for _round in range(5):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_those_who_trust_the_authority_accept_the_server_by_each_name(
    desired: Desired, monitor: Desired, name: str
) -> None:
    assert obtain(desired, monitor) == [NONE]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(desired.certificate, desired.key)
    assert _shake_hands(server, monitor.authority.read_text(), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, monitor.authority.read_text(), "192.0.2.7")
    assert desired.authority.read_text() == monitor.authority.read_text()
    assert desired.key.stat().st_mode & 0o777 == 0o600


def test_the_authoritys_host_is_let_in_and_another_server_of_it_is_not(
    desired: Desired, monitor: Desired, tmp_path: Path
) -> None:
    """A server's certificate is none for a client: who has broken into one host reads no other one by it."""
    other = replace(desired, directory=tmp_path / "other", names=["192.0.2.7"])
    obtain(desired, monitor)
    obtain(other, monitor)
    assert answers(desired, monitor)
    assert not answers(desired, other)


def test_peers_come_to_terms_whoever_asks(desired: Desired, tmp_path: Path) -> None:
    peer = Desired(tmp_path / "peer", getpass.getuser(), ["192.0.2.9"], 825, 180, "peer")
    converge_made(peer, NOW, dry=False)
    obtain(desired, peer, usage="peer")
    assert answers(desired, peer)
    assert answers(peer, desired)


def test_a_second_run_asks_for_nothing(desired: Desired, monitor: Desired) -> None:
    obtain(desired, monitor)
    before = contents(desired)
    assert ask(desired, monitor) == ([], "")
    assert contents(desired) == before


def test_check_mode_predicts_and_neither_stores_nor_asks(desired: Desired, monitor: Desired) -> None:
    assert ask(desired, monitor, dry=True) == ([NONE], "")
    assert not desired.directory.exists()


def test_what_is_in_use_stays_until_the_answer_is_there(desired: Desired, monitor: Desired) -> None:
    obtain(desired, monitor)
    before = contents(desired)
    why, request = ask(desired, monitor, 646)
    assert why == [f"it expires on {NOW + datetime.timedelta(days=825):%Y-%m-%d}"]
    assert request
    assert contents(desired) == before
    assert obtain(desired, monitor, 646) == why
    after = contents(desired)
    assert {name for name in before if before[name] != after[name]} == {"server.pem"}
    assert ask(desired, monitor, 646) == ([], "")


def test_the_names_are_those_that_the_authority_is_given(desired: Desired, monitor: Desired) -> None:
    _why, request = ask(replace(desired, names=["192.0.2.9", "monitor.test"]), monitor)
    certificate = x509.load_pem_x509_certificate(issue(replace(monitor, names=NAMES), request, NOW).encode())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in found] == NAMES


def test_a_certificate_of_another_monitor_is_replaced(desired: Desired, monitor: Desired, tmp_path: Path) -> None:
    obtain(desired, monitor)
    key = desired.key.read_text()
    other = replace(monitor, directory=tmp_path / "another")
    converge_made(other, NOW, dry=False)
    assert obtain(desired, other) == ["it is of another authority"]
    assert answers(desired, other)
    assert not answers(desired, monitor)
    assert desired.key.read_text() == key


@pytest.mark.parametrize("lost", ["server.key", "server.pem", "authority.pem"])
def test_a_lost_file_comes_back(desired: Desired, monitor: Desired, lost: str) -> None:
    obtain(desired, monitor)
    (desired.directory / lost).write_text("lost")
    assert obtain(desired, monitor) == ["authority.pem is another one" if lost == "authority.pem" else NONE]
    assert answers(desired, monitor)
    assert obtain(desired, monitor) == []


def test_a_new_name_is_asked_for(desired: Desired, monitor: Desired) -> None:
    obtain(desired, monitor)
    assert obtain(replace(desired, names=[*NAMES, "www.test"]), monitor) == ["it is not for www.test"]


def test_an_answer_that_was_not_asked_for_is_refused(desired: Desired, monitor: Desired, tmp_path: Path) -> None:
    obtain(desired, monitor)
    before = contents(desired)
    other = replace(desired, directory=tmp_path / "other")
    _why, request = ask(other, monitor)
    for issued, message in (
        (issue(replace(monitor, names=NAMES), request, NOW), NONE),
        (issue(replace(monitor, names=NAMES[:1]), ask(desired, monitor, 646)[1], NOW), "it is not for app1.test"),
        (issue_foreign("app1.test", names=NAMES).pem, NONE),
        ("nothing", NONE),
    ):
        with pytest.raises(StabilityError, match=f"not what was asked for: {message}"):
            store(desired, monitor, issued)
    assert contents(desired) == before


def test_the_authority_issues_for_the_holder_of_a_key_alone(desired: Desired, monitor: Desired) -> None:
    _why, request = ask(desired, monitor)
    found = x509.load_pem_x509_csr(request.encode())
    forged = found.public_bytes(serialization.Encoding.DER)[:-1] + bytes([found.signature[-1] ^ 1])
    for text in (pem_of(forged), of_rsa(), "nothing", monitor.authority.read_text()):
        with pytest.raises(StabilityError, match=r"^request: "):
            issue(monitor, text, NOW)


def pem_of(request: bytes) -> str:
    return x509.load_der_x509_csr(request).public_bytes(serialization.Encoding.PEM).decode()


def of_rsa() -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app1.test")])
    key = rsa.generate_private_key(65537, 2048)
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


def test_an_authority_that_is_not_there_or_ends_too_soon_issues_nothing(desired: Desired, monitor: Desired) -> None:
    _why, request = ask(desired, monitor)
    with pytest.raises(StabilityError, match="the authority expires on"):
        issue(monitor, request, NOW + datetime.timedelta(days=7300 - 824))
    with pytest.raises(StabilityError, match="there is no authority"):
        issue(desired, request, NOW)
    with pytest.raises(StabilityError, match="authority: no certificate"):
        converge_requested(desired, "nothing", "", NOW, dry=True)


def test_a_key_of_another_kind_is_replaced(desired: Desired, monitor: Desired) -> None:
    obtain(desired, monitor)
    kind = rsa.generate_private_key(65537, 2048)
    desired.key.write_bytes(
        kind.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    assert obtain(desired, monitor) == [NONE]
    found = serialization.load_pem_private_key(desired.key.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
