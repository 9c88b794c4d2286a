# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service has on its server: each change is reported by itself, and put right by a run."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databases import ENVIRONMENT, module, sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host

PLAYBOOK = "molecule/database/database_alone.yml"
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
        "database workbot belongs to postgres",
    ),
    (
        "GRANT CONNECT ON DATABASE workbot TO PUBLIC",
        "REVOKE CONNECT ON DATABASE workbot FROM PUBLIC",
        "PUBLIC has rights to database workbot",
    ),
    (
        "REVOKE CREATE ON DATABASE workbot FROM workbot",
        "GRANT CREATE ON DATABASE workbot TO workbot",
        "workbot lacks rights to database workbot",
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


def desired(password: str) -> dict[str, Any]:
    """The roles, the rights and the tables that the scenario has."""
    return {
        "login_db": "workbot",
        "owner": "workbot_owner",
        "roles": [
            {"name": "workbot_owner", "login": False},
            {"name": "workbot", "configuration": {"statement_timeout": "60s"}},
            {"name": "workbot_diagnosis", "member_of": []},
        ],
        "passwords": {"workbot": password},
        "extensions": ["pg_stat_statements"],
        "diagnosis_role": "workbot_diagnosis",
        "rights": [
            {"role": "PUBLIC", "privs": ["CONNECT", "TEMPORARY"], "state": "absent"},
            {"role": "workbot", "privs": ["CONNECT", "CREATE", "TEMPORARY"]},
            {"role": "workbot", "privs": ["CREATE", "USAGE"], "type": "schema", "objs": "public"},
        ],
        "tables": {"role": "workbot", "creates": "robots", "sql": "SELECT 1"},
    }


def problems(password: str) -> list[str]:
    found = module("postgresql_database", user="root", check=True, **desired(password))
    assert not found["failed"], found
    assert password not in str(found)
    return list(found["problems"])


@pytest.mark.parametrize(("change", "undo", "told"), DRIFTS, ids=[drift[2].replace(" ", "-") for drift in DRIFTS])
def test_each_change_is_told_alone(host: Host, password: str, change: str, undo: str, told: str) -> None:
    sql(host, change)
    try:
        assert problems(password) == [told]
    finally:
        sql(host, undo.format(password=password))
    assert problems(password) == []


def test_all_of_it_is_put_right_by_one_run(host: Host, password: str) -> None:
    for change, _undo, _told in DRIFTS[:-1]:
        sql(host, change)
    try:
        run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics", "--diff"))
        assert (run.code, run.changed) == (0, True), run.output
        assert [told for _change, _undo, told in DRIFTS[:-1] if f"-{told}" not in run.output] == []
        assert problems(password) == []
    finally:
        for _change, undo, _told in DRIFTS[:-2]:
            sql(host, undo.format(password=password))


@pytest.fixture
def shop(host: Host) -> Any:
    """What makes a database beside the service's, which is gone afterwards."""
    yield {
        "login_db": "shop",
        "owner": "shop_owner",
        "roles": [
            {"name": "shop_owner", "login": False},
            {
                "name": "shop",
                "configuration": {"statement_timeout": "30s"},
                "member_of": ["pg_monitor"],
                "connections": 3,
            },
        ],
        "passwords": {"shop": "Größe \u2168 'quo\"ted"},
        "rights": [{"role": "PUBLIC", "privs": ["CONNECT", "TEMPORARY"], "state": "absent"}],
        "extensions": ["pg_trgm"],
    }
    sql(host, "DROP DATABASE IF EXISTS shop", "postgres")
    sql(host, "DROP ROLE IF EXISTS shop", "postgres")
    sql(host, "DROP ROLE IF EXISTS shop_owner", "postgres")


def test_a_new_database_is_predicted_and_made_once(host: Host, shop: dict[str, Any]) -> None:
    told = ["role shop_owner is missing", "role shop is missing", "database shop is missing"]
    assert module("postgresql_database", user="root", check=True, **shop)["problems"] == told
    assert sql(host, "SELECT count(*) FROM pg_database WHERE datname = 'shop'") == "0"
    assert module("postgresql_database", user="root", **shop)["problems"] == told
    assert (
        sql(host, "SELECT rolconfig, rolconnlimit FROM pg_roles WHERE rolname = 'shop'") == "{statement_timeout=30s}|3"
    )
    again = module("postgresql_database", user="root", **shop)
    assert (again["changed"], again["problems"]) == (False, [])


def test_runs_at_the_same_time_take_turns(shop: dict[str, Any]) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: module("postgresql_database", user="root", **shop), range(3)))
    assert [run["failed"] for run in runs] == [False] * 3, runs


def test_a_membership_that_somebody_else_gave_is_taken_away(host: Host, shop: dict[str, Any]) -> None:
    module("postgresql_database", user="root", **shop)
    sql(host, "CREATE ROLE boss SUPERUSER; SET ROLE boss; GRANT pg_read_all_data TO shop")
    try:
        assert module("postgresql_database", user="root", **shop)["problems"] == [
            "role shop is a member of pg_monitor, pg_read_all_data"
        ]
        held = "SELECT string_agg(roleid::regrole::text, ' ') FROM pg_auth_members WHERE member = 'shop'::regrole"
        assert sql(host, held) == "pg_monitor"
    finally:
        sql(host, "DROP OWNED BY boss; DROP ROLE boss")


def test_tables_are_made_as_the_service_and_all_or_none(host: Host) -> None:
    def make(text: str) -> dict[str, Any]:
        tables = {"role": "workbot", "creates": "lamps", "sql": text}
        return module("postgresql_database", user="root", login_db="workbot", tables=tables)

    there = "SELECT tableowner FROM pg_tables WHERE tablename IN ('lamps', 'shades')"
    try:
        broken = make("CREATE TABLE shades (a int); CREATE TABLE lamps (a nothing)")
        assert (broken["failed"], broken["msg"]) == (True, 'workbot: type "nothing" does not exist')
        other = make("CREATE TABLE shades (a int)")
        assert (other["failed"], other["msg"]) == (
            True,
            "workbot: the SQL did not make lamps: nothing of it was kept",
        )
        assert sql(host, there) == ""
        assert make("CREATE TABLE lamps (a text DEFAULT '100%')")["problems"] == ["lamps is missing"]
        assert sql(host, there) == "workbot"
        assert make("DROP TABLE robots")["changed"] is False
    finally:
        sql(host, "DROP TABLE IF EXISTS lamps, shades")


def test_what_cannot_be_done_is_refused_before_anything_changes(host: Host, shop: dict[str, Any]) -> None:
    refused = module("postgresql_database", user="root", **{**shop, "login_user": "nobody"})
    assert refused["failed"], refused
    assert '"nobody"' in refused["msg"]
    sql(host, "CREATE DATABASE shop ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "postgres")
    refused = module("postgresql_database", user="root", **shop)
    assert "encoding LATIN1, which nothing changes: it must be UTF8" in refused["msg"]
    assert sql(host, "SELECT count(*) FROM pg_roles WHERE rolname IN ('shop', 'shop_owner')") == "0"
