# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies behind one name, each with a certificate of an authority, which asks whichever of them it likes."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from authority import Authority, authority, resolving
from cryptography import x509
from deployments import assert_unnoticed, load, wait
from fleet import APPS, PROXIES, SPARE, address_of, answers, get, inventory_of, site
from fleet_deployments import WATCHFUL
from hosts import host_of, playbook, power_off, power_on, reached
from waiting import until

NAME, ADDED = "fleet.test", "www.fleet.test"
CHALLENGE = "/.well-known/acme-challenge"
LOAD = (f"--host={NAME}", "--methods=GET", "--path=/api/health", "--connections=6", "--websockets=4")
# What certbot's timer starts, where the certificate is due.
RENEW = "sed -i '1i renew_before_expiry = 9999 days' /etc/letsencrypt/renewal/workbot.conf; systemctl start certbot"
ORDERS = "pgrep -f '[c]ertbot.*certonly'"


def leading_to(proxy: str) -> dict[str, str]:
    return dict.fromkeys((NAME, ADDED), address_of(proxy))


def variables(issuer: Authority, *names: str) -> dict[str, Any]:
    return {
        "nginx_acme_email": "ops@fleet.test",
        "nginx_acme_server": issuer.server,
        "nginx_server_names": [NAME, *names, "_"],
        "nginx_tls_self_signed": False,
    }


@pytest.fixture(scope="module", autouse=True)
def issuer() -> Iterator[Authority]:
    """Both proxies have its certificates; afterwards those of before, and no host knows of the third one any more."""
    first, second = map(host_of, PROXIES)
    names = leading_to(PROXIES[0])
    with authority(first, names, address_of(PROXIES[0])) as found, found.trusted(second), resolving(second, names):
        try:
            with inventory_of(*APPS, **variables(found)) as inventory:
                site("--limit=proxy", inventory=inventory)
                assert site("--limit=proxy", inventory=inventory) == dict.fromkeys(PROXIES, 0)
            yield found
        finally:
            site()


@pytest.fixture
def dying() -> Iterator[str]:
    """A proxy that has its power again afterwards."""
    name = PROXIES[1]
    yield name
    power_on(name)
    until(f"{name} is back", lambda: reached(host_of(name)))


@contextmanager
def under_load(*proxies: str) -> Iterator[None]:
    """Clients that are connected to these for long, and of which none notices anything."""
    with ExitStack() as stack:
        tallies = [stack.enter_context(load(f"https://{address_of(proxy)}", *LOAD)) for proxy in proxies]
        yield
    for tally in tallies:
        assert_unnoticed(tally, methods=("GET",))


def served(proxy: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((address_of(proxy), 443)).encode())


def names_of(proxy: str) -> set[str]:
    names = served(proxy).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def keys(*proxies: str) -> set[Any]:
    found = [served(proxy) for proxy in proxies]
    assert all("Pebble" in one.issuer.rfc4514_string() for one in found)
    return {one.public_key().public_numbers() for one in found}


def test_each_has_a_certificate_and_a_key_of_its_own() -> None:
    assert len(keys(*PROXIES)) == len(PROXIES)


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


def test_both_renew_at_once_with_new_keys_and_nobody_notices() -> None:
    before = keys(*PROXIES)
    with under_load(*PROXIES), ThreadPoolExecutor() as threads:
        list(threads.map(lambda proxy: host_of(proxy).check_output(RENEW), PROXIES))
    assert len(before | keys(*PROXIES)) == 2 * len(PROXIES)


def test_a_third_one_joins_with_a_certificate_of_its_own_in_one_run(issuer: Authority) -> None:
    """The names do not lead to it: the authority's question comes to it by another one."""
    every, before = (*PROXIES, SPARE), keys(*PROXIES)
    with (
        issuer.trusted(host_of(SPARE)),
        resolving(host_of(SPARE), leading_to(PROXIES[0])),
        inventory_of(*APPS, proxies=every, **variables(issuer)) as inventory,
    ):
        with under_load(*PROXIES):
            site(inventory=inventory)
        assert keys(*PROXIES) == before
        assert len(keys(*every)) == len(every)
        assert get(SPARE, "/api/health", tls=True, Host=NAME)[0] == 200


def test_one_dies_before_the_authority_asks_it_and_no_hand_is_needed(issuer: Authority, dying: str) -> None:
    left, dead = PROXIES[0], dying
    hosts = {proxy: host_of(proxy) for proxy in PROXIES}
    with inventory_of(*APPS, **variables(issuer, ADDED)) as inventory, under_load(left):

        def start() -> subprocess.Popen[str]:
            arguments = ("workbot.stability.site", {}, "--limit=proxy")
            return playbook(*arguments, environment=WATCHFUL, inventory=str(inventory))

        with resolving(hosts[left], leading_to(dead)):
            with issuer.suspended():
                running = start()
                until("both order", lambda: all(host.run(ORDERS).rc == 0 for host in hosts.values()), 180)
                power_off(dead)
            said = wait(running).output
        assert f"Domain: {ADDED}" in said
        assert f"{ADDED}: no answer from {address_of(dead)}:80" in said
        assert names_of(left) == {NAME}

        # the DNS has its address no more
        said = wait(start()).output
        assert re.search(rf"{left} : ok=\S+ changed=[1-9]\S* unreachable=0 failed=0", said), said
        assert names_of(left) == {NAME, ADDED}

        power_on(dead)
        until(f"{dead} is back", lambda: answers(dead) and reached(hosts[dead]))
        assert names_of(dead) == {NAME}
        names = leading_to(dead)
        with resolving(hosts[left], names), resolving(hosts[dead], names), under_load(dead):
            changed = site("--limit=proxy", inventory=inventory)
        assert (changed[left], changed[dead] > 0) == (0, True)
        assert names_of(dead) == {NAME, ADDED}
