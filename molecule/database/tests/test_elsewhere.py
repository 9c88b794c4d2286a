# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server elsewhere: a second cluster, reached over the network that the roles change only in what is the service's.

It begins as others leave it: few connections, nothing of pg_stat_statements, a certificate of another authority, and
nobody let in without TLS. The tests go on from one another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from certificates import issue
from databases import findings, module, sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host

PORT = 5433
AUTHORITY = issue("A provider", authority=True)
CERTIFICATE, KEY = "/etc/postgresql-common/elsewhere.pem", "/etc/postgresql-common/elsewhere.key"
MOST = 40
PASSWORDS = {name: f"molecule-{name}-password-of-a-test" for name in ("admin", "ledger", "diagnosis")}
REMAINS = (
    "/srv/ledger /var/log/ledger /run/ledger /var/lib/ledger-diagnose /etc/tmpfiles.d/ledger.conf"
    " /usr/local/bin/ledger-diagnose /etc/cron.d/ledger-diagnose"
)


@pytest.fixture(scope="module")
def server(host: Host) -> Iterator[str]:
    """Address of the server."""
    version = host.check_output("ls /etc/postgresql").strip()
    address = str(host.check_output("hostname -I").split()[0])
    certificate = issue("database", AUTHORITY, names=[address])
    for file, content in ((CERTIFICATE, certificate.pem), (KEY, certificate.key_pem())):
        host.check_output("umask 077; printf %%s %s > %s; chown postgres %s", content, file, file)
    settings = (
        f"--pgoption listen_addresses='*' --pgoption max_connections={MOST}"
        f" --pgoption ssl=on --pgoption ssl_cert_file={CERTIFICATE} --pgoption ssl_key_file={KEY}"
    )
    host.check_output(f"pg_createcluster {version} elsewhere --port={PORT} --locale=C.UTF-8 {settings} --start")
    rule = f"hostssl all all {address}/32 scram-sha-256"
    host.check_output(f"echo '{rule}' >> /etc/postgresql/{version}/elsewhere/pg_hba.conf")
    sql(host, "SELECT pg_reload_conf()", "postgres", PORT)
    sql(host, f"CREATE ROLE admin SUPERUSER LOGIN PASSWORD '{PASSWORDS['admin']}'", "postgres", PORT)
    yield address
    host.check_output(f"pg_dropcluster --stop {version} elsewhere")
    host.run(f"userdel ledger; rm -rf {REMAINS} {CERTIFICATE} {KEY}")


