# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS by an ACME authority: from one run, renewed by certbot's timer; and what serves where the authority refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from acme_edge import HERE, HOOK, LINEAGE, RECORD, SECOND, acme_edge, asked, failure, renew, serve, timer
from authority import Authority, authority, resolving
from edge import HOST_NAME, Edge, apply, on_host, secure, served, shown
from hosts import playbook
from nginx_sites import WORKERS
from testinfra.host import Host

ELSEWHERE = "elsewhere.test"


@pytest.fixture(scope="module")
def issuer(host: Host) -> Iterator[Authority]:
    with authority(host, {HOST_NAME: HERE, SECOND: HERE}) as found:
        yield found


@pytest.fixture(scope="module")
def edge(issuer: Authority) -> Iterator[Edge]:
    with acme_edge(issuer) as site:
        yield site


def site(variables: dict[str, Any]) -> str:
    run = playbook("workbot.stability.site", variables)
    output = str(run.communicate()[0])
    assert run.returncode == 0, output
    return output


def test_check_mode_predicts_the_order_and_asks_nobody(edge: Edge) -> None:
    # what an earlier test's own certificate has left
    edge.host.check_output("rm -rf /etc/nginx/services/edge")
    output = apply(edge.defaults, "--check", "--diff")
    assert output.startswith("exit=0 "), output
    assert "there is none" in output
    assert not edge.host.file(LINEAGE).exists
    assert not edge.host.file("/etc/nginx/services/edge").exists


def test_a_bare_host_serves_https_after_one_run(edge: Edge) -> None:
    serve(edge)
    assert secure(edge)["status"] == 200
    assert "Pebble" in served(edge, "-issuer")
    assert edge.ask("/page", port=80)["status"] == 308
    assert edge.host.file(f"{LINEAGE}/privkey.pem").exists
    assert edge.host.service("certbot.timer").is_enabled
    assert "changed=0 " in serve(edge)


def test_a_name_is_added_without_a_lost_request(edge: Edge) -> None:
    before = served(edge)
    with asked(edge):
        output = serve(edge, nginx_server_names=[HOST_NAME, SECOND])
    assert f"it is not for {SECOND}" in output
    assert served(edge) != before
    assert SECOND in served(edge, "-ext subjectAltName")
    assert "changed=0 " in serve(edge, nginx_server_names=[HOST_NAME, SECOND])


def test_a_renewal_is_served_without_a_lost_request_and_browsers_come_back_by_https_alone(edge: Edge) -> None:
    before, key = served(edge), served(edge, "-pubkey")
    assert "strict-transport-security" not in secure(edge)["headers"]
    with asked(edge):
        assert timer(edge)
    assert served(edge) != before
    assert served(edge, "-pubkey") != key
    assert secure(edge)["headers"]["strict-transport-security"] == ["max-age=31536000"]
    assert "strict-transport-security" not in edge.ask("/page", port=80)["headers"]
    assert "changed=0 " in serve(edge, nginx_server_names=[HOST_NAME, SECOND])


def test_a_renewal_that_nginx_can_not_read_leaves_what_is_served(edge: Edge) -> None:
    before = served(edge)
    edge.host.check_output("echo 'no directive;' > /etc/nginx/conf.d/foreign.conf")
    try:
        output = renew(edge)
    finally:
        edge.host.check_output("rm /etc/nginx/conf.d/foreign.conf")
    assert "foreign.conf" in output
    assert served(edge) == before
    assert "foreign.conf" in failure(edge)
    serve(edge, nginx_server_names=[HOST_NAME, SECOND])
    assert served(edge) != before


def test_a_renewal_that_fails_leaves_the_reason_until_one_succeeds(edge: Edge) -> None:
    before, accounts = served(edge), "/etc/letsencrypt/accounts"
    edge.host.check_output(f"mv {accounts} {accounts}.away")
    try:
        assert not timer(edge)
        assert "Account" in failure(edge)
    finally:
        edge.host.check_output(f"rm -rf {accounts}; mv {accounts}.away {accounts}")
    edge.host.check_output("chmod 0700 /var/www")
    try:
        assert not timer(edge)
        assert f"Domain: {HOST_NAME}" in failure(edge)
    finally:
        edge.host.check_output("chmod 0755 /var/www")
    assert served(edge) == before
    assert timer(edge)
    assert served(edge) != before
    assert not edge.host.file(RECORD).exists


def test_the_hook_starts_no_nginx_and_heeds_no_other_certificate(edge: Edge) -> None:
    """As if it was renewed: its file is another one, of the same certificates."""
    before = edge.host.check_output(WORKERS)
    edge.host.check_output(f"echo >> {LINEAGE}/fullchain.pem; RENEWED_LINEAGE=/etc/letsencrypt/live/other {HOOK}")
    assert edge.host.check_output(WORKERS) == before
    edge.host.check_output("systemctl stop nginx")
    try:
        edge.host.check_output(f"RENEWED_LINEAGE={LINEAGE} {HOOK}")
        assert not edge.host.service("nginx").is_running
    finally:
        edge.host.check_output("systemctl start nginx")
    before = edge.host.check_output(WORKERS)
    edge.host.check_output(f"RENEWED_LINEAGE={LINEAGE} {HOOK}")
    assert edge.host.check_output(WORKERS) != before


