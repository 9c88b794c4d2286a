# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS: which certificate, which protocols, and which certificates never get as far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from edge import HOST_NAME, PORT, TLS_PORT, Edge, apply, behind, edge_site, secure, served
from testinfra.host import Host

BEHIND = 9131
WORKERS = "pgrep --uid www-data --full 'nginx: worker process$'"

Pair = dict[str, str]


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {"nginx_tls_enabled": True, "nginx_tls_port": TLS_PORT}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **variables) as site:
        yield site


def pair(name: str, days: int = 30) -> Pair:
    """A certificate and its key as PEM texts; with days below zero it has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"nginx_tls_certificate": certificate.decode(), "nginx_tls_key": text.decode()}


def test_a_trial_needs_no_certificate(edge: Edge) -> None:
    # Of an earlier test: the certificate must be missing.
    edge.host.check_output("rm -rf /etc/nginx/services/edge")
    predicted = apply({**edge.defaults, "nginx_tls_self_signed": True}, "--check")
    assert predicted.startswith("exit=0 "), predicted
    assert not edge.host.file("/etc/nginx/services/edge").exists
    edge.serve(nginx_tls_self_signed=True, nginx_tls_hsts=1000)
    answer = secure(edge)
    assert (answer["status"], answer["tls"]) == (200, "TLSv1.3")
    assert answer["headers"]["strict-transport-security"] == ["max-age=1000"]
    assert secure(edge, version="TLSv1_2")["tls"] == "TLSv1.2"
    assert secure(edge, version="TLSv1_1")["status"] == 0
    assert '"X-Forwarded-Proto": "https"' in str(answer["body"])
    assert "changed=0 " in edge.serve(nginx_tls_self_signed=True, nginx_tls_hsts=1000)


def test_http_2_is_offered(edge: Edge) -> None:
    command = "openssl s_client -connect 127.0.0.1:%s -servername %s -alpn h2 </dev/null 2>/dev/null | grep --text ALPN"
    assert "ALPN protocol: h2" in edge.host.check_output(command, str(TLS_PORT), HOST_NAME)
    assert "warn" not in edge.host.run("nginx -t").stderr


def test_the_plain_port_sends_people_over_and_answers_health_and_challenges(edge: Edge) -> None:
    answer = edge.ask("/page?x=1")
    assert answer["status"] == 308
    assert answer["headers"]["location"] == [f"https://{HOST_NAME}:{TLS_PORT}/page?x=1"]
    assert "strict-transport-security" not in answer["headers"]
    assert edge.ask("/health")["status"] == 200
    edge.host.check_output("mkdir -p /var/www/edge-acme/.well-known/acme-challenge")
    edge.host.check_output("echo proof > /var/www/edge-acme/.well-known/acme-challenge/token")
    assert edge.ask("/.well-known/acme-challenge/token")["body"] == "proof\n"


def test_unknown_names_get_no_handshake(edge: Edge) -> None:
    assert edge.ask("/page", port=TLS_PORT, tls="elsewhere.test")["status"] == 0


def test_a_certificate_from_variables_and_its_successor(edge: Edge) -> None:
    first, second = pair(HOST_NAME), pair(HOST_NAME)
    output = edge.serve(**first)
    assert "PRIVATE KEY" not in output
    key = edge.host.file("/etc/nginx/services/edge/tls.key")
    assert (key.mode, key.user) == (0o600, "root")
    before = served(edge), edge.host.check_output(WORKERS)
    edge.serve(**second)
    after = served(edge), edge.host.check_output(WORKERS)
    assert after[0] != before[0]
    assert after[1] != before[1]


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [("elsewhere.test", 30, HOST_NAME), (HOST_NAME, -1, "expired")],
)
def test_a_wrong_certificate_is_refused_before_the_swap(edge: Edge, name: str, days: int, said: str) -> None:
    before = served(edge), edge.host.check_output(WORKERS)
    assert said in edge.refuse(**pair(name, days))
    assert (served(edge), edge.host.check_output(WORKERS)) == before


def test_a_key_of_another_certificate_is_refused(edge: Edge) -> None:
    before = served(edge), edge.host.check_output(WORKERS)
    mixed = {**pair(HOST_NAME), "nginx_tls_key": pair("other.test")["nginx_tls_key"]}
    output = edge.refuse(**mixed)
    assert "key" in output
    assert "PRIVATE KEY" not in output
    assert (served(edge), edge.host.check_output(WORKERS)) == before


def test_files_on_the_host_and_the_modern_profile(edge: Edge) -> None:
    texts = pair(HOST_NAME)
    edge.host.check_output("mkdir -p /etc/edge-tls")
    for name, text in (("chain.pem", texts["nginx_tls_certificate"]), ("key.pem", texts["nginx_tls_key"])):
        edge.host.check_output("printf %s %s > %s", "%s", text, f"/etc/edge-tls/{name}")
    files = {"nginx_tls_certificate_file": "/etc/edge-tls/chain.pem", "nginx_tls_key_file": "/etc/edge-tls/key.pem"}
    try:
        edge.serve(**files, nginx_tls_profile="modern", nginx_tls_redirect=False)
        assert secure(edge)["tls"] == "TLSv1.3"
        assert secure(edge, version="TLSv1_2")["status"] == 0
        assert edge.ask("/page")["status"] == 200
    finally:
        edge.serve(nginx_tls_enabled=False)
        edge.host.check_output("rm -r /etc/edge-tls")


def test_wrong_variables_are_named(edge: Edge) -> None:
    said = edge.refuse(nginx_tls_key_file="/etc/x.key", nginx_tls_port=PORT)
    assert "nginx_tls_enabled = true" in said
    assert "needs one certificate, from exactly one of" in said
    assert "goes with nginx_tls_certificate_file; both or none" in said
    assert "must be another one than nginx_port" in said
    said = edge.refuse(nginx_tls_certificate="nonsense", nginx_tls_key="never-to-be-shown")
    assert "expected PEM, from -----BEGIN CERTIFICATE----- to" in said
    assert "nginx_tls_key = (hidden)" in said
    assert "never-to-be-shown" not in said
