# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database server of a fleet: for the app hosts, over TLS, and for nobody else."""

from __future__ import annotations

import json

import pytest
from databases import ENVIRONMENT, sql
from fleet import APPS, DATABASE, PROXIES, address_of
from hosts import host_of

AUTHORITY = "/srv/workbot/config/database-ca.pem"
# A connection without a password: the server refuses it for the address before it asks for one.
CONNECT = "psql --no-password --command='SELECT 1' %s"


def said(name: str, options: str = "sslmode=require") -> str:
    """What the server says to a connection from this host, which has psql, with or without a password."""
    done = host_of(name).run(CONNECT, f"host={address_of(DATABASE)} user=workbot dbname=workbot {options}")
    return str(done.stdout + done.stderr)


def test_each_app_host_is_connected_over_tls_and_nobody_else_is() -> None:
    rows = sql(
        host_of(DATABASE),
        "SELECT DISTINCT client_addr, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE client_addr IS NOT NULL ORDER BY 1",
    )
    assert rows.splitlines() == [f"{address}|t" for address in sorted(map(address_of, APPS))]


@pytest.mark.parametrize("name", APPS)
def test_an_app_host_is_let_in_over_tls_by_its_password_alone(name: str) -> None:
    assert "no password supplied" in said(name, f"sslmode=verify-full sslrootcert={AUTHORITY}")
    assert "no pg_hba.conf entry" in said(name, "sslmode=disable")
    assert "no pg_hba.conf entry" in said(name, "sslmode=require user=postgres")


def test_every_app_host_knows_the_servers_own_authority() -> None:
    own = host_of(DATABASE).file("/etc/postgresql-common/tls/authority.pem").content_string
    for name in APPS:
        assert host_of(name).file(AUTHORITY).content_string == own
        assert "sslmode=verify-full" in host_of(name).file(ENVIRONMENT).content_string


def test_a_proxy_is_not_let_in() -> None:
    # It has no psql; the server's answer to a startup over TLS tells as much.
    program = (
        "import socket, ssl, struct, sys\n"
        "plain = socket.create_connection((sys.argv[1], 5432), 5)\n"
        "plain.sendall(struct.pack('!ii', 8, 80877103)); assert plain.recv(1) == b'S'\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
        "context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n"
        "tls = context.wrap_socket(plain)\n"
        "body = struct.pack('!i', 196608) + b'user\\0workbot\\0database\\0workbot\\0\\0'\n"
        "tls.sendall(struct.pack('!i', len(body) + 4) + body); print(tls.recv(4096).decode(errors='replace'))\n"
    )
    answer = host_of(PROXIES[0]).check_output("python3 -c %s %s", program, address_of(DATABASE))
    assert f'no pg_hba.conf entry for host "{address_of(PROXIES[0])}"' in answer


def test_the_server_is_sized_to_a_host_of_its_own_and_has_no_service() -> None:
    database = host_of(DATABASE)
    assert sql(database, "SHOW shared_buffers") == "256MB", "half of service_database_memory"
    assert not database.file("/srv/workbot").exists
    assert database.run("id workbot").rc != 0


def test_the_diagnosis_of_an_app_host_sees_the_server() -> None:
    result = host_of(APPS[0]).run("workbot-diagnose --json --check database")
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert f"{address_of(DATABASE)}:5432 answers in" in findings["database"]["message"]
    assert f"the certificate of {address_of(DATABASE)} is valid" in findings["database.certificate"]["message"]
    assert {finding["status"] for finding in findings.values()} == {"ok"}
