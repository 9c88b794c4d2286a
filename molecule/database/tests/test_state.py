# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server says not to be as declared: each thing that somebody changed is told, and put right by a run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from databases import ENVIRONMENT, module, sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host

PLAYBOOK = "molecule/database/database_alone.yml"
SETTINGS = "/etc/postgresql/*/main/conf.d/workbot.conf"
DRIFTS = [
    ("ALTER ROLE workbot_owner LOGIN", "ALTER ROLE workbot_owner NOLOGIN", "role workbot_owner has other attributes"),
    ("ALTER ROLE workbot CREATEDB", "ALTER ROLE workbot NOCREATEDB", "role workbot has other attributes"),
    (
        "ALTER ROLE workbot PASSWORD 'other'",
        "ALTER ROLE workbot PASSWORD '{password}'",
        "role workbot has another password",
    ),
    (
        "ALTER ROLE workbot SET statement_timeout = '1s'",
        "ALTER ROLE workbot SET statement_timeout = '60s'",
        "role workbot has other settings",
    ),
    (
        "GRANT pg_monitor TO workbot_diagnosis",
        "REVOKE pg_monitor FROM workbot_diagnosis",
        "role workbot_diagnosis is a member of pg_monitor",
    ),
    (
        "ALTER DATABASE workbot OWNER TO postgres",
        "ALTER DATABASE workbot OWNER TO workbot_owner",
        "database workbot has owner postgres and encoding UTF8",
    ),
    (
        "GRANT CONNECT ON DATABASE workbot TO PUBLIC",
        "REVOKE CONNECT ON DATABASE workbot FROM PUBLIC",
        "PUBLIC has rights to database workbot",
    ),
    (
        "REVOKE CREATE ON SCHEMA public FROM workbot",
        "GRANT CREATE ON SCHEMA public TO workbot",
        "workbot lacks rights to schema public",
    ),
    (
        "GRANT CREATE ON SCHEMA workbot_stability TO workbot",
        "REVOKE CREATE ON SCHEMA workbot_stability FROM workbot",
        "schema workbot_stability has other privileges",
    ),
    (
        "GRANT EXECUTE ON FUNCTION workbot_stability.statements() TO workbot",
        "REVOKE EXECUTE ON FUNCTION workbot_stability.statements() FROM workbot",
        "function workbot_stability.statements is not as declared",
    ),
    (
        "ALTER FUNCTION workbot_stability.sessions() RESET search_path",
        "ALTER FUNCTION workbot_stability.sessions() SET search_path = pg_catalog, pg_temp",
        "function workbot_stability.sessions is not as declared",
    ),
    (
        "DROP EXTENSION pg_stat_statements",
        "CREATE EXTENSION pg_stat_statements SCHEMA workbot_stability",
        "extension pg_stat_statements is missing",
    ),
    ("ALTER TABLE robots RENAME TO machines", "ALTER TABLE machines RENAME TO robots", "robots is missing"),
]


@pytest.fixture(scope="module")
def password(host: Host) -> str:
    found = re.search(
        r"^DATABASE_URL=\W?postgresql://workbot:([^@]+)@", host.file(ENVIRONMENT).content_string, re.MULTILINE
    )
    assert found
    return found[1]


def state(password: str) -> dict[str, Any]:
    """What the server says, of the roles, the rights and the tables that the scenario has."""
    return module(
        "postgresql_state",
        user="root",
        roles=[
            {"name": "workbot_owner", "login": False},
            {"name": "workbot", "configuration": {"statement_timeout": "60s"}},
            {"name": "workbot_diagnosis", "member_of": []},
        ],
        passwords={"workbot": password},
        database={
            "name": "workbot",
            "owner": "workbot_owner",
            "extensions": ["pg_stat_statements"],
            "relation": "robots",
            "diagnosis_role": "workbot_diagnosis",
            "rights": [
                {"role": "PUBLIC", "privs": ["CONNECT", "TEMPORARY"], "state": "absent"},
                {"role": "workbot", "privs": ["CREATE", "USAGE"], "type": "schema", "objs": "public"},
            ],
        },
    )


@pytest.mark.parametrize(("change", "undo", "told"), DRIFTS, ids=[drift[2].replace(" ", "-") for drift in DRIFTS])
def test_each_change_is_told_alone(host: Host, password: str, change: str, undo: str, told: str) -> None:
    sql(host, change)
    try:
        found = state(password)
        assert found["database"] == [told]
        assert password not in str(found)
    finally:
        sql(host, undo.format(password=password))
    assert state(password)["database"] == []


def test_who_else_logs_in_is_told(host: Host, password: str) -> None:
    sql(host, "CREATE ROLE stranger LOGIN SUPERUSER")
    try:
        assert state(password)["others"] == ["stranger"]
    finally:
        sql(host, "DROP ROLE stranger")
    assert state(password)["others"] == []


def test_a_database_that_is_not_there_is_told(password: str) -> None:
    assert password
    found = module("postgresql_state", user="root", database={"name": "nowhere", "owner": "postgres"})
    assert (found["answers"], found["database"]) == (True, ["database nowhere is missing"])


def test_a_server_that_is_not_there_is_no_error() -> None:
    found = module("postgresql_state", user="root", port=5999)
    assert (found["answers"], found["problem"]) == (False, "no server listens at port 5999 in /run/postgresql")


def test_all_of_it_is_put_right_by_one_run(host: Host, password: str) -> None:
    for change, _undo, _told in DRIFTS[:-1]:
        sql(host, change)
    try:
        run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
        assert (run.code, run.changed) == (0, True), run.output
        assert state(password)["database"] == []
    finally:
        for _change, undo, _told in DRIFTS[:-2]:
            sql(host, undo.format(password=password))


def test_the_mode_of_the_access_rules_is_put_right(host: Host) -> None:
    rules = host.check_output("ls /etc/postgresql/*/main/pg_hba.conf")
    host.check_output("chmod 0644 %s", rules)
    run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, True), run.output
    assert host.file(rules).mode == 0o640


def test_files_that_a_killed_run_left_unread_are_read(host: Host) -> None:
    postmaster = "pgrep -o -u postgres -f bin/postgres"
    before, server = sql(host, "SELECT pg_conf_load_time()"), host.check_output(postmaster)
    host.check_output(f"touch {SETTINGS}")
    run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, True), run.output
    assert sql(host, f"SELECT pg_conf_load_time() > '{before}'") == "t"
    assert host.check_output(postmaster) == server
    again = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (again.code, again.changed) == (0, False), again.output
