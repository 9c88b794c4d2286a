# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two proxies behind one name, each with a certificate of an authority that only ever asks the first of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import pytest
from authority import authority, resolving
from fleet import PROXIES, address_of, get, site
from hosts import host_of

NAME = "fleet.test"
CHALLENGE = "/.well-known/acme-challenge"


@pytest.fixture(scope="module", autouse=True)
def certified() -> Iterator[None]:
    """Both proxies; afterwards they have their own certificates of before."""
    first, second = map(host_of, PROXIES)
    names = {NAME: address_of(PROXIES[0])}
    with authority(first, names, address_of(PROXIES[0])) as issuer, issuer.trusted(second), resolving(second, names):
        acme = {"nginx_acme_email": "ops@fleet.test", "nginx_acme_server": issuer.server}
        own = {"nginx_server_names": [NAME, "_"], "nginx_tls_self_signed": False}
        variables = f"--extra-vars={json.dumps({**acme, **own})}"
        try:
            site("--limit=proxy", variables)
            assert site("--limit=proxy", variables) == dict.fromkeys(PROXIES, 0)
            yield
        finally:
            site("--limit=proxy")


def test_each_has_a_certificate_and_a_key_of_its_own() -> None:
    served = [ssl.get_server_certificate((address_of(proxy), 443)) for proxy in PROXIES]
    assert len(set(served)) == len(PROXIES)
    for proxy in PROXIES:
        issuer = "openssl x509 -noout -issuer -in /etc/letsencrypt/live/workbot/cert.pem"
        assert "Pebble" in host_of(proxy).check_output(issuer)


@pytest.mark.parametrize(("has", "asked"), [PROXIES, PROXIES[::-1]])
def test_a_challenge_of_one_is_answered_by_the_other_and_no_question_goes_round(has: str, asked: str) -> None:
    file = f"/var/www/workbot-acme{CHALLENGE}/proof"
    host_of(has).check_output("echo proof > %s", file)
    try:
        assert get(asked, f"{CHALLENGE}/proof", Host=NAME) == (200, "proof\n")
        assert get(asked, f"{CHALLENGE}/proof", **{"Host": NAME, "X-Challenge-Of-Sibling": "1"})[0] == 404
    finally:
        host_of(has).check_output("rm %s", file)
    assert get(asked, f"{CHALLENGE}/proof", Host=NAME)[0] == 404