@pytest.fixture(scope="module")
def variables(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Another service of this host."""
    authority = tmp_path_factory.mktemp("elsewhere") / "authority.pem"
    authority.write_text(AUTHORITY.pem)
    return {
        "service_database_tls": "verify-full",
        "service_database_ca_file": str(authority),
        "service_name": "ledger",
        "service_ca_file": "",
        "service_database_host": server,
        "service_database_port": PORT,
        "service_database_password": PASSWORDS["ledger"],
        "service_instances": 1,
        # other services come after it
        "service_heap_limit": "96M",
        "service_pool_max": 5,
        "postgresql_admin_user": "admin",
        "postgresql_admin_password": PASSWORDS["admin"],
        "postgresql_diagnosis_password": PASSWORDS["diagnosis"],
    }


def ask(server: str, **more: Any) -> dict[str, Any]:
    """The module for slow statements, as the administrator from afar."""
    login = {"login_host": server, "login_port": PORT, "login_user": "admin", "login_password": PASSWORDS["admin"]}
    return module("postgresql_slow_queries", "root", **{**login, "login_db": "postgres", **more})


def test_more_than_the_server_really_allows_is_refused(host: Host, variables: dict[str, Any]) -> None:
    run = wait(playbook("workbot.stability.site", {**variables, "service_instances": 2, "service_pool_max": 20}))
    assert run.code != 0
    assert "ledger 2 instances x 20 connections x 2 during a release = 80" in run.output
    assert f"85 of 37 (max_connections {MOST} - 3 superuser)" in run.output
    assert not run.changed, run.output
    assert host.run("id ledger").rc != 0


def test_a_server_that_does_not_let_the_run_in_is_refused(host: Host, variables: dict[str, Any]) -> None:
    run = wait(playbook("workbot.stability.site", {**variables, "postgresql_admin_password": "molecule-another-one"}))
    assert run.code != 0
    assert f":{PORT} can't be asked as admin" in run.output
    assert 'password authentication failed for user "admin"' in run.output
    assert not run.changed, run.output
    assert host.run("id ledger").rc != 0


def test_a_server_that_does_not_prove_who_it_is_is_refused(variables: dict[str, Any]) -> None:
    run = wait(playbook("workbot.stability.site", {**variables, "service_database_ca_file": ""}))
    assert run.code != 0
    assert "certificate verify failed" in run.output
    assert not run.changed, run.output


def test_each_missing_piece_is_named(host: Host, server: str) -> None:
    version = host.check_output("ls /etc/postgresql").strip()
    refused = ask(server)
    assert refused["failed"]
    assert "is not preloaded: add it to shared_preload_libraries" in refused["msg"]

    sql(host, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'", "postgres", PORT)
    host.check_output(f"pg_ctlcluster {version} elsewhere restart")
    assert "is not created in the database postgres" in ask(server)["msg"]

    sql(host, "CREATE EXTENSION pg_stat_statements VERSION '1.8'", "postgres", PORT)
    assert "is of version 1.8, at least 1.9 is needed" in ask(server)["msg"]

    sql(host, "ALTER EXTENSION pg_stat_statements UPDATE", "postgres", PORT)
    sql(host, "ALTER SYSTEM SET pg_stat_statements.track = 'none'", "postgres", PORT)
    sql(host, "SELECT pg_reload_conf()", "postgres", PORT)
    assert "pg_stat_statements.track is none" in ask(server)["msg"]

    sql(host, "ALTER SYSTEM RESET pg_stat_statements.track", "postgres", PORT)
    sql(host, "SELECT pg_reload_conf()", "postgres", PORT)
    assert not ask(server)["failed"]

    sql(host, "CREATE ROLE reader LOGIN PASSWORD 'molecule'", "postgres", PORT)
    login = {"login_user": "reader", "login_password": "molecule"}
    notes = ask(server, **login, roles=["admin"])["window"]["notes"]
    assert 'the statements of admin are hidden from reader: GRANT pg_read_all_stats TO "reader"' in notes
    sql(host, "REVOKE SELECT ON pg_stat_statements FROM PUBLIC", "postgres", PORT)
    assert "is not readable for reader: permission denied" in ask(server, **login)["msg"]
    sql(host, "GRANT SELECT ON pg_stat_statements TO PUBLIC; DROP ROLE reader", "postgres", PORT)


def test_a_server_that_is_not_there_is_told_without_the_password(server: str) -> None:
    refused = ask(server, login_port=1)
    assert refused["failed"]
    assert "onnection refused" in refused["msg"]
    assert PASSWORDS["admin"] not in json.dumps(refused)


def test_the_service_is_let_in_with_the_least_rights(host: Host, variables: dict[str, Any]) -> None:
    first = wait(playbook("molecule/database/database_alone.yml", variables))
    assert first.code == 0, first.output
    assert not any(password in first.output for password in PASSWORDS.values())
    second = wait(playbook("molecule/database/database_alone.yml", variables))
    assert (second.code, second.changed) == (0, False), second.output
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'ledger'"
    assert sql(host, owner, "ledger", PORT) == "ledger_owner"
    tables = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert sql(host, tables, "ledger", PORT) == "ledger"
    passwords = "SELECT count(*) FROM pg_authid WHERE rolname ~ '^ledger' AND rolpassword LIKE 'SCRAM-SHA-256$%'"
    assert sql(host, passwords, "ledger", PORT) == "2"
    assert sql(host, "SHOW max_connections", "ledger", PORT) == str(MOST)


def test_the_diagnosis_logs_in_with_its_password_which_only_the_service_may_read(host: Host) -> None:
    file = host.file("/srv/ledger/config/diagnosis.pgpass")
    assert (file.user, file.mode) == ("ledger", 0o600)
    assert PASSWORDS["diagnosis"] not in host.file("/srv/ledger/config/diagnose.json").content_string
    names = ("database", "connections", "statements")
    result = host.run("ledger-diagnose --json" + "".join(f" --check {name}" for name in names))
    found = findings(json.loads(result.stdout))
    assert "connections.role" not in found, found
    assert "answers in" in found["database"]["message"]
    assert found["connections.budget"]["threshold"] == MOST - 3
    assert "hidden" not in result.stdout


def test_without_the_diagnosis_role_the_services_own_is_used_and_it_is_told(host: Host) -> None:
    sql(host, "ALTER ROLE ledger_diagnosis NOLOGIN", "postgres", PORT)
    result = json.loads(host.run("ledger-diagnose --json --check connections").stdout)
    found = findings(result)
    assert found["connections.role"]["status"] == "warning"
    assert "the role ledger_diagnosis can't log in" in found["connections.role"]["message"]
    assert found["connections.open"]["value"] >= 0
