# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of a fleet's groups: where the database is, who gets in, and how the service connects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import fleet_of
from places import ROOT
from role_templates import trusted

ROLES = ROOT / "roles"
HOSTS = {"app1": "10.0.0.11", "app2": "app2.test", "db": "10.0.0.31"}
LOOPBACK = [
    "host shop shop 127.0.0.1/32 scram-sha-256",
    "host shop shop ::1/128 scram-sha-256",
]


def fleet(host: str, **given: Any) -> Templar:
    """The variables of a host of three, one of them the database's."""
    variables: dict[str, Any] = {}
    for role in ("service", "postgresql"):
        for file in ("defaults", "vars"):
            variables |= yaml.safe_load((ROLES / role / file / "main.yml").read_text(encoding="utf-8"))
    groups = given.pop("groups", {"app": ["app1", "app2"], "database": ["db"]})
    hosts = fleet_of({name: {"service_address": address} for name, address in HOSTS.items()}, groups)
    variables |= {
        "inventory_hostname": host,
        "groups": groups,
        # The filter itself is the controller's.
        "service_fleet": hosts,
        "__service_fleet_database": "" if host in hosts["database"] else "".join(hosts["database"].values()),
        "service_address": HOSTS[host],
        "service_name": "shop",
        "service_database_enabled": True,
        "service_database_password": "p/w",
        "service_plan": {"database_settings": {}},
        **given,
    }
    return Templar(DataLoader(), variables=trusted(variables))


def value(templar: Templar, expression: str) -> Any:
    return templar.template(trust_as_template("{{ " + expression + " }}"))


def rules(templar: Templar) -> list[str]:
    return [line for line in str(value(templar, "__postgresql_access")).splitlines() if line.startswith("host")]


def test_an_app_host_asks_the_database_host_and_verifies_it() -> None:
    app = fleet("app1")
    assert value(app, "service_database_host") == "10.0.0.31"
    assert value(app, "service_database_server") == "db"
    assert value(app, "__service_database_url") == (
        "postgresql://shop:p%2Fw@10.0.0.31:5432/shop?sslmode=verify-full&sslrootcert=/srv/shop/config/database-ca.pem"
    )
    assert not value(app, "__postgresql_administers")
    assert value(app, "__postgresql_owner") == {
        "login_host": "10.0.0.31",
        "login_port": 5432,
        "login_user": "shop",
        "login_password": "p/w",
        "ssl_mode": "verify-full",
        "ca_cert": "/srv/shop/config/database-ca.pem",
    }


def test_an_administrator_is_not_asked_of_the_database_host() -> None:
    assert not value(fleet("app1", postgresql_admin_user="root"), "__postgresql_administers")
    assert value(fleet("app1", postgresql_admin_user="root", service_database_host="db.x"), "__postgresql_administers")


def test_the_database_host_lets_in_the_app_hosts_and_listens_for_them() -> None:
    database = fleet("db", __postgresql_told_addresses={"app2.test": ["10.0.0.12", "fd00::12"]})
    assert value(database, "service_database_host") == "127.0.0.1"
    assert rules(database) == [
        "hostssl shop shop 10.0.0.11/32 scram-sha-256",
        "hostssl shop shop 10.0.0.12/32 scram-sha-256",
        "hostssl shop shop fd00::12/128 scram-sha-256",
    ]
    settings = value(database, "__postgresql_settings")
    assert settings["listen_addresses"] == "localhost,10.0.0.31"
    assert settings["ssl_min_protocol_version"] == "TLSv1.2"


@pytest.mark.parametrize(
    ("given", "mapped"),
    [
        ({}, ["shop shop shop_diagnosis", "shop root shop"]),
        (
            {"service_database_host": "/run/postgresql"},
            ["shop shop shop_diagnosis", "shop shop shop", "shop root shop"],
        ),
    ],
)
def test_root_is_the_services_role_over_the_socket(given: dict[str, Any], mapped: list[str]) -> None:
    alone = fleet("app1", groups={"app": ["app1"]}, **given)
    assert str(value(alone, "__postgresql_identities")).split("\n") == mapped
    lines = str(value(alone, "__postgresql_access")).splitlines()
    assert [line for line in lines if line.startswith("local shop")] == ["local shop shop,shop_diagnosis peer map=shop"]
    assert str(value(fleet("db"), "__postgresql_identities")).endswith("shop root shop")


def test_the_administrators_sessions_alone_have_its_power() -> None:
    alone = fleet("app1", groups={"app": ["app1"]})
    here = {"login_unix_socket": "/run/postgresql", "login_port": 5432}
    assert value(alone, "__postgresql_admin") == {**here, "login_user": "postgres"}
    assert value(alone, "__postgresql_owner") == {**here, "login_user": "shop"}
    elsewhere = fleet("app1", groups={"app": ["app1"]}, service_database_host="db.test", postgresql_admin_user="admin")
    assert value(elsewhere, "__postgresql_login")["login_user"] == "admin"
    assert value(elsewhere, "__postgresql_owner")["login_user"] == "shop"


