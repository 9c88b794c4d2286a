# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails on the way to a certificate leaves what is served, says why, and is repaired by the next run.

More of it is in test_acme.py: names, an authority that is down, an account's wrong key, a configuration that is broken.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from acme_edge import HERE, HOOK, LINEAGE, RECORD, REFUSED, SECOND, WEBROOT, acme_edge, failure, order, renew, serve
from authority import ROOT, Authority, authority
from certificates import issue
from edge import HOST_NAME, Edge, secure, served
from full_disk import full
from hosts import put
from testinfra.host import Host

BOTH = [HOST_NAME, SECOND]
ARCHIVE = "/etc/letsencrypt/archive/edge"
ACCOUNTS = "/etc/letsencrypt/accounts"
JOURNALS = "/var/lib/nginx_site"
FOREIGN = "/etc/nginx/conf.d/foreign.conf"
LIMITED = 14010
# An authority whose limit is reached: all but a new order goes to the real one.
LIMITING = f"""
server {{
    listen {HERE}:{LIMITED} ssl;
    ssl_certificate {ROOT}/pebble.pem;
    ssl_certificate_key {ROOT}/pebble.key;
    access_log /var/log/nginx/limiting.log;
    location / {{
        proxy_pass https://{HERE}:14000;
        proxy_set_header Host $http_host;
    }}
    location = /order-plz {{
        default_type application/problem+json;
        return 429 '{{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates"}}';
    }}
}}
"""
# More exact than the site's own: all that comes from the host itself goes there.
IN_THE_WAY = f"server {{ listen {HERE}:80; return 200 other; }}"


@pytest.fixture(scope="module")
def issuer(host: Host) -> Iterator[Authority]:
    with authority(host, dict.fromkeys(BOTH, HERE)) as found:
        yield found


@pytest.fixture(scope="module")
def edge(issuer: Authority) -> Iterator[Edge]:
    with acme_edge(issuer) as site:
        yield site


@pytest.fixture
def wanted(edge: Edge) -> list[str]:
    """Names of another certificate than the one that is there, whose order has not failed yet."""
    edge.host.check_output("rm -f %s %s", RECORD, REFUSED)
    found = edge.host.check_output(f"openssl x509 -noout -ext subjectAltName -in {LINEAGE}/cert.pem")
    return [HOST_NAME] if SECOND in found else BOTH


@contextmanager
def unharmed(edge: Edge) -> Iterator[None]:
    before = served(edge)
    yield
    assert served(edge) == before
    assert secure(edge)["status"] == 200


def refused(edge: Edge, names: Sequence[str], **options: Any) -> str:
    """What is said to an order that the authority is asked for, whatever was before."""
    with unharmed(edge):
        output = order(edge, names, **{"insist": True, **options})
    assert not output.startswith("exit=0 "), output
    return output


def issued(edge: Edge, names: Sequence[str]) -> None:
    output = order(edge, names, insist=True)
    assert output.startswith("exit=0 "), output


def restart(issuer: Authority, **options: Any) -> None:
    """The authority, otherwise than before. It has forgotten certbot's account, and certbot does so, too."""
    issuer.start(**options)
    issuer.host.check_output("rm -rf %s", ACCOUNTS)


def show(issuer: Authority, **validity: float) -> None:
    """The authority has another certificate of its own, valid between two days counted from now."""
    own = issue(HERE, issuer.top, names=[HERE], **validity)
    put(issuer.host, f"{ROOT}/pebble.pem", own.pem)
    put(issuer.host, f"{ROOT}/pebble.key", own.key_pem())
    restart(issuer)


# A former worker may still accept a connection, with the certificate of before, until the signal reaches it.
RELOAD = """
former=$(pgrep --full 'nginx: worker process$')
systemctl reload nginx
for worker in $former; do while ps -o args= -p $worker | grep -q 'worker process$'; do sleep 0.05; done; done
"""


@contextmanager
def foreign(host: Host, text: str) -> Iterator[None]:
    """A site that somebody else has on the host."""
    put(host, FOREIGN, text)
    try:
        host.check_output(f"nginx -t 2>&1 && {RELOAD}")
        yield
    finally:
        host.check_output(f"rm {FOREIGN} && {RELOAD}")


@contextmanager
def killing(host: Host, victim: str, when: str) -> Iterator[None]:
    """Whoever has that in its command line is killed as soon as there is a file of that name."""
    loop = f"until ls {when} >/dev/null 2>&1; do sleep 0.01; done; pkill -KILL --full {victim}"
    host.check_output("systemd-run --quiet --collect --unit=molecule-killer --property=RuntimeMaxSec=60 sh -c %s", loop)
    try:
        yield
    finally:
        host.run("systemctl stop molecule-killer")


def test_two_runs_at_once_on_a_bare_host_order_one_certificate(edge: Edge) -> None:
    with ThreadPoolExecutor() as threads:
        for run in [threads.submit(serve, edge, nginx_server_names=BOTH) for _run in range(2)]:
            run.result()
    assert secure(edge)["status"] == 200
    assert edge.host.check_output(f"ls {ARCHIVE}").split().count("cert2.pem") == 0


