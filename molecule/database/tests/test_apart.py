# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database host of its own. It is the test host under a second name, which the app host reaches over the network.

The tests go on from one another; at the end the service has the database of its own host again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import issue
from databases import ENVIRONMENT, findings, module, sql
from deployments import Run, wait
from hosts import ROOT, playbook
from testinfra.host import Host

DATABASE = "workbot-database"
APP = "workbot-test"
NAME = "workbot-test"  # the server's, by which the service reaches it
ELSEWHERE = "192.0.2.11"
VARIABLES = {"watchdog_enabled": False, "postgresql_diagnosis_password": "molecule-diagnosis-password-of-a-test"}
TLS = "/etc/postgresql-common/tls"
AUTHORITY = "/srv/workbot/config/database-ca.pem"
LIMIT = 600
POSTMASTER = "pgrep -o -u postgres -f bin/postgres"
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = 'workbot' ORDER BY pid"
Apply = Callable[..., Run]

# As the service connects, with its own code; prints what the server knows of the connection, or why there is none.
CLIENT = """
import { Database } from './src/database.ts';
const url = new URL(process.env.DATABASE_URL);
EDIT;
const pool = { max: 1, min: 0, idleTimeoutMs: 1000, connectTimeoutMs: 5000 };
const database = new Database({ databaseUrl: url.href, pool }, () => undefined);
await database.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  .then((rows) => console.log(JSON.stringify(rows[0])), (error) => console.log(error.code ?? error.message));
await database.end();
"""


def site(address: str, *options: str, **variables: Any) -> Run:
    inventory = f"--inventory={ROOT / 'molecule/database/inventory'}"
    parts = "--tags=short_term,immediate"
    environment = {**os.environ, "MOLECULE_APP_ADDRESS": address}
    given = {**VARIABLES, **variables}
    return wait(playbook("workbot.stability.site", given, inventory, parts, *options, environment=environment), LIMIT)


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    return str(host.check_output("hostname -I").split()[0])


@pytest.fixture(scope="module", autouse=True)
def apart(host: Host, address: str) -> Iterator[Run]:
    """What the playbook said that took the database from the app host."""
    yield site(address)
    back = wait(playbook("workbot.stability.site", {"watchdog_enabled": False}, "--tags=short_term,immediate"), LIMIT)
    assert back.code == 0, back.output
    assert sql(host, "SHOW listen_addresses") == "localhost"
    host.check_output("rm -rf %s %s", TLS, AUTHORITY)


@pytest.fixture(scope="module")
def apply(address: str) -> Apply:
    return lambda *options, **variables: site(address, *options, **variables)


def psql(host: Host, options: str, role: str = "workbot", database: str = "workbot") -> str:
    """What the server says to a connection with the service's password, over the network."""
    password = f"$(sed -n 's#^DATABASE_URL=.*://[^:]*:\\([^@]*\\)@.*#\\1#p' {ENVIRONMENT})"
    command = f"export PGPASSWORD={password}; psql --no-align --tuples-only --command='SELECT 1' %s"
    done = host.run(command, f"user={role} dbname={database} connect_timeout=5 {options}")
    return str(done.stdout + done.stderr)


def as_the_service(host: Host, edit: str = "") -> str:
    release = host.check_output("readlink -f /srv/workbot/current")
    return host.check_output(
        f"cd {release} && runuser -u workbot -- /opt/workbot/bin/node --env-file={ENVIRONMENT}"
        f" --import file://{release}/node_modules/tsx/dist/loader.mjs --input-type=module --eval %s",
        CLIENT.replace("EDIT", edit),
    ).strip()


def test_all_hosts_are_set_up_without_a_password_in_the_output(apart: Run) -> None:
    assert apart.code == 0, apart.output
    assert VARIABLES["postgresql_diagnosis_password"] not in apart.output


def test_every_connection_of_the_service_is_encrypted(host: Host, address: str) -> None:
    answer = host.check_output(
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://localhost/api/health\").read().decode())'"
    )
    assert json.loads(answer)["database"]["status"] == "ok"
    rows = sql(
        host,
        "SELECT DISTINCT client_addr, ssl, version >= 'TLSv1.2' FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE usename = 'workbot'",
    )
    assert rows == f"{address}|t|t"


def test_the_service_verifies_whom_it_speaks_to(host: Host, address: str) -> None:
    assert json.loads(as_the_service(host))["ssl"] is True
    others = "url.searchParams.set('sslrootcert', '/etc/ssl/certs/ca-certificates.crt')"
    assert "CERT" in as_the_service(host, others) or "VERIFY" in as_the_service(host, others)
    assert as_the_service(host, f"url.hostname = '{address}'") == "ERR_TLS_CERT_ALTNAME_INVALID"