def test_the_diagnosis_role_gets_in_where_it_has_a_password() -> None:
    told: dict[str, Any] = {"app2.test": ["10.0.0.12"]}
    database = fleet("db", __postgresql_told_addresses=told, postgresql_diagnosis_password="secret")
    assert "hostssl shop shop_diagnosis 10.0.0.12/32 scram-sha-256" in rules(database)


def test_a_name_that_nobody_knows_is_told() -> None:
    database = fleet("db", __postgresql_told_addresses={"app2.test": []})
    assert value(database, "__postgresql_nowhere") == [{"key": "app2", "value": "app2.test"}]


def test_names_are_what_getent_is_asked_for() -> None:
    database = fleet("db", __postgresql_lookups={"results": [{"ansible_facts": {"getent_ahosts": {"10.0.0.12": []}}}]})
    assert value(database, "__postgresql_names") == ["app2.test"]
    assert value(database, "__postgresql_looked_up") == {"app2.test": ["10.0.0.12"]}
    unknown = fleet("db", __postgresql_lookups={"results": [{"ansible_facts": {"getent_ahosts": {"app2.test": None}}}]})
    assert value(unknown, "__postgresql_looked_up") == {"app2.test": []}


@pytest.mark.parametrize("groups", [{"app": ["app1"]}, {"app": ["app1"], "database": ["app1"]}])
def test_a_host_that_is_alone_is_as_it_was(groups: dict[str, list[str]]) -> None:
    alone = fleet("app1", groups=groups)
    assert value(alone, "__service_database_url") == "postgresql://shop:p%2Fw@127.0.0.1:5432/shop"
    assert value(alone, "__postgresql_settings")["listen_addresses"] == "localhost"
    assert "ssl" not in value(alone, "__postgresql_settings")
    assert value(alone, "__postgresql_packages") == ["acl", "postgresql", "python3-psycopg"]
    assert rules(alone) == LOOPBACK


def test_a_host_that_is_both_keeps_its_own_way_in() -> None:
    both = fleet(
        "app1",
        groups={"app": ["app1", "app2"], "database": ["app1"]},
        __postgresql_told_addresses={"app2.test": ["10.0.0.12"]},
    )
    assert rules(both) == ["hostssl shop shop 10.0.0.12/32 scram-sha-256", *LOOPBACK]


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({}, ""),
        ({"service_database_tls": "disable"}, "?sslmode=disable"),
        (
            {"service_database_tls": "verify-full"},
            "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
        ),
        (
            {"service_database_tls": "verify-full", "service_database_ca_file": "ca.pem"},
            "?sslmode=verify-full&sslrootcert=/srv/shop/config/database-ca.pem",
        ),
    ],
)
def test_a_server_that_the_inventory_does_not_have(given: dict[str, Any], query: str) -> None:
    provider = fleet("app1", service_database_host="db.provider.test", **given)
    assert value(provider, "service_database_server") == ""
    assert str(value(provider, "__service_database_url")).endswith(f"@db.provider.test:5432/shop{query}")


@pytest.mark.parametrize(
    ("check", "missing", "lacks"),
    [(True, ["python3-cryptography"], True), (True, [], False), (False, ["python3-cryptography"], False)],
)
def test_check_mode_goes_on_where_a_server_is_to_serve_others_as_well(
    check: bool, missing: list[str], lacks: bool
) -> None:
    """The library for its certificate is then not there yet, but the server is."""
    host = fleet("db", ansible_check_mode=check, __postgresql_installation={"missing": missing})
    assert value(host, "__postgresql_is_uncertified") is lacks


def test_an_index_that_is_to_be_there_needs_a_table_and_columns() -> None:
    known = {"table": "t", "columns": ["c"]}
    indexes = [{"name": "a", **known}, {"name": "b", "table": "t"}, {"name": "c", "state": "present"}]
    host = fleet("app1", postgresql_indexes=[*indexes, {"name": "d", "state": "absent"}])
    assert value(host, "__postgresql_incomplete_indexes") == ["b", "c"]


@pytest.mark.parametrize(("given", "names"), [("", ["10.0.0.31", "db"]), ("-----BEGIN", ["10.0.0.31"])])
def test_a_given_certificate_need_not_be_for_the_inventorys_name(given: str, names: list[str]) -> None:
    assert value(fleet("db", postgresql_tls_certificate=given), "__postgresql_tls_names") == names


@pytest.mark.parametrize(("supervisor", "administers"), [("collection", True), ("process", False)])
def test_roles_and_rights_of_an_existing_service_are_not_made(supervisor: str, administers: bool) -> None:
    """Its database may let in others, whose right to connect would be taken."""
    elsewhere = {"groups": {"app": ["app1"]}, "service_database_host": "10.0.0.9", "postgresql_admin_user": "admin"}
    app = fleet("app1", **elsewhere, service_supervisor=supervisor)
    assert value(app, "__postgresql_administers") is administers
    assert value(app, "__postgresql_login.login_user") == ("admin" if administers else "shop")
