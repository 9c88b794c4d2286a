# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS as others see it: how sslyze and gixy judge it, and what a browser shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_edge import HERE, acme_edge, serve
from authority import Authority, authority
from edge import HOST_NAME, TLS_PORT, Edge
from gixy_report import findings, is_seen, unexplained
from hosts import put
from testinfra.host import Host
from tls_judge import resumed, scanned, violations, weaknesses

CARELESS = 8449
# Of a root in sslyze's own collection.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")
# As Let's Encrypt has it.
NINETY_DAYS = 90 * 24 * 3600
# A browser and the tool that writes what it trusts.
BROWSER = ("chromium-headless-shell", "libnss3-tools")
HOME = "/var/tmp/molecule-browser"


@pytest.fixture(scope="module")
def issuer(host: Host) -> Iterator[Authority]:
    with authority(host, {HOST_NAME: HERE}) as found:
        found.start(certificateValidityPeriod=NINETY_DAYS)
        yield found


@pytest.fixture(scope="module")
def edge(issuer: Authority) -> Iterator[Edge]:
    with acme_edge(issuer) as site:
        serve(site)
        yield site


@pytest.fixture
def root(issuer: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "root.pem"
    path.write_text(issuer.root(), encoding="utf-8")
    return path


@pytest.mark.usefixtures("edge")
def test_the_profile_intermediate_and_a_grade_a(root: Path) -> None:
    found = scanned(TLS_PORT, HOST_NAME, root)
    assert violations(found, "intermediate") == {}
    assert weaknesses(found) == []
    assert resumed(found) > 0
    # the judge knows one from the other
    assert {"tls_versions", "ciphers"} < set(violations(found, "modern"))


def test_a_careless_server_is_found(edge: Edge, root: Path) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=careless -keyout {0}.key -out {0}.pem 2>/dev/null"
    edge.host.check_output(make.format("/var/tmp/careless"))
    server = "openssl s_server -accept %s -cert {0}.pem -key {0}.key -tls1_2 -cipher AES128-SHA -www"
    edge.host.check_output(f"systemd-run --quiet --unit=careless {server.format('/var/tmp/careless')}", str(CARELESS))
    try:
        found = scanned(CARELESS, "careless", root)
    finally:
        edge.host.check_output("systemctl stop careless; rm /var/tmp/careless.*")
    assert {"no forward secrecy", "untrusted"} <= set(weaknesses(found))


def test_gixy_finds_nothing_in_a_site_with_a_certificate_from_an_authority(edge: Edge, tmp_path: Path) -> None:
    found = findings(edge.host, tmp_path)
    assert unexplained(found) == []
    assert is_seen("edge", found)


@pytest.fixture
def browser(host: Host) -> Iterator[str]:
    """Visits a page, and trusts nobody but who is in its store, which is empty yet."""
    apt = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"
    host.check_output(f"{apt} install --no-install-recommends %s %s", *BROWSER)
    try:
        host.check_output(f"install -d -o nobody {HOME} {HOME}/.pki {HOME}/.pki/nssdb")
        as_visitor(host, f"certutil -d sql:{HOME}/.pki/nssdb -N --empty-password")
        # of its own sandbox nothing is asked here, and a container may not have the namespaces for it
        yield "timeout 60 chromium-headless-shell --no-sandbox --dump-dom"
    finally:
        host.check_output(f"{apt} purge --auto-remove %s %s", *BROWSER)
        host.check_output("rm -r %s", HOME)


def as_visitor(host: Host, command: str) -> str:
    done = host.run(f"cd / && runuser -u nobody -- env HOME={HOME} {command}")
    return f"{done.stdout} {done.stderr}"


def test_a_browser_shows_the_page_to_who_trusts_the_authority(edge: Edge, issuer: Authority, browser: str) -> None:
    refused = as_visitor(edge.host, f"{browser} https://{HOST_NAME}:{TLS_PORT}/page")
    assert "ERR_CERT_AUTHORITY_INVALID" in refused
    assert "X-Forwarded-Proto" not in refused
    put(edge.host, f"{HOME}/root.pem", issuer.root())
    as_visitor(edge.host, f"certutil -d sql:{HOME}/.pki/nssdb -A -t C,, -n root -i {HOME}/root.pem")
    assert '"X-Forwarded-Proto": "https"' in as_visitor(edge.host, f"{browser} http://{HOST_NAME}/page")


def test_the_profile_modern(edge: Edge, root: Path) -> None:
    serve(edge, nginx_tls_profile="modern")
    found = scanned(TLS_PORT, HOST_NAME, root)
    # Pebble signs with RSA alone; the certificate's own key is of the other kind.
    assert set(violations(found, "modern")) == {"certificate_signatures"}
    assert weaknesses(found) == []
