# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site `edge` with a certificate from a test authority, and clients who ask it all the time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from authority import Authority
from edge import HOST_NAME, TLS_PORT, Edge, apply, behind, edge_site, on_host

BEHIND = 9131
HERE = "127.0.0.1"
SECOND = "www.edge.test"
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/edge"
LINEAGE = "/etc/letsencrypt/live/edge"
WEBROOT = "/var/www/edge-acme"
RECORD = "/var/lib/certbot_certificate/edge.json"
REFUSED = "/var/lib/certbot_certificate/edge.refused.json"


def acme_edge(issuer: Authority) -> AbstractContextManager[Edge]:
    """Before it is served."""
    variables = {
        "nginx_acme_email": "ops@edge.test",
        "nginx_acme_server": issuer.server,
        "nginx_port": 80,
        "nginx_tls_port": TLS_PORT,
        "nginx_upstream_servers": behind(BEHIND),
        "nginx_reload_announce": 0,
    }
    return edge_site(issuer.host, {BEHIND: ""}, **variables)


def serve(edge: Edge, **variables: Any) -> str:
    output = apply({**edge.defaults, **variables}, "--diff")
    assert output.startswith("exit=0 "), output
    return output


def order(edge: Edge, names: Sequence[str], **options: Any) -> str:
    """The order alone, as a task of a playbook; its output as one line. What it brings is not served yet."""
    given = {
        "name": "edge",
        "names": names,
        "email": edge.defaults["nginx_acme_email"],
        "server": edge.defaults["nginx_acme_server"],
        "webroot": WEBROOT,
        **options,
    }
    done = on_host("certbot_certificate", given)
    return f"exit={done.returncode} " + " ".join(f"{done.stdout} {done.stderr}".split())


@contextmanager
def asked(edge: Edge) -> Iterator[None]:
    """Clients ask all the time, each over a connection of its own, and every one has its answer."""
    over, statuses = threading.Event(), Counter[int]()

    def ask() -> None:
        while not over.is_set():
            request = {"port": TLS_PORT, "tls": HOST_NAME, "headers": {"Connection": "close"}}
            statuses.update(edge.statuses(50, "/page", **request))

    with ThreadPoolExecutor() as threads:
        asking = threads.submit(ask)
        try:
            yield
        finally:
            over.set()
        asking.result()
    assert set(statuses) == {200}, statuses
    assert statuses[200] >= 100


def renew(edge: Edge) -> str:
    """certbot's own run, for a certificate that is due."""
    done = edge.host.run("certbot renew --force-renewal --no-random-sleep-on-renew --cert-name edge")
    return f"exit={done.rc} {done.stdout} {done.stderr}"


def timer(edge: Edge) -> bool:
    """What certbot's timer starts, of a certificate that is due; whether it succeeded."""
    due = "grep -q ^renew_before_expiry {0} || sed -i '1i renew_before_expiry = 9999 days' {0}"
    edge.host.check_output(due.format("/etc/letsencrypt/renewal/edge.conf"))
    return edge.host.run("systemctl start certbot.service").rc == 0


def failure(edge: Edge) -> str:
    """Why the last attempt failed, as the service's user may read it."""
    return str(edge.host.check_output("setpriv --reuid=nobody --regid=nogroup --clear-groups cat %s", RECORD))