def test_an_order_waits_for_certbot_s_own_run(edge: Edge, wanted: list[str]) -> None:
    before = edge.host.check_output(f"ls {ARCHIVE} | wc -l")
    edge.host.check_output("systemctl kill --signal=STOP molecule-authority")
    renewal = "certbot renew --force-renewal --no-random-sleep-on-renew"
    edge.host.check_output(f"systemd-run --quiet --collect --unit=molecule-renewal {renewal}")
    with ThreadPoolExecutor() as threads:
        ordering = threads.submit(issued, edge, wanted)
        time.sleep(3)
        assert edge.host.service("molecule-renewal").is_running
        edge.host.check_output("systemctl kill --signal=CONT molecule-authority")
        ordering.result()
    assert int(edge.host.check_output(f"ls {ARCHIVE} | wc -l")) == int(before) + 8


def test_port_80_is_closed_to_the_authority(edge: Edge, issuer: Authority, wanted: list[str]) -> None:
    restart(issuer, httpPort=81)
    try:
        said = refused(edge, wanted)
    finally:
        restart(issuer)
    assert f"Domain: {HOST_NAME}" in said
    assert "connection refused" in said


def test_the_authority_s_limit_is_reached(edge: Edge, wanted: list[str]) -> None:
    limited = {"server": f"https://{HERE}:{LIMITED}/dir"}
    with foreign(edge.host, LIMITING):
        assert "too many certificates" in refused(edge, wanted, **limited)
        again = refused(edge, wanted, **limited, insist=False)
    assert "too many certificates That was at " in again
    assert "not ordered again before" in again
    asked = edge.host.check_output("grep --count order-plz /var/log/nginx/limiting.log; rm /var/log/nginx/limiting.log")
    assert asked == "1"


@pytest.mark.parametrize("lost", ["forgotten", "deactivated"])
def test_the_authority_does_not_accept_the_account(edge: Edge, issuer: Authority, wanted: list[str], lost: str) -> None:
    issued(edge, wanted)
    names = [HOST_NAME] if len(wanted) > 1 else BOTH
    if lost == "forgotten":
        issuer.start()
    else:
        kept = "/var/tmp/molecule-accounts"
        edge.host.check_output("cp -a %s %s", ACCOUNTS, kept)
        edge.host.check_output("certbot unregister --non-interactive --server %s", issuer.server)
        edge.host.check_output("rm -r %s && mv %s %s", ACCOUNTS, kept, ACCOUNTS)
    said = refused(edge, names)
    advice = re.search(rf"no longer accepts certbot's account: move ({ACCOUNTS}/\S+) away", said)
    assert advice, said
    edge.host.check_output("rm -r %s", advice[1])
    issued(edge, names)


def test_another_site_answers_the_challenge(edge: Edge, wanted: list[str]) -> None:
    with foreign(edge.host, IN_THE_WAY):
        seen = refused(edge, wanted, insist=False)
        said = refused(edge, wanted)
    assert "another host or another site has the name" in seen
    assert "did not match this challenge" in said


def test_the_clock_is_a_day_slow(edge: Edge, issuer: Authority, wanted: list[str]) -> None:
    """As seen from a host whose clock is: the authority's own certificate begins tomorrow."""
    show(issuer, begins=1)
    try:
        said = refused(edge, wanted)
    finally:
        show(issuer)
    assert "certificate is not yet valid" in said
    assert "Is this host's clock right?" in said


def test_no_room_for_the_challenge(edge: Edge, wanted: list[str]) -> None:
    with full(edge.host, WEBROOT):
        said = refused(edge, wanted, insist=False)
    assert f"No challenge can be written below {WEBROOT}: No space left on device" in said


def test_no_room_for_the_certificate(edge: Edge, wanted: list[str]) -> None:
    with full(edge.host, ARCHIVE) as make_room:
        assert "No space left on device" in refused(edge, wanted)
        make_room()
        issued(edge, wanted)


def test_no_room_at_the_hook(edge: Edge) -> None:
    with full(edge.host, JOURNALS) as make_room:
        with unharmed(edge):
            said = renew(edge)
        assert "No space left on device" in said
        assert JOURNALS in said
        assert "It was renewed, but is not served" in failure(edge)
        make_room()
        before = served(edge)
        edge.host.check_output(f"RENEWED_LINEAGE={LINEAGE} {HOOK}")
    assert served(edge) != before
    assert not edge.host.file(RECORD).exists


def test_certbot_is_killed_in_the_middle_of_an_order(edge: Edge, wanted: list[str]) -> None:
    challenges = f"{WEBROOT}/.well-known/acme-challenge"
    edge.host.check_output("rm -rf %s", challenges)
    with killing(edge.host, "^/usr/bin/python3.*/certbot", f"{challenges}/*"):
        assert "certbot --non-interactive certonly --agree-tos was killed" in refused(edge, wanted)
    issued(edge, wanted)


def test_the_hook_is_killed_in_the_middle(edge: Edge) -> None:
    before = served(edge)
    with killing(edge.host, "[r]enewal-hooks/deploy/edge", f"{JOURNALS}/.journal.json"):
        assert "error code -9" in renew(edge)
    assert secure(edge)["status"] == 200
    assert edge.host.file(f"{JOURNALS}/.journal.json").exists
    serve(edge, nginx_server_names=BOTH)
    assert served(edge) != before
    assert not edge.host.file(f"{JOURNALS}/.journal.json").exists


def test_the_authority_never_answers(edge: Edge, wanted: list[str]) -> None:
    edge.host.check_output("systemctl kill --signal=STOP molecule-authority")
    began = time.monotonic()
    try:
        said = refused(edge, wanted)
    finally:
        edge.host.check_output("systemctl kill --signal=CONT molecule-authority")
    assert "Read timed out" in said
    assert time.monotonic() - began < 90