def test_a_name_less_is_another_order(edge: Edge) -> None:
    assert f"it is also for {SECOND}" in serve(edge)
    assert SECOND not in served(edge, "-ext subjectAltName")


def test_a_name_that_does_not_resolve_spends_no_order(edge: Edge) -> None:
    before = served(edge)
    said = edge.refuse(nginx_server_names=[HOST_NAME, ELSEWHERE])
    assert f"{ELSEWHERE}: the name does not resolve" in said
    assert not edge.host.file(RECORD).exists
    assert served(edge) == before
    assert secure(edge)["status"] == 200


def test_a_name_that_leads_elsewhere_is_the_authority_s_to_judge_and_ordered_once_an_hour(edge: Edge) -> None:
    before, names = served(edge), [HOST_NAME, ELSEWHERE]
    with resolving(edge.host, {ELSEWHERE: "192.0.2.1"}):
        said = edge.refuse(nginx_server_names=names)
        assert f"Domain: {ELSEWHERE}" in said
        assert served(edge) == before
        assert secure(edge)["status"] == 200
    with resolving(edge.host, {ELSEWHERE: HERE}):
        again = edge.refuse(nginx_server_names=names)
        assert "not ordered again before" in again
        assert f"Domain: {ELSEWHERE}" in again
        serve(edge, nginx_server_names=names, nginx_acme_insist=True)
    assert ELSEWHERE in served(edge, "-ext subjectAltName")
    assert not edge.host.file(RECORD).exists
    serve(edge)


def test_without_its_authority_the_old_one_serves_on(edge: Edge, issuer: Authority) -> None:
    before = served(edge)
    issuer.stop()
    said = edge.refuse(nginx_server_names=[HOST_NAME, SECOND])
    assert "refused" in said
    assert served(edge) == before
    assert secure(edge)["status"] == 200
    edge.host.check_output("rm -r /etc/letsencrypt/accounts")
    issuer.start()
    serve(edge, nginx_server_names=[HOST_NAME, SECOND], nginx_acme_insist=True)


def test_an_authority_that_knows_its_customers(edge: Edge, issuer: Authority) -> None:
    right, wrong = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W", "Y2hhbmdlIG1l" * 5
    issuer.start(externalAccountBindingRequired=True, externalAccountMACKeys={"customer": right})
    edge.host.check_output("rm -r /etc/letsencrypt/accounts")
    account = {"nginx_acme_eab_kid": "customer"}
    said = edge.refuse(nginx_acme_eab_hmac_key=wrong, **account)
    assert wrong not in said
    assert wrong not in edge.host.check_output("cat /var/lib/certbot_certificate/edge.json")
    serve(edge, nginx_acme_eab_hmac_key=right, **account)
    assert secure(edge)["status"] == 200


def test_a_certificate_of_one_s_own_and_back(edge: Edge) -> None:
    serve(edge, nginx_acme_email="", nginx_tls_enabled=True, nginx_tls_self_signed=True)
    assert "Pebble" not in served(edge, "-issuer")
    assert not edge.host.file(HOOK).exists
    assert not edge.host.file(LINEAGE).exists
    serve(edge)
    assert "Pebble" in served(edge, "-issuer")


def test_site_yml_orders_after_all_roles_and_then_has_nothing_to_do(issuer: Authority) -> None:
    # as the scenario has it
    given = {"watchdog_enabled": False}
    wanted = {**given, "nginx_acme_email": "ops@workbot.test", "nginx_acme_server": issuer.server}
    try:
        with resolving(issuer.host, {"workbot.test": HERE}):
            first, second = (site({**wanted, "nginx_server_names": ["workbot.test"]}) for _run in range(2))
        by = shown(issuer.host, 443, "workbot.test", "-issuer")
    finally:
        back = site(given)
    order = first.index("TASK [workbot.stability.nginx : Order the certificate]")
    assert first.rindex("TASK [workbot.stability.alerting") < order, first
    assert "Pebble" in by
    assert "there is nothing to do" in second, second
    assert "Delete certbot's certificate" in back
    assert not issuer.host.file("/etc/letsencrypt/live/workbot").exists


def test_a_removal_takes_the_certificate_along_and_has_it_revoked(edge: Edge, issuer: Authority) -> None:
    edge.host.check_output(f"mkdir -p /etc/letsencrypt/live/other && test -e {LINEAGE} && test -e {HOOK}")
    serial = served(edge).removeprefix("serial=").strip().lower()
    options = {
        "name": "edge",
        "user": "edge",
        "group": "edge",
        "directory": "/srv/edge",
        "log_directory": "/var/log/edge",
    }
    given = {**options, "run_directory": "/run/edge", "acme_webroot": "/var/www/edge-acme", "revoke": True}
    done = on_host("service_removal", given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert edge.host.run("find / -xdev -path '*letsencrypt*' -name 'edge*'").stdout == ""
    assert edge.host.run("find /etc/systemd /var/lib -name 'certbot*.d' -o -name certbot_certificate").stdout == ""
    assert edge.host.file("/etc/letsencrypt/live/other").exists
    assert not edge.host.file("/var/www/edge-acme").exists
    assert issuer.status_of(serial) == "Revoked"