@pytest.mark.parametrize(
    ("options", "role", "database"),
    [
        (f"host={NAME} sslmode=disable", "workbot", "workbot"),
        (f"host={NAME} sslmode=require", "workbot", "postgres"),
        (f"host={NAME} sslmode=require", "postgres", "workbot"),
        (f"host={NAME} sslmode=require", "postgres", "postgres"),
        ("host=127.0.0.1 sslmode=require", "workbot", "workbot"),
    ],
)
def test_nobody_else_gets_in_and_nobody_without_tls(host: Host, options: str, role: str, database: str) -> None:
    assert "no pg_hba.conf entry" in psql(host, options, role, database)


def test_the_service_gets_in_by_its_password_alone(host: Host) -> None:
    assert psql(host, f"host={NAME} sslmode=verify-full sslrootcert={AUTHORITY}").strip() == "1"
    assert "password authentication failed" in psql(host, f"host={NAME} sslmode=require password=another")
    assert host.run("openssl s_client -starttls postgres -tls1_1 -connect %s:5432 </dev/null", NAME).rc != 0


def test_the_keys_are_nobody_elses(host: Host) -> None:
    files = {name: host.file(f"{TLS}/{name}") for name in ("server.key", "authority.key")}
    assert {name: (file.user, file.mode) for name, file in files.items()} == {
        "server.key": ("postgres", 0o600),
        "authority.key": ("root", 0o600),
    }


def test_the_diagnosis_logs_in_over_tls(host: Host) -> None:
    names = ("database", "connections", "statements", "indexes")
    result = host.run("workbot-diagnose --json" + "".join(f" --check {name}" for name in names))
    found = findings(json.loads(result.stdout))
    assert "connections.role" not in found, found
    assert "answers in" in found["database"]["message"], found
    assert found["connections.budget"]["status"] == "ok", found
    assert found["database.certificate"]["value"] > 800, found


def test_a_second_run_changes_nothing(apply: Apply) -> None:
    again = apply()
    assert (again.code, set(re.findall(r"changed=(\d+)", again.output))) == (0, {"0"}), again.output


def test_an_authority_that_is_not_the_servers_stops_the_run(host: Host, apply: Apply, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pem"
    foreign.write_text(issue("Another authority", authority=True).pem)
    before = host.check_output("sha256sum %s", AUTHORITY)
    refused = apply(f"--limit={APP}", service_database_ca_file=str(foreign), service_log_level="debug")
    assert refused.code != 0
    assert "certificate verify failed" in refused.output
    assert not refused.changed, refused.output
    assert host.check_output("sha256sum %s", AUTHORITY) == before
    assert not host.file(ENVIRONMENT).contains("LOG_LEVEL=debug")


def test_the_certificate_is_renewed_before_it_ends_and_nothing_restarts(host: Host, apply: Apply) -> None:
    served = "openssl s_client -starttls postgres -connect %s:5432 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    short = {"directory": TLS, "owner": "postgres", "names": [NAME, DATABASE], "valid_days": 100, "renew_days": 9}
    host.check_output("rm %s/server.pem", TLS)
    assert not module("server_certificate", "root", **short)["failed"]
    sql(host, "SELECT pg_reload_conf()")
    before = host.check_output(POSTMASTER), sql(host, SESSIONS), host.check_output("cat %s/authority.pem", TLS)
    old = host.check_output(served, NAME)
    renewal = apply(f"--limit={DATABASE}")
    assert renewal.code == 0, renewal.output
    assert host.check_output(served, NAME) != old
    assert before == (
        host.check_output(POSTMASTER),
        sql(host, SESSIONS),
        host.check_output("cat %s/authority.pem", TLS),
    )
    assert json.loads(as_the_service(host))["ssl"] is True


def test_an_app_host_that_has_left_is_let_in_no_more_and_nothing_restarts(host: Host, address: str) -> None:
    postmaster = host.check_output(POSTMASTER)
    changed = site(ELSEWHERE, f"--limit={DATABASE}")
    assert changed.code == 0, changed.output
    assert host.check_output(POSTMASTER) == postmaster
    rules = "SELECT DISTINCT address FROM pg_hba_file_rules WHERE type = 'hostssl'"
    assert sql(host, rules) == ELSEWHERE
    assert f'no pg_hba.conf entry for host "{address}"' in psql(host, f"host={NAME} sslmode=require")
    refused = site(address, f"--limit={APP}")
    assert refused.code != 0
    assert "no pg_hba.conf entry" in refused.output
    assert f"{DATABASE} lets in the app hosts by service_address, over TLS" in refused.output
    assert not refused.changed, refused.output
