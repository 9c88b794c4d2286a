# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets into the server, by pg_hba.conf, and what becomes of rules that others wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import diagnosis_sql, service_sql, sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host

RULES = "/etc/postgresql/*/main/pg_hba.conf"
DEBIAN = "host all all 127.0.0.1/32 scram-sha-256"
FOREIGN = "host accounts accountant 192.0.2.0/24 scram-sha-256 # of the accounts"
TRUST = "host accounts all 192.0.2.7/32 trust"


@pytest.fixture
def rules(host: Host) -> Iterator[str]:
    """The access rules as they are; a test may change them."""
    path = host.check_output(f"ls {RULES}")
    host.check_output("cp -p %s %s.molecule", path, path)
    yield path
    host.check_output("mv %s.molecule %s", path, path)
    sql(host, "SELECT pg_reload_conf()")


@pytest.fixture
def stranger(host: Host) -> Iterator[str]:
    sql(host, "CREATE ROLE accountant LOGIN PASSWORD 'molecule'")
    yield "accountant:molecule"
    sql(host, "DROP ROLE accountant")


@pytest.mark.parametrize("database", ["workbot", "postgres"])
def test_nobody_else_gets_in(host: Host, stranger: str, database: str) -> None:
    result = host.run("psql --command='SELECT 1' %s", f"postgresql://{stranger}@127.0.0.1/{database}")
    assert result.rc != 0
    assert "no pg_hba.conf entry" in result.stderr


def test_the_service_gets_into_its_own_database_alone(host: Host) -> None:
    assert service_sql(host, "SELECT 1").rc == 0
    assert "no pg_hba.conf entry" in service_sql(host, "SELECT 1", database="postgres").stderr
    assert "no pg_hba.conf entry" in service_sql(host, "SELECT 1", role="workbot_diagnosis").stderr


def test_only_the_services_user_is_the_diagnosis(host: Host) -> None:
    assert diagnosis_sql(host, "SELECT current_user").stdout.strip() == "workbot_diagnosis"
    refused = diagnosis_sql(host, "SELECT 1", user="www-data")
    assert "Peer authentication failed" in refused.stderr


def test_every_rule_asks_who_it_is(host: Host) -> None:
    assert sql(host, "SELECT DISTINCT auth_method FROM pg_hba_file_rules ORDER BY 1").splitlines() == [
        "peer",
        "scram-sha-256",
    ]


def test_a_rule_without_a_password_stops_the_run(host: Host, rules: str) -> None:
    host.check_output("echo %s >> %s", TRUST, rules)
    before = host.check_output("sha256sum %s", rules)
    run = wait(playbook("workbot.stability.site", {"service_log_level": "debug"}, "--tags=short_term"))
    assert run.code != 0
    assert "lets all into accounts without a password (trust)" in run.output
    assert not run.changed, run.output
    assert host.check_output("sha256sum %s", rules) == before
    assert not host.file("/srv/workbot/config/environment").contains("LOG_LEVEL=debug")


@pytest.mark.usefixtures("stranger")
def test_the_rules_of_others_stay(host: Host, rules: str) -> None:
    for line in (DEBIAN, FOREIGN, TRUST):
        host.check_output("echo %s >> %s", line, rules)
    sql(host, "SELECT pg_reload_conf()")
    before = host.check_output("sha256sum %s", rules)
    variables = {"postgresql_trust_allowed": True}
    run = wait(playbook("molecule/database/database_alone.yml", variables, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, False), run.output
    assert host.check_output("sha256sum %s", rules) == before
